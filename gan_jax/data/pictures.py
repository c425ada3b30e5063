"""One picture file: what its header says, and its pixels in the colours of a dataset."""

import contextlib
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gan_jax.errors import Refusal, require_extra

FORMATS = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "WEBP": (".webp",), "BMP": (".bmp",)}
SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)
MOVING = (*SUFFIXES, ".gif", ".apng")
"""Of clips, and of their frames."""
ORIENTATION = 0x0112
"""EXIF's tag that says how the camera was held."""


class Header(NamedTuple):
    """What is known of a picture before its pixels are decoded: as it is shown, turned upright."""

    width: int
    height: int
    is_grey: bool
    orientation: int
    num_frames: int = 1


def background_colour(name: str) -> tuple[int, ...]:
    """The red, green and blue that Pillow knows by the name."""
    colours = require_extra("PIL.ImageColor")
    try:
        return colours.getrgb(name)[:3]
    except ValueError:
        raise Refusal(
            f"The background is {name!r}; it must be a colour that Pillow knows, such as 'white', "
            "'#8080ff' or 'rgb(128, 128, 255)'."
        ) from None


def read_header(path: str | os.PathLike[str], background: tuple[int, ...]) -> Header:
    """Read what the header says, and raise whatever Pillow does where there is none.

    A picture is grey where its mode is, and its transparency shows a grey background. A GIF that
    moves never is: each of its frames may have a palette of its own.
    """
    with _open(path) as picture:
        orientation = _orientation(picture)
        width, height = picture.size[::-1] if orientation in (5, 6, 7, 8) else picture.size
        num_frames = getattr(picture, "n_frames", 1)
        has_palettes = picture.format == "GIF" and num_frames > 1
        is_grey = picture.mode in ("1", "L", "LA") or picture.mode.startswith("I")
        shows_colour = picture.has_transparency_data and len(set(background)) > 1
        is_grey = is_grey and not shows_colour and not has_palettes
        return Header(width, height, is_grey, orientation, num_frames)


def read_picture(
    path: str | os.PathLike[str],
    orientation: int | None,
    channels: int,
    background: tuple[int, ...],
) -> Any:
    """Decode a picture, upright, of bytes in 1 or 3 channels, over the background.

    An orientation that is None is read.
    """
    with _open(path) as picture:
        orientation = _orientation(picture) if orientation is None else orientation
        picture.load()
        return _coloured(_upright(picture, orientation), channels, background)


def frames_in(clip: Path) -> list[Path]:
    """The pictures of a folder that is a clip, in the order of the numbers in their names."""

    def numbers(path: Path) -> tuple[list[int], str]:
        return list(map(int, re.findall(r"\d+", path.stem))), path.name

    names = (path for path in clip.iterdir() if not path.name.startswith("."))
    return sorted((path for path in names if path.name.lower().endswith(MOVING)), key=numbers)


def read_clip_header(path: Path, background: tuple[int, ...]) -> Header:
    """`read_header` of a clip, which is a file of several frames or a folder of pictures.

    Such a folder is grey where all of its pictures are, which must be of one size.
    """
    if not path.is_dir():
        return read_header(path, background)
    frames = [read_header(frame, background) for frame in frames_in(path)]
    sizes = {header[:2] for header in frames}
    if len(sizes) > 1:
        raise Refusal(f"{path} is a clip whose frames differ in size: bring them to one.")
    is_grey = all(header.is_grey for header in frames)
    return frames[0]._replace(is_grey=is_grey, num_frames=len(frames))


def read_clip(
    path: Path, orientation: int, channels: int, background: tuple[int, ...], num_frames: int
) -> list[Any]:
    """Decode the first frames of a clip as `read_picture` does a picture."""
    if path.is_dir():
        frames = frames_in(path)[:num_frames]
        return [read_picture(frame, None, channels, background) for frame in frames]
    shown = []
    with _open(path) as picture:
        for place in range(num_frames):
            picture.seek(place)
            shown.append(_coloured(_upright(picture, orientation), channels, background))
    return shown


def as_picture(image: np.ndarray) -> Any:
    """Make Pillow's picture of an array of bytes with 1 or 3 channels."""
    return require_extra("PIL.Image").fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _open(path: str | os.PathLike[str]) -> Any:
    return require_extra("PIL.Image").open(path, formats=[*FORMATS, "GIF"])


def _orientation(picture: Any) -> int:
    with contextlib.suppress(Exception):  # a picture can be seen whatever its EXIF is
        # A PNG's own method decodes all of it, to find what stands behind the pixels.
        return require_extra("PIL.Image").Image.getexif(picture).get(ORIENTATION, 1)
    return 1


def _upright(picture: Any, orientation: int) -> Any:
    turns = require_extra("PIL.Image").Transpose
    needed = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }
    return picture.transpose(needed[orientation]) if orientation in needed else picture


def _coloured(picture: Any, channels: int, background: tuple[int, ...]) -> Any:
    mode = "L" if channels == 1 else "RGB"
    if picture.mode.startswith("I"):
        picture = _of_bytes(picture)
    if not picture.has_transparency_data:
        return picture.convert(mode)
    shown = require_extra("PIL.Image").new("RGBA", picture.size, (*background, 255))
    shown.alpha_composite(picture.convert("RGBA"))
    return shown.convert("RGB").convert(mode)


def _of_bytes(picture: Any) -> Any:
    """From 16 bits to 8: x / 257, rounded; the value that is transparent stays so."""
    pillow, values = require_extra("PIL.Image"), np.asarray(picture)
    grey = pillow.fromarray(np.rint(values.clip(0, 65_535) / 257).astype(np.uint8))
    if "transparency" not in picture.info:
        return grey
    opaque = pillow.fromarray((values != picture.info["transparency"]).astype(np.uint8) * 255)
    return pillow.merge("LA", (grey, opaque))
