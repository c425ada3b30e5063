"""Captioned shapes: pictures drawn inside the compiled step, and what may be said of them.

A figure is large or small, of one of seven colours, a circle, square or triangle, and in one of the
four quarters of a black picture; figures of one size have one area. A scene is one figure, or two
in different quarters, so that they never overlap. Five sentences say all of a scene.
"""

import math
from functools import partial
from itertools import combinations, product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int, Int32

from gan_jax.checks import Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.typing import KeyArray

SIZES = ("large", "small")
COLOURS = ("red", "green", "blue", "yellow", "cyan", "magenta", "white")
SHAPES = ("circle", "square", "triangle")
PLACES = ("upper left", "upper right", "lower left", "lower right")
ATTRIBUTES = {"size": SIZES, "colour": COLOURS, "shape": SHAPES, "place": PLACES}

RADII = np.array([0.19, 0.12], np.float32)
"""Of the circles, as shares of the picture's side."""
RGB = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32
)
HALF_SQUARE, HALF_TRIANGLE = np.sqrt(np.pi) / 2, np.sqrt(np.pi / 2)
"""Half the side of a square, and of a triangle's base and height, of the circle of radius 1."""

PHRASES = (
    "a {size} {colour} {shape} in the {place}",
    "a {shape} in the {place} corner, {size} and {colour}",
    "in the {place} there is a {colour} {shape}, and it is {size}",
    "the {shape} in the {place} is {size} and {colour}",
    "{colour} is the {shape} in the {place}, which is {size}",
)

SIDE = Bound(lambda x: x >= 16, "at least 16, for small figures to be told apart")
UNREADABLE = 0.16
"""The share of a figure's squared brightness by which a picture may differ from the drawing."""
STEPS = 64
"""Places, at least so many each way, at which the centre of a figure is looked for."""
CHUNK = 20


class Scenes(NamedTuple):
    """What pictures show, and the sentences of each.

    codes: size, colour, shape and place of each figure of a scene, as places in `ATTRIBUTES`.
    """

    codes: Int32[np.ndarray, "scenes figures 4"]
    sentences: tuple[tuple[str, ...], ...]


def scenes(split: str = "train", *, num_shapes: int = 1) -> Scenes:
    """All scenes of one figure, 144 in `train` and 24 in `test`, or of two.

    Six of the 42 combinations of size, colour and shape are held out: there is one of each size
    and shape, and no scene of `train` shows any; every scene of `test` does.

    >>> from gan_jax.data import shapes
    >>> shapes.scenes("test").sentences[0][0]
    'a large green circle in the upper left'

    Raises:
        ValueError: another split, or another number of figures.
    """
    if split not in ("train", "test") or num_shapes not in (1, 2):
        raise Refusal(
            f"There are no scenes {split!r} of {num_shapes} figures: choose train or test, and 1 "
            "or 2."
        )
    figures = np.array(list(product(*(range(len(names)) for names in ATTRIBUTES.values()))))
    singles = figures.reshape(-1, 1, len(ATTRIBUTES)).astype(np.int32)
    codes = singles if num_shapes == 1 else _pairs(singles)
    size, colour, shape, _ = np.moveaxis(codes, -1, 0)
    is_held_out = np.any(colour == (3 * size + shape + 1) % len(COLOURS), axis=1)
    codes = codes[is_held_out == (split == "test")]
    return Scenes(codes, tuple(map(_sentences, codes)))


def sentences() -> list[str]:
    """All sentences on one figure, those of `train` first: five of each of the 168."""
    return [one for split in ("train", "test") for five in scenes(split).sentences for one in five]


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
    quarter = 0.25 + 0.5 * jnp.stack(divmod(place, 2), axis=-1)
    centre = quarter + room * jax.random.uniform(key, quarter.shape, minval=-1.0, maxval=1.0)
    pixels = (jnp.arange(size) + 0.5) / size
    shown = jax.vmap(jax.vmap(partial(_figure, pixels)))(centre, radius, shape)
    light = jnp.einsum("nfhw,nfc->nhwc", shown, jnp.asarray(RGB)[colour])
    return 2 * light - 1


def read_attributes(
    images: Float[Any, "num size size 3"],
) -> dict[str, Int32[Array, " num"]]:
    """Read the size, colour, shape and place of the one figure of each picture in [-1, 1].

    The colour is the nearest to the mean, weighted by brightness; the rest is that of the drawing
    which is nearest by squared distance, at any place in steps of 1/64 of the picture or less.
    Where even that differs by more than 0.16 of the figure's own squared brightness, as in an empty
    or a blurred picture, all are -1. Numbers are places in `ATTRIBUTES`.

    Raises:
        ValueError: the pictures are smaller than 16 pixels.
    """
    check_bound(SIDE, size=images.shape[1])
    drawings = _drawings(images.shape[1])
    return jax.lax.map(lambda image: _read(image, drawings), images, batch_size=CHUNK)


def read_places(
    images: Float[Any, "num size size 3"],
) -> dict[str, Int32[Array, "num places"]]:
    """Read the figure of each quarter of each picture by itself, -1 where there is none.

    The quarters are in the order of `PLACES`. Raises as `read_attributes`.
    """
    half = images.shape[1] // 2
    found = []
    for place in range(len(PLACES)):
        rows, columns = ((jnp.arange(images.shape[1]) >= half) == side for side in divmod(place, 2))
        is_there = (rows[:, None] & columns[None])[None, ..., None]
        found.append(read_attributes(jnp.where(is_there, images, -1.0)))
    return jax.tree.map(lambda *quarters: jnp.stack(quarters, axis=1), *found)


def _pairs(singles: np.ndarray) -> np.ndarray:
    """Any two figures, of different quarters, in the order of these."""
    pairs = np.array(list(combinations(singles[:, 0], 2)))
    first, second = np.moveaxis(pairs[..., -1], 1, 0)
    return np.where((first < second)[:, None, None], pairs, pairs[:, ::-1])[first != second]


def _sentences(figures: np.ndarray) -> tuple[str, ...]:
    said = [
        {name: names[index] for (name, names), index in zip(ATTRIBUTES.items(), code, strict=True)}
        for code in figures
    ]
    return tuple(" and ".join(phrase.format(**words) for words in said) for phrase in PHRASES)


def _figure(pixels: Array, centre: Array, radius: Array, shape: Array) -> Array:
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


def _read(image: Array, drawings: "Drawings") -> dict[str, Array]:
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
    down, right = (
        2 * (pixel + part / drawings.kinds[-1]) >= image.shape[0]
        for pixel, part in zip((row, column), parts, strict=True)
    )
    found = {"size": size, "colour": colour, "shape": shape, "place": 2 * down + right}
    is_read = jnp.min(errors) <= UNREADABLE
    return {name: jnp.where(is_read, value, -1).astype(jnp.int32) for name, value in found.items()}


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
    figures = jax.vmap(partial(_figure, pixels))(centre, jnp.asarray(RADII)[of_size], shape)
    energies = jnp.sum(figures**2, axis=(1, 2), keepdims=True)
    return Drawings(kinds, jnp.conj(jnp.fft.rfft2(figures)), energies)
