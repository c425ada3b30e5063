"""What a clip shows, by what its frames do: the path by the track of a figure's centres."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32

from gan_jax.data.shapes.moving import (
    HEADINGS,
    MOTIONS,
    MOVING_ATTRIBUTES,
    SWAY,
    TRAVEL,
    courses,
)

IN_MOST = 0.75
"""The share of a clip's frames that must show one thing for the clip to show it."""
ASTRAY = 1 / 24
"""How far, as a share of the side, a centre may be from where the path has it."""


def read_clip(
    found: dict[str, Int32[Array, " frames"]],
    centre: Float[Array, "frames 2"],
    is_read: Bool[Array, " frames"],
) -> dict[str, Int32[Array, ""]]:
    """Read one clip by what can be read of its frames, see `read_attributes`."""
    clip = {
        name: _in_most(values, is_read, len(MOVING_ATTRIBUTES[name]))
        for name, values in found.items()
    }
    return clip | read_path(centre, is_read)


def read_path(
    centre: Float[Array, "frames 2"], is_read: Bool[Array, " frames"]
) -> dict[str, Int32[Array, ""]]:
    """Read the kind of motion and the direction of a track of centres, -1 where there is neither.

    The track is fitted by least squares: centre(t) = start + travel line(t) + sway wave(t), where
    travel and sway have two components, down and to the right. Each component counts where it is
    more than half of what a drawn path has: one travel is straight, two are diagonal, and one with
    a sway across it is a zigzag. So the figure may go at another speed, but steadily: where a
    centre lies more than 1/24 of the side from the fit, as after a jump or with frames in a wrong
    order, there is no motion. Frames that are read as no figure are left out.
    """
    weight = is_read.astype(centre.dtype)[:, None]
    terms = weight * np.stack([np.ones(len(centre), np.float32), *courses(len(centre))], axis=1)
    fit = jnp.linalg.pinv(terms) @ (weight * centre)
    astray = jnp.max(jnp.abs(weight * centre - terms @ fit))
    heading = jnp.sign(fit[1]) * (jnp.abs(fit[1]) > TRAVEL / 2)
    goes, sways = heading != 0, jnp.abs(fit[2]) > SWAY / 2
    by_line = jnp.where(jnp.all(goes), MOTIONS.index("diagonal"), MOTIONS.index("straight"))
    motion = jnp.where(jnp.any(sways), MOTIONS.index("zigzag"), by_line)
    direction = jnp.argmax(jnp.all(heading[None] == HEADINGS, axis=1))
    is_path = jnp.any(goes) & (~jnp.any(sways) | jnp.all(goes != sways))
    is_path &= (jnp.mean(weight) >= IN_MOST) & (astray <= ASTRAY)
    found = {"motion": motion, "direction": direction}
    return {name: jnp.where(is_path, value, -1).astype(jnp.int32) for name, value in found.items()}


def _in_most(
    values: Int32[Array, " frames"], is_read: Bool[Array, " frames"], num: int
) -> Int32[Array, ""]:
    counts = jnp.sum(jax.nn.one_hot(values, num) * is_read[:, None], axis=0)
    best = jnp.argmax(counts)
    return jnp.where(counts[best] >= IN_MOST * len(values), best, -1).astype(jnp.int32)
