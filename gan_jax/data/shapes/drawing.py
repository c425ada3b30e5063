"""Figures drawn inside the compiled step, and pictures of scenes."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_jax.checks import Bound, check_bound
from gan_jax.data.shapes.still import SHAPES
from gan_jax.typing import KeyArray

RADII = np.array([0.19, 0.12], np.float32)
"""Of the circles, as shares of the picture's side."""
RGB = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32
)
HALF_SQUARE, HALF_TRIANGLE = np.sqrt(np.pi) / 2, np.sqrt(np.pi / 2)
"""Half the side of a square, and of a triangle's base and height, of the circle of radius 1."""

SIDE = Bound(lambda x: x >= 16, "at least 16, for small figures to be told apart")


def draw(
    key: KeyArray, codes: Int[Any, "num figures 4"], *, size: int = 32
) -> Float[Array, "num {size} {size} 3"]:
    """Draw a picture in [-1, 1] of each scene, every figure somewhere within its quarter.

    The places are uniform. Edges are antialiased.

    Raises:
        ValueError: the picture is smaller than 16 pixels.
    """
    check_bound(SIDE, size=size)
    of_size, colour, shape, place = jnp.moveaxis(codes, -1, 0)
    radius = jnp.asarray(RADII)[of_size]
    room = (0.25 - HALF_TRIANGLE * radius)[..., None]
    centre = quarter_centre(place) + room * jax.random.uniform(
        key, (*place.shape, 2), minval=-1.0, maxval=1.0
    )
    return show(centre, radius, shape, colour, size=size)


def quarter_centre(place: Int[Array, "..."]) -> Float[Array, "... 2"]:
    """The middle of a quarter, down and to the right: the quarters are in the order of `PLACES`."""
    return 0.25 + 0.5 * jnp.stack(divmod(place, 2), axis=-1)


def show(
    centre: Float[Array, "num figures 2"],
    radius: Float[Array, "num figures"],
    shape: Int[Array, "num figures"],
    colour: Int[Array, "num figures"],
    *,
    size: int,
) -> Float[Array, "num {size} {size} 3"]:
    """Draw figures on black, in [-1, 1]. Centres and radii are shares of the picture's side."""
    pixels = (jnp.arange(size) + 0.5) / size
    shown = jax.vmap(jax.vmap(partial(figure, pixels)))(centre, radius, shape)
    light = jnp.einsum("nfhw,nfc->nhwc", shown, jnp.asarray(RGB)[colour])
    return 2 * light - 1


def figure(
    pixels: Float[Array, " size"],
    centre: Float[Array, "2"],
    radius: Float[Array, ""],
    shape: Int[Array, ""],
) -> Float[Array, "size size"]:
    """The share of each pixel that a figure covers, by the distance of its centre from the edge."""
    down, right = jnp.meshgrid(*(pixels - place for place in centre), indexing="ij")
    half, base = HALF_SQUARE * radius, HALF_TRIANGLE * radius
    slope = (base + down - 2 * jnp.abs(right)) / np.sqrt(5)
    inside = jnp.where(
        shape == SHAPES.index("circle"),
        radius - jnp.hypot(down, right),
        jnp.where(
            shape == SHAPES.index("square"),
            half - jnp.maximum(jnp.abs(down), jnp.abs(right)),
            jnp.minimum(slope, base - down),
        ),
    )
    return jnp.clip(0.5 + inside * len(pixels), 0.0, 1.0)
