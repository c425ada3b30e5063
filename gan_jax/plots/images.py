"""Pictures of images."""

from pathlib import Path

import matplotlib.image
import numpy as np
from jaxtyping import Float

from gan_jax.errors import Refusal


def save_image_grid(
    path: Path | str,
    images: Float[np.ndarray, "num height width channels"],
    *,
    columns: int | None = None,
    scale: int = 2,
) -> None:
    """Write images in [-1, 1] as one PNG: rows of `columns` images, by default a square.

    Each pixel is `scale` pixels wide.

    Raises:
        ValueError: the images have neither one channel nor three.
    """
    num, height, width, channels = images.shape
    if channels not in (1, 3):
        raise Refusal(f"The images have {channels} channels; a picture has 1 or 3.")
    columns = columns or int(np.ceil(np.sqrt(num)))
    rows = -(-num // columns)
    tiles = np.full((rows * columns, height + 2, width + 2, channels), 1.0, np.float32)
    tiles[:num, 1:-1, 1:-1] = np.clip((images + 1) / 2, 0, 1)
    grid = tiles.reshape(rows, columns, height + 2, width + 2, channels).swapaxes(1, 2)
    grid = grid.reshape(rows * (height + 2), columns * (width + 2), channels)
    grid = grid.repeat(scale, axis=0).repeat(scale, axis=1)
    matplotlib.image.imsave(path, np.broadcast_to(grid, (*grid.shape[:2], 3)))
