"""Pictures of images."""

from typing import Any

import numpy as np
from jaxtyping import Float

from gan_jax.plots.pictures import Picture


def image_grid(
    images: Float[np.ndarray, "num height width channels"],
    *,
    columns: int | None = None,
    scale: int = 2,
) -> Picture:
    """Put images in [-1, 1] into one picture: rows of `columns` images, by default a square.

    One channel is brightness, and three are red, green and blue; of any other number each stands in
    grey beside the one before it. Each pixel is `scale` pixels wide; what is no number is black.
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
    return Picture(np.broadcast_to((grid * 255).astype(np.uint8), (*grid.shape[:2], 3)))


def brightness_grid(
    images: Float[Any, "num height width channels"], *, columns: int | None = None
) -> Picture:
    """`image_grid` of images in [0, 1], black to white."""
    return image_grid(2 * np.asarray(images) - 1, columns=columns)
