"""A user's own folder of pictures; `load` says what it may hold."""

import os
import warnings
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gan_jax.data import tfds
from gan_jax.data.framing import Framing, check_halves, in_threads
from gan_jax.data.metadata import Known, known
from gan_jax.data.pictures import SUFFIXES, Header, background_colour, read_header
from gan_jax.data.sources import Dataset, Examples
from gan_jax.data.streamed_folders import FolderDataset, refuse_many, said, warn_of
from gan_jax.errors import Refusal, require_extra

PARTS = 10
"""Where no folder is the test set, one part of this many is."""
NUM_NAMED = 10


def path_of(name: str, data_dir: str | os.PathLike[str] | None) -> Path | None:
    """The folder that a dataset's name means, or None where it is no path."""
    family, separator, _ = name.replace(os.sep, "/").partition("/")
    if name.startswith((".", "~")) or os.path.isabs(name):
        return Path(os.path.expanduser(name))
    if separator and (os.path.isdir(name) or not tfds.knows(family, data_dir)):
        return Path(name)
    return None


def read(root: Path, *, split: str, framing: Framing) -> Dataset:
    """Read a folder; what fits is decoded at once. `load` says what it raises."""
    folder, is_share = _folder_of(root, split)
    names = _pictures_in(folder)
    chosen = [name for name in names if not is_share or _is_in(split, name)]
    if not chosen:
        raise Refusal(
            f"None of the {len(names)} pictures in {folder} falls into the split {split!r}; their "
            f"names decide, and put about one in {PARTS} into test: bring more, or sort them into "
            "folders train and test."
        )
    headers, errors = _headers(folder, names, framing)
    told = of_train = known(folder, names)
    all_headers = {folder / name: header for name, header in headers.items()}
    in_train = headers
    if split == "test" and not is_share:
        train = root / "train"
        names_in_train = _pictures_in(train)
        in_train, _ = _headers(train, names_in_train, framing)
        of_train = known(train, names_in_train)
        all_headers |= {train / name: header for name, header in in_train.items()}
    _check_sizes(all_headers, framing)
    broken = said({name: errors[name] for name in chosen if name in errors})
    refuse_many(folder, broken, len(chosen))
    whole = [name for name in chosen if name in headers]
    told = told.of(np.flatnonzero(np.isin(names, whole)))
    channels = 1 if all(header.is_grey for header in in_train.values()) else 3
    extents = [framing.extent(*headers[name][:2]) for name in whole]
    height, width = map(max, zip(*extents, strict=True))
    dataset = FolderDataset(
        folder=folder,
        names=tuple(whole),
        headers=tuple(headers[name] for name in whole),
        framing=framing,
        shape=(height, width, channels),
        arrays={**told.numbers} | _labels(folder, whole, told, of_train.label_names),
        label_names=of_train.label_names,
        text=told.text,
        broken=broken,
    )
    if len(whole) * height * width * channels * len(framing.fields) <= tfds.RESIDENT_BYTES:
        return dataset.resident()
    warn_of(folder, broken, len(chosen))
    return dataset


def _folder_of(root: Path, split: str) -> tuple[Path, bool]:
    """The folder that a split is read from, and whether it is a share of what lies there."""
    try:
        folders = {entry.name for entry in os.scandir(root) if entry.is_dir()}
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        raise Refusal(
            f"{str(root)!r} cannot be read as a folder of pictures ({why}): give the path of one "
            "that is there and may be read, or the name of a dataset."
        ) from None
    if split not in ("train", "test"):
        if split not in folders or split.startswith("."):
            raise Refusal(
                f"{root} has no folder {split!r}, as a split other than train and test must be; "
                f"its folders are: {_some(folders) or 'none'}."
            )
        return root / split, False
    if {"train", "test"} <= folders:
        return root / split, False
    populations = folders & {"trainA", "trainB"}
    if populations and "train" not in folders:
        one = min(populations)
        raise Refusal(
            f"{root} holds {' and '.join(sorted(populations))}, two populations and no {split!r}: "
            f"name one of them as the split, {one!r}, or as the path {root / one}."
        )
    return (root / "train" if "train" in folders else root), True


def _pictures_in(folder: Path) -> list[str]:
    """The paths of all pictures from the folder, sorted."""

    def refuse(error: OSError) -> None:
        raise Refusal(f"{error.filename} cannot be read ({error.strerror}): let it be read.")

    names, num_others = [], 0
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.startswith(".") or not name.lower().endswith(SUFFIXES):
                num_others += 1
                continue
            names.append(Path(place, name).relative_to(folder).as_posix())
    if not names:
        raise Refusal(
            f"{folder} holds no pictures, nor do its folders; of the {num_others} files there none "
            f"ends in {', '.join(SUFFIXES)}."
        )
    return sorted(names)


def _is_in(split: str, name: str) -> bool:
    """Whether a picture is in its split, by a checksum of its path that is the same everywhere."""
    return (zlib.crc32(os.fsencode(name)) % PARTS == 0) == (split == "test")


def _headers(
    folder: Path, names: Sequence[str], framing: Framing
) -> tuple[dict[str, Header], dict[str, Exception]]:
    """The headers of the pictures that have one, and what is wrong with the others."""
    background = background_colour(framing.background)
    bomb = require_extra("PIL.Image").DecompressionBombWarning

    def look(name: str) -> Header | Exception:
        try:
            return read_header(folder / name, background)
        except Exception as error:
            return error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", bomb)
        found = dict(zip(names, in_threads(look, names, "looking at pictures"), strict=True))
    headers = {name: header for name, header in found.items() if isinstance(header, Header)}
    return headers, {name: error for name, error in found.items() if isinstance(error, Exception)}


def _check_sizes(headers: dict[Path, Header], framing: Framing) -> None:
    for path, header in headers.items():
        check_halves(str(path), header.width, framing)
    if framing.image_size is None:
        first: dict[tuple[int, int], Path] = {}
        for path, header in headers.items():
            first.setdefault(header[:2], path)
        if len(first) > 1:
            (size, one), (other_size, other) = list(first.items())[:2]
            raise Refusal(
                f"The pictures differ in size: {one} is {size[0]}x{size[1]} and {other} is "
                f"{other_size[0]}x{other_size[1]}; give image_size (--image-size) to bring all to "
                "one."
            )


def _labels(
    folder: Path, names: Sequence[str], told: Known, label_names: tuple[str, ...] | None
) -> Examples:
    """The labels as their places among the names that training has."""
    if told.label is None or label_names is None:
        return {}
    places = {label: place for place, label in enumerate(label_names)}
    for name, label in zip(names, told.label, strict=True):
        if label not in places:
            raise Refusal(
                f"{folder / name} is of the class {label!r}, which train lacks; it has "
                f"{_some(label_names)}: move the class away, or bring examples of it to train."
            )
    return {"label": np.array([places[label] for label in told.label], np.int32)}


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:NUM_NAMED]) + (", ..." if len(names) > NUM_NAMED else "")
