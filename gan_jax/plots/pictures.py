"""Pictures as arrays of pixels: written as PNG or GIF, and shown by a notebook that names them."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gan_jax.errors import Refusal


class Picture(NamedTuple):
    """What a plot draws."""

    pixels: UInt8[np.ndarray, "height width 3"]

    suffix = ".png"

    @classmethod
    def read(cls, path: Path | str) -> "Picture":
        """A picture that was saved."""
        with Image.open(path) as image:
            return cls(np.asarray(image.convert("RGB")))

    def save(self, path: Path | str) -> None:
        """Write a PNG."""
        Path(path).write_bytes(self._repr_png_())

    def _repr_png_(self) -> bytes:
        written = io.BytesIO()
        Image.fromarray(self.pixels).save(written, "PNG")
        return written.getvalue()

    def __repr__(self) -> str:
        height, width, _ = self.pixels.shape
        return f"Picture({width} x {height})"


def stacked(pictures: Sequence[Picture]) -> Picture:
    """Put pictures under one another, flush right, on white.

    Raises:
        ValueError: there are none.
    """
    if not pictures:
        raise Refusal("There are no pictures to be put under one another; give at least one.")
    width = max(picture.pixels.shape[1] for picture in pictures)
    rows = [
        np.pad(pixels, ((0, 0), (width - pixels.shape[1], 0), (0, 0)), constant_values=255)
        for (pixels,) in pictures
    ]
    return Picture(np.concatenate(rows))


class Animation(NamedTuple):
    """Pictures one after another, for ever."""

    frames: UInt8[np.ndarray, "num height width 3"]
    milliseconds: int = 80
    """How long each is shown."""

    suffix = ".gif"

    def save(self, path: Path | str) -> None:
        """Write a GIF."""
        first, *rest = map(Image.fromarray, self.frames)
        first.save(
            path, "GIF", save_all=True, append_images=rest, duration=self.milliseconds, loop=0
        )


def picture(figure: Figure) -> Picture:
    """Draw a figure, without a window or a global state."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Picture(np.asarray(canvas.buffer_rgba())[..., :3].copy())
