"""Digits that move over photographs, drawn inside the compiled step, with the true mask of each."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from gan_jax.checks import AT_LEAST_1, AT_LEAST_2, Bound, check_bound, check_choice
from gan_jax.data.embedded import EMBEDDED, photograph_parts
from gan_jax.data.scaling import unit
from gan_jax.errors import Refusal
from gan_jax.typing import KeyArray

SHARE = 5 / 8
"""The side of a digit's image, its empty border too, as a share of the clip's."""
TRAVEL = 1 / 2
"""How far a digit goes in all, as a share of the side."""
SIDE = Bound(lambda x: x >= 16, "at least 16, for digits to be told apart")


class Material(NamedTuple):
    """What clips are made of."""

    digits: UInt8[np.ndarray, "digits side side 1"]
    backgrounds: UInt8[np.ndarray, "photographs height width 3"]


def load(split: str = "train") -> Material:
    """Take the dataset `digits`, and the part of both `photographs` that is of the same split.

    See `data.load`, which says what both are and which part is `train` and which `test`.

    Raises:
        ValueError: another split.
    """
    check_choice(("train", "test"), split=split)
    return Material(EMBEDDED["digits"](split).arrays["image"], photograph_parts(split))


def draw(
    key: KeyArray,
    num: int,
    digits: UInt8[Any, "digits side side 1"],
    backgrounds: UInt8[Any, "photographs height width 3"],
    *,
    num_frames: int = 8,
    size: int = 32,
) -> dict[str, Float[Array, "{num} {num_frames} {size} {size} _"]]:
    """Draw clips of one white digit each, which moves over a background that stands still.

        video = mask · 1 + (1 - mask) · background

    `video` is in [-1, 1] and has three channels, `mask` in [0, 1] one: the digit's own pixels,
    resized. The digit's image is 5/8 of the side; it goes straight, half of the side in all, in a
    direction drawn uniformly, and bounces off the picture's edges. The background is cut uniformly
    from a photograph and made half as bright, in [-1, 0], so that white can be seen on all of it.
    All of this is our choice. `data.drawn_feed(draw, batch_size=32, resident=load())` makes batches
    of such clips.

    Raises:
        ValueError: no clip, fewer than 2 frames, or a size below 16 or beyond the photographs'.
    """
    _check(backgrounds, num, num_frames, size)
    key_digit, key_ground, key_path = jax.random.split(key, 3)
    chosen = jax.random.randint(key_digit, (num,), 0, len(digits))
    corner = _paths(key_path, num, num_frames, size * (1 - SHARE), size * TRAVEL)
    place = jax.vmap(jax.vmap(partial(_placed, size), in_axes=(None, 0)))
    mask = place(unit(jnp.asarray(digits)[chosen]), corner)
    background = unit(_cut(key_ground, jnp.asarray(backgrounds), num, size))[:, None] - 1
    return {"video": mask + (1 - mask) * background, "mask": mask}


def _check(backgrounds: Any, num: int, num_frames: int, size: int) -> None:
    check_bound(AT_LEAST_1, num=num)
    check_bound(AT_LEAST_2, num_frames=num_frames)
    check_bound(SIDE, size=size)
    height, width = backgrounds.shape[1:3]
    if size > min(height, width):
        raise Refusal(
            f"size is {size}, but the photographs are {height} x {width}: take at most "
            f"{min(height, width)}."
        )


def _paths(key: KeyArray, num: int, num_frames: int, room: float, travel: float) -> Array:
    """The upper left corners of digits, in pixels, on straight lines folded into [0, room]."""
    key_start, key_angle = jax.random.split(key)
    start = jax.random.uniform(key_start, (num, 1, 2), maxval=room)
    angle = jax.random.uniform(key_angle, (num,), maxval=2 * jnp.pi)
    heading = jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1)
    gone = jnp.einsum("nx,t->ntx", heading, travel * jnp.linspace(0, 1, num_frames))
    return room - jnp.abs((start + gone) % (2 * room) - room)


def _placed(size: int, digit: Array, corner: Array) -> Array:
    scale = jnp.full(2, SHARE * size / len(digit))
    shape = (size, size, 1)
    # Strokes that reach the image's edge fade out beyond it.
    padded = jnp.pad(digit, ((1, 1), (1, 1), (0, 0)))
    placed = jax.image.scale_and_translate(padded, shape, (0, 1), scale, corner - scale, "linear")
    return jnp.clip(placed, 0, 1)  # rounding goes beyond


def _cut(key: KeyArray, backgrounds: Array, num: int, size: int) -> Array:
    room = jnp.array([len(backgrounds), *(side - size + 1 for side in backgrounds.shape[1:3]), 1])
    start = jax.random.randint(key, (num, 4), 0, room[None])
    cut = jax.vmap(lambda at: jax.lax.dynamic_slice(backgrounds, at, (1, size, size, 3))[0])
    return cut(start)
