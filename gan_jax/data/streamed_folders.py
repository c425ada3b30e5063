"""Pictures of a folder, decoded when they are asked for."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gan_jax.data.framing import Framing, take_images
from gan_jax.data.pictures import Header, background_colour, read_clip, read_picture
from gan_jax.data.sources import ArrayDataset, Examples
from gan_jax.errors import Refusal

BEARABLE = 100
"""One broken picture in this many is left out; more are refused."""
NUM_NAMED = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderDataset:
    """Decode the pictures, or the clips, of a folder when they are asked for.

    In place of a picture whose pixels turn out to be broken stands the next one that is whole, with
    its own label.

    Raises:
        ValueError: more than one picture in a hundred is broken.
    """

    folder: Path
    names: tuple[str, ...]
    headers: tuple[Header, ...]
    framing: Framing
    shape: tuple[int, ...]
    """The canvas: height, width, channels; of a clip the frames before them."""
    arrays: Examples
    """Fields beside the images."""
    label_names: tuple[str, ...] | None = None
    text: tuple[str, ...] | None = None
    broken: dict[str, str] = field(default_factory=dict)
    """What was found to be broken, so far, and why."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_found(self) -> int:
        """With those that are broken."""
        return len({*self.names, *self.broken})

    def __getitem__(self, indices: np.ndarray) -> Examples:
        chosen = np.array(indices)
        images, errors = self._decode(chosen)
        while errors:
            self._note({self.names[chosen[row]]: error for row, error in errors.items()})
            rows = np.array(list(errors))
            chosen[rows] = (chosen[rows] + 1) % len(self)
            others, found = self._decode(chosen[rows])
            for name, array in others.items():
                images[name][rows] = array
            errors = {int(rows[position]): error for position, error in found.items()}
        return {**images, **{name: array[chosen] for name, array in self.arrays.items()}}

    def resident(self) -> ArrayDataset:
        """Decode all pictures at once, and leave out what is broken."""
        kind = self.framing.kind
        images, errors = self._decode(np.arange(len(self)), f"decoding {kind}")
        found = {self.names[row]: error for row, error in errors.items()}
        warn_of(self.folder, {**self.broken, **said(found)}, self.num_found, kind)
        arrays, text = {**images, **self.arrays}, self.text
        if errors:
            whole = np.setdiff1d(np.arange(len(self)), list(errors))
            arrays = {name: array[whole] for name, array in arrays.items()}
            text = text and tuple(text[row] for row in whole)
        return ArrayDataset(arrays, self.label_names, text)

    def _decode(
        self, indices: np.ndarray, doing: str | None = None
    ) -> tuple[Examples, dict[int, Exception]]:
        channels, background = self.shape[-1], background_colour(self.framing.background)

        def read(position: int) -> Any:
            name, header = (of[indices[position]] for of in (self.names, self.headers))
            how = self.folder / name, header.orientation, channels, background
            num_frames = self.framing.num_frames
            return read_picture(*how) if num_frames is None else read_clip(*how, num_frames)

        sizes = [self.headers[index][:2] for index in indices]
        extents = np.array([self.framing.extent(*size) for size in sizes], np.int32)
        return take_images(self.framing, read, extents, self.shape, doing)

    def _note(self, found: Mapping[str, Exception]) -> None:
        """Name what was not known to be broken before; several threads may read at once."""
        for name, why in said(found).items():
            if self.broken.setdefault(name, why) is why:
                warn_of(self.folder, {name: why}, self.num_found, self.framing.kind)
        refuse_many(self.folder, self.broken, self.num_found, self.framing.kind)


def said(errors: Mapping[str, Exception]) -> dict[str, str]:
    return {name: f"{type(error).__name__}: {error}" for name, error in errors.items()}


def refuse_many(folder: Path, broken: Mapping[str, str], num: int, kind: str) -> None:
    """Raise ValueError where more of the pictures, or clips, are broken than may be left out."""
    if len(broken) * BEARABLE > num:
        raise Refusal(
            f"{len(broken)} of the {num} {kind} in {folder} are broken, more than one in "
            f"{BEARABLE}: {_some(broken)}. Mend them, or move them away."
        )


def warn_of(folder: Path, broken: Mapping[str, str], num: int, kind: str) -> None:
    """Say in one line which of them are left out; or raise ValueError where they are many."""
    refuse_many(folder, broken, num, kind)
    if broken:
        log.warning(
            "%d of the %d %s in %s are broken and left out: %s.",
            *(len(broken), num, kind, folder, _some(broken)),
        )


def _some(broken: Mapping[str, str]) -> str:
    named = [f"{name} ({why})" for name, why in sorted(broken.items())[:NUM_NAMED]]
    return ", ".join(named) + (", ..." if len(broken) > NUM_NAMED else "")
