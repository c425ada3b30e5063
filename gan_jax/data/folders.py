"""A user's own folder of pictures; `load` says what it may hold."""

import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_jax.data import tfds
from gan_jax.data.framing import WHITE, Framing, check_halves, in_threads
from gan_jax.data.metadata import Known, known, labels
from gan_jax.data.paths import clips_in, folder_of, pictures_in, share, taught_by
from gan_jax.data.pictures import Header, background_colour, read_clip_header, read_header
from gan_jax.data.sources import Dataset
from gan_jax.data.streamed_folders import FolderDataset, refuse_many, said, warn_of
from gan_jax.errors import Refusal, require_extra


class Found(NamedTuple):
    """What lies in a folder: its pictures in order, their headers, and why others have none."""

    folder: Path
    names: list[str]
    known: Known
    headers: dict[str, Header]
    broken: dict[str, str]


def read(root: Path, *, split: str, framing: Framing) -> Dataset:
    """Read a folder; what fits is decoded at once. `load` says what it raises."""
    folder, is_share = folder_of(root, split)
    found = _look(folder, framing)
    taught = taught_by(root, split)
    train = found if is_share or taught is None else _look(taught, framing)
    _check_sizes([train, found], framing)
    chosen = share(folder, found.names, split) if is_share else found.names
    broken = {name: found.broken[name] for name in chosen if name in found.broken}
    refuse_many(folder, broken, len(chosen), framing.kind)
    dataset = _dataset(
        found, [name for name in chosen if name not in broken], broken, train, framing
    )
    num_bytes = len(dataset) * math.prod(dataset.shape) * len(framing.fields)
    if num_bytes <= tfds.RESIDENT_BYTES:
        return dataset.resident()
    warn_of(folder, broken, len(chosen), framing.kind)
    return dataset


def read_pictures(
    folder: str | os.PathLike[str], shape: tuple[int, int, int], *, background: str = WHITE
) -> tuple[list[str], UInt8[np.ndarray, "num height width channels"]]:
    """Read all pictures in a folder and its folders, by their names: no split, and no classes.

    What is named may also be one picture.

    They are brought to the shape (height, width, channels). Where it is square, the shorter side is
    resized and the centre taken; else they must be of this height and width. One broken picture in
    a hundred is left out with a warning.

    Raises:
        ValueError: there are no pictures there, more are broken, or one is of another size.
    """
    folder = Path(folder).expanduser()
    height, width, _ = shape
    framing = Framing(height if height == width else None, background=background)
    if folder.is_file():
        folder, names = folder.parent, [folder.name]
    else:
        names = sorted(pictures_in(folder))
    headers, broken = _headers(folder, names, framing)
    refuse_many(folder, broken, len(names), framing.kind)
    for name, header in headers.items():
        if framing.extent(*header[:2]) != (height, width):
            raise Refusal(
                f"{folder / name} is {header.width} pixels wide and {header.height} high; it must "
                f"be {width} wide and {height} high."
            )
    found = FolderDataset(
        folder=folder,
        names=tuple(headers),
        headers=tuple(headers.values()),
        framing=framing,
        shape=shape,
        arrays={"row": np.arange(len(headers))},
        broken=broken,
    ).resident()
    return [list(headers)[row] for row in found.arrays["row"]], found.arrays["image"]


def _look(folder: Path, framing: Framing) -> Found:
    names = pictures_in(folder) if framing.num_frames is None else clips_in(folder)
    return Found(folder, names, known(folder, names), *_headers(folder, names, framing))


def _dataset(
    found: Found, names: list[str], broken: dict[str, str], train: Found, framing: Framing
) -> FolderDataset:
    """The pictures of these names, with the colours and the classes of `train`."""
    rows = np.flatnonzero(np.isin(found.names, names))
    of_names, headers = found.known.of(rows), [found.headers[name] for name in names]
    extents = [framing.extent(*header[:2]) for header in headers]
    height, width = map(max, zip(*extents, strict=True))
    is_grey = all(header.is_grey for header in train.headers.values())
    frames = () if framing.num_frames is None else (framing.num_frames,)
    label_names = train.known.label_names
    return FolderDataset(
        folder=found.folder,
        names=tuple(names),
        headers=tuple(headers),
        framing=framing,
        shape=(*frames, height, width, 1 if is_grey else 3),
        arrays={**of_names.numbers, **labels(found.folder, names, of_names, label_names)},
        label_names=label_names,
        text=of_names.text,
        broken=broken,
    )


def _headers(
    folder: Path, names: Sequence[str], framing: Framing
) -> tuple[dict[str, Header], dict[str, str]]:
    """The headers of the pictures that have one, and what is wrong with the others."""
    background = background_colour(framing.background)
    bomb = require_extra("PIL.Image").DecompressionBombWarning

    def look(name: str) -> Header | Exception:
        try:
            if framing.num_frames is not None:
                return read_clip_header(folder / name, background)
            return read_header(folder / name, background)
        except Exception as error:
            return error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", bomb)
        found = dict(zip(names, in_threads(look, names, f"looking at {framing.kind}"), strict=True))
    headers = {name: header for name, header in found.items() if isinstance(header, Header)}
    errors = {name: error for name, error in found.items() if isinstance(error, Exception)}
    return headers, said(errors)


def _check_sizes(everywhere: Sequence[Found], framing: Framing) -> None:
    first: dict[tuple[int, int], Path] = {}
    for found in everywhere:
        for name, header in found.headers.items():
            check_halves(str(found.folder / name), header.width, framing)
            _check_length(found.folder / name, header.num_frames, framing)
            first.setdefault(header[:2], found.folder / name)
    if framing.image_size is None and len(first) > 1:
        (size, one), (other_size, other) = list(first.items())[:2]
        raise Refusal(
            f"The {framing.kind} differ in size: {one} is {size[0]}x{size[1]} and {other} is "
            f"{other_size[0]}x{other_size[1]}; give image_size (--image-size) to bring all to one."
        )


def _check_length(path: Path, num_frames: int, framing: Framing) -> None:
    if framing.num_frames is not None and num_frames < framing.num_frames:
        raise Refusal(
            f"{path} has {num_frames} frames, and clips of {framing.num_frames} are asked for: "
            "lower num_frames (--num-frames), or move it away."
        )
