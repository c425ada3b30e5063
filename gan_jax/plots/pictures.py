"""Pictures as arrays of pixels: written as PNG, and shown by a notebook that names them."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image


class Picture(NamedTuple):
    """What a plot draws."""

    pixels: UInt8[np.ndarray, "height width 3"]

    suffix = ".png"

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


def picture(figure: Figure) -> Picture:
    """Draw a figure, without a window or a global state."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Picture(np.asarray(canvas.buffer_rgba())[..., :3].copy())
