"""Pictures of images."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from gan_jax.errors import Refusal
from gan_jax.plots.pictures import Picture


def image_grid(
    images: Float[np.ndarray, "num height width channels"],
    *,
    columns: int | None = None,
    scale: int = 2,
    row_names: Sequence[str] | None = None,
) -> Picture:
    """Put images in [-1, 1] into one picture: rows of `columns` images, by default a square.

    One channel is brightness, and three are red, green and blue; of any other number each stands in
    grey beside the one before it. Each pixel is `scale` pixels wide; what is no number is black.
    `row_names` stand to the left.
    """
    if images.shape[-1] not in (1, 3):
        images = np.concatenate(np.split(images, images.shape[-1], axis=-1), axis=2)
    num, height, width, channels = images.shape
    columns = columns or int(np.ceil(np.sqrt(num)))
    rows = -(-num // columns)
    tiles = np.full((rows * columns, height + 2, width + 2, channels), 1.0, np.float32)
    tiles[:num, 1:-1, 1:-1] = np.clip((np.where(np.isnan(images), -1, images) + 1) / 2, 0, 1)
    grid = tiles.reshape(rows, columns, height + 2, width + 2, channels).swapaxes(1, 2)
    grid = grid.reshape(rows * (height + 2), columns * (width + 2), channels)
    grid = grid.repeat(scale, axis=0).repeat(scale, axis=1)
    pixels = np.broadcast_to((grid * 255).astype(np.uint8), (*grid.shape[:2], 3))
    return Picture(pixels if row_names is None else _named(pixels, row_names))


def captioned_grid(
    images: Float[np.ndarray, "num height width channels"],
    captions: Sequence[str],
    *,
    scale: int = 2,
) -> Picture:
    """Put images in [-1, 1] into one picture, as many in a row for each caption, which is above it.

    A caption that is wider than its row is cut off.
    """
    columns = len(images) // len(captions)
    parts = []
    for row, caption in enumerate(captions):
        shown = images[row * columns : (row + 1) * columns]
        pixels = image_grid(shown, columns=columns, scale=scale).pixels
        strip = Image.new("RGB", (pixels.shape[1], 16), "white")
        ImageDraw.Draw(strip).text((3, 8), caption, "black", ImageFont.load_default(), anchor="lm")
        parts += [np.asarray(strip), pixels]
    return Picture(np.concatenate(parts))


def _named(pixels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Write names to the left of as many rows."""
    font = ImageFont.load_default()
    margin = Image.new("RGB", (int(max(map(font.getlength, names))) + 8, len(pixels)), "white")
    draw = ImageDraw.Draw(margin)
    for row, name in enumerate(names):
        draw.text((4, (row + 0.5) * len(pixels) / len(names)), name, "black", font, anchor="lm")
    return np.concatenate([np.asarray(margin), pixels], axis=1)


def save_images(images: UInt8[np.ndarray, "num height width channels"], paths: Iterable[Path]):
    """Write each image, pixel for pixel, as a PNG of one, two, three or four channels.

    Two are brightness and opacity, the fourth is opacity.

    Raises:
        ValueError: the images have other channels.
    """
    if images.shape[-1] not in range(1, 5):
        raise Refusal(f"The images have {images.shape[-1]} channels; a PNG has 1, 2, 3 or 4.")
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path, "PNG")


def brightness_grid(
    images: Float[Any, "num height width channels"], *, columns: int | None = None
) -> Picture:
    """`image_grid` of images in [0, 1], black to white."""
    return image_grid(2 * np.asarray(images) - 1, columns=columns)
