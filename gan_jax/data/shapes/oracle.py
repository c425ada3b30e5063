"""An oracle that reads figures from pixels, by matching with drawings of all that there may be."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int32

from gan_jax.checks import check_bound
from gan_jax.data.shapes.drawing import RADII, RGB, SIDE, figure
from gan_jax.data.shapes.moving import LENGTH, PAIR_SIDE
from gan_jax.data.shapes.still import PLACES, SHAPES, SIZES
from gan_jax.data.shapes.tracks import read_clip

UNREADABLE = 0.16
"""The share of a figure's squared brightness by which a picture may differ from the drawing."""
STEPS = 64
"""Places, at least so many each way, at which the centre of a figure is looked for."""
CHUNK = 20


def read_attributes(
    images: Float[Any, "num *frames size size 3"],
) -> dict[str, Int32[Array, " num"]]:
    """Read the one figure of each picture or clip in [-1, 1], -1 where it cannot be read.

    Of pictures, (num, size, size, 3), the attributes of `ATTRIBUTES`, as places in them. The
    colour is the nearest to the mean, weighted by brightness; the rest is that of the drawing which
    is nearest by squared distance, at any place in steps of 1/64 of the picture or less. Where even
    that differs by more than 0.16 of the figure's own squared brightness, as in an empty or a
    blurred picture, all are -1.

    Of clips, (num, frames, size, size, 3), those of `MOVING_ATTRIBUTES`. Size, colour and shape are
    each what at least three quarters of the frames show. Motion and direction are those of the
    path that is fitted to the centres of the frames. What sways less than half as far as a drawn
    zigzag goes straight. There is no path where less than three quarters of the frames can be read,
    where the figure goes less than half as far as a drawn one, or where its centre is ever more
    than 1/24 of the side away from the path, as after a jump.

    Raises:
        ValueError: pictures or clips are smaller than 16 pixels, or clips shorter than 4 frames.
    """
    check_bound(SIDE, size=images.shape[-2])
    if images.ndim == 5:
        check_bound(LENGTH, num_frames=images.shape[1])
        frames = _read_all(images.reshape(-1, *images.shape[2:]))
        clips = jax.tree.map(lambda x: x.reshape(*images.shape[:2], *x.shape[1:]), frames)
        return jax.vmap(read_clip)(*clips)
    found, centre, is_read = _read_all(images)
    down, right = jnp.moveaxis((centre >= 0.5).astype(jnp.int32), -1, 0)
    found["place"] = 2 * down + right
    return {name: jnp.where(is_read, value, -1) for name, value in found.items()}


def read_places(
    images: Float[Any, "num *frames size size 3"],
) -> dict[str, Int32[Array, "num places"]]:
    """Read the figure of each quarter of each picture or clip by itself, -1 where there is none.

    The quarters are in the order of `PLACES`; those of a clip of two figures are clips of one.

    Raises:
        ValueError: as `read_attributes`, or clips smaller than 32 pixels or odd.
    """
    if images.ndim == 5:
        check_bound(PAIR_SIDE, size=images.shape[-2])
    quarters = [_quarter(images, *divmod(place, 2)) for place in range(len(PLACES))]
    found = read_attributes(jnp.concatenate(quarters))
    return {name: value.reshape(len(PLACES), -1).T for name, value in found.items()}


def _quarter(images: Array, down: int, right: int) -> Array:
    """A quarter of pictures on black, and of clips by itself."""
    half = images.shape[-2] // 2
    if images.ndim == 5:
        rows, columns = (slice(side * half, (side + 1) * half) for side in (down, right))
        return images[:, :, rows, columns]
    rows, columns = ((jnp.arange(images.shape[1]) >= half) == side for side in (down, right))
    return jnp.where((rows[:, None] & columns[None])[None, ..., None], images, -1.0)


def _read_all(images: Array) -> "Frames":
    drawings = _drawings(images.shape[1])
    return jax.lax.map(lambda image: _read(image, drawings), images, batch_size=CHUNK)


def _read(image: Array, drawings: "Drawings") -> "Frames":
    light = (image + 1) / 2
    brightness = jnp.max(light, axis=-1, keepdims=True)
    total = jnp.sum(brightness**2)
    mean = jnp.sum(brightness * light, axis=(0, 1)) / jnp.maximum(total, jnp.finfo(light).tiny)
    colour = jnp.argmin(jnp.sum((mean[None] - RGB) ** 2, axis=-1))
    pure = jnp.asarray(RGB)[colour]
    weight = jnp.sum(pure)
    spectrum = jnp.fft.rfft2(light @ pure)[None] * drawings.spectra
    shared = jnp.fft.irfft2(spectrum, s=image.shape[:2])
    own = weight * drawings.energies
    errors = (jnp.sum(light**2) - 2 * shared + own) / own
    best = jnp.unravel_index(jnp.argmin(errors), drawings.kinds + image.shape[:2])
    size, shape, *parts, row, column = best
    pixel, part = jnp.stack([row, column]), jnp.stack(parts)
    centre = (pixel + part / drawings.kinds[-1]) / image.shape[0]
    found = {"size": size, "colour": colour, "shape": shape}
    return Frames(
        {name: value.astype(jnp.int32) for name, value in found.items()},
        centre,
        jnp.min(errors) <= UNREADABLE,
    )


class Frames(NamedTuple):
    """What each picture, or frame of a clip, shows, where it can be read."""

    found: dict[str, Int32[Array, "..."]]
    centre: Float[Array, "... 2"]
    is_read: Bool[Array, "..."]


class Drawings(NamedTuple):
    """Figures of each size and shape, their centres at parts of the first pixel, each way.

    kinds: how many of each. spectra: conjugates of their Fourier transforms. energies: sums of
    their squares.
    """

    kinds: tuple[int, ...]
    spectra: Complex[Array, "drawings ..."]
    energies: Float[Array, "drawings 1 1"]


def _drawings(size: int) -> Drawings:
    num_parts = -(-STEPS // size)
    kinds = (len(SIZES), len(SHAPES), num_parts, num_parts)
    of_size, shape, *parts = jnp.unravel_index(jnp.arange(math.prod(kinds)), kinds)
    centre = jnp.stack(parts, axis=-1) / (num_parts * size)
    pixels = jnp.fft.fftfreq(size) + 0.5 / size  # those beyond the middle lie before the first
    figures = jax.vmap(partial(figure, pixels))(centre, jnp.asarray(RADII)[of_size], shape)
    energies = jnp.sum(figures**2, axis=(1, 2), keepdims=True)
    return Drawings(kinds, jnp.conj(jnp.fft.rfft2(figures)), energies)
