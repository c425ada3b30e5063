"""Which folder a dataset's name and split mean, and which pictures lie there."""

import os
import posixpath
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from gan_jax.data import tfds
from gan_jax.data.pictures import MOVING, SUFFIXES, read_header
from gan_jax.errors import Refusal

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


def folder_of(root: Path, split: str) -> tuple[Path, bool]:
    """The folder that a split is read from, and whether it is a share of what lies there."""
    try:
        entries = [entry for entry in os.scandir(root) if entry.is_dir()]
        folders = {entry.name for entry in entries if not entry.name.startswith(".")}
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        raise Refusal(
            f"{str(root)!r} cannot be read as a folder ({why}): give the path of one "
            "that is there and may be read, or the name of a dataset."
        ) from None
    if split not in ("train", "test"):
        if split not in folders:
            raise Refusal(
                f"{root} has no folder {split!r}, as a split other than train and test must be; "
                f"its folders are: {some(folders) or 'none'}."
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
    if "test" in folders and "train" not in folders:
        raise Refusal(
            f"{root} holds a folder test and none called train: move the other pictures into "
            f"{root / 'train'}, or name a folder of them as the path."
        )
    return (root / "train" if "train" in folders else root), True


def taught_by(root: Path, split: str) -> Path | None:
    """The folder of training whose classes those of this split are, where it is another folder."""
    folder = root / (f"train{split[4:]}" if split.startswith("test") else "train")
    return folder if split != "train" and folder.is_dir() else None


def share(folder: Path, names: Sequence[str], split: str) -> list[str]:
    """Those of a folder's files that are in a split by their names.

    Raises:
        ValueError: none is.
    """
    chosen = [name for name in names if is_in(split, name)]
    if not chosen:
        raise Refusal(
            f"None of the {len(names)} files in {folder} falls into the split {split!r}; their "
            f"names decide, and put about one in {PARTS} into test: bring more, or sort them into "
            "folders train and test."
        )
    return chosen


def clips_in(folder: Path) -> list[str]:
    """The paths of all clips from the folder, in order: of files, and of folders of still pictures.

    What lies in one folder is a clip each where it moves; where nothing does, all of it is one.
    What cannot be read counts as the others of its folder, and will be named as broken.
    """
    places: dict[str, list[str]] = {}
    for name in pictures_in(folder, MOVING):
        places.setdefault(posixpath.dirname(name), []).append(name)
    clips = []
    for place, names in places.items():
        num_frames = {name: _num_frames(folder / name) for name in names}
        still = [name for name, num in num_frames.items() if num == 1]
        if still and (max(num_frames.values()) > 1 or not place):
            raise Refusal(
                f"{folder / place} holds still pictures, such as {min(still)}, that are no clip: "
                "put the frames of each clip into a folder of its own, or bring files that move "
                "(gif, png, webp)."
            )
        clips += [place] if still else names
    return in_order(clips)


def _num_frames(path: Path) -> int:
    """0 where it cannot be read."""
    try:
        return read_header(path, (255, 255, 255)).num_frames
    except Exception:
        return 0


def pictures_in(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[str]:
    """The paths of all pictures from the folder, in order."""
    return files_in(folder, suffixes, "pictures")


def files_in(folder: Path, suffixes: tuple[str, ...], kind: str) -> list[str]:
    """The paths of all files of such endings from the folder and its folders, in order.

    Raises:
        ValueError: there are none, or a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise Refusal(f"{error.filename} cannot be read ({error.strerror}): let it be read.")

    names, num_others = [], 0
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        above = os.path.realpath(place) + os.sep
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and not above.startswith(os.path.join(os.path.realpath(os.path.join(place, name)), ""))
        ]
        for name in files:
            if name.startswith(".") or not name.lower().endswith(suffixes):
                num_others += 1
                continue
            names.append(Path(place, name).relative_to(folder).as_posix())
    if not names:
        raise Refusal(
            f"{folder} holds no {kind}, nor do its folders; of the {num_others} files there none "
            f"ends in {', '.join(suffixes)}."
        )
    return in_order(names)


def in_order(names: Iterable[str]) -> list[str]:
    """Order pictures by a checksum of their paths, so that the first few are of all classes."""
    return sorted(names, key=lambda name: (_checksum(name), name))


def is_in(split: str, name: str) -> bool:
    """Whether a picture is in its split, by a checksum of its path that is the same everywhere."""
    return (_checksum(name) % PARTS == 0) == (split == "test")


def _checksum(name: str) -> int:
    return zlib.crc32(os.fsencode(name))


def some(names: Iterable[str]) -> str:
    """Name the first few."""
    names = sorted(names)
    return ", ".join(names[:NUM_NAMED]) + (", ..." if len(names) > NUM_NAMED else "")
