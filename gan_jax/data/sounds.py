"""A user's own folder of sounds; `load` says what it may hold."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.io import wavfile

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.data import tfds
from gan_jax.data.framing import in_threads
from gan_jax.data.metadata import known, labels
from gan_jax.data.paths import files_in, folder_of, share, taught_by
from gan_jax.data.sources import ArrayDataset, Dataset, Examples
from gan_jax.data.streamed_folders import said, warn_of
from gan_jax.errors import Refusal

KIND = "sounds"
SUFFIXES = (".wav",)


@dataclass(frozen=True)
class SoundDataset:
    """Read the sounds of a folder when they are asked for.

    rate: of all of them, in samples a second.
    arrays: fields beside the sounds.
    """

    folder: Path
    names: tuple[str, ...]
    num_samples: int
    rate: int
    arrays: Examples
    label_names: tuple[str, ...] | None = None
    text: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, indices: np.ndarray) -> Examples:
        return {**self._read(indices), **{name: of[indices] for name, of in self.arrays.items()}}

    def resident(self) -> ArrayDataset:
        """Read all sounds at once."""
        arrays = {**self._read(np.arange(len(self)), f"reading {KIND}"), **self.arrays}
        return ArrayDataset(arrays, self.label_names, self.text, self.rate)

    def _read(self, indices: np.ndarray, doing: str | None = None) -> Examples:
        audio = np.zeros((len(indices), self.num_samples), np.float32)

        def read_into(row: int) -> None:
            sound = read_sound(self.folder / self.names[indices[row]]).samples[: self.num_samples]
            audio[row, : len(sound)] = sound

        in_threads(read_into, range(len(indices)), doing)
        return {"audio": audio}


class Sound(NamedTuple):
    """A file of sound: its samples, in [-1, 1], so many a second."""

    samples: Float[np.ndarray, " samples"]
    rate: int


def read(root: Path, *, split: str, num_samples: int) -> Dataset:
    """Read a folder; what fits is kept in memory. `load` says what it raises."""
    check_bound(AT_LEAST_1, num_samples=num_samples)
    folder, is_share = folder_of(root, split)
    names = files_in(folder, SUFFIXES, KIND)
    told = known(folder, names)
    taught = None if is_share else taught_by(root, split)
    label_names = (
        told.label_names
        if taught is None
        else known(taught, files_in(taught, SUFFIXES, KIND)).label_names
    )
    chosen = share(folder, names, split) if is_share else names
    rates, broken = _look(folder, chosen)
    warn_of(folder, broken, len(chosen), KIND)
    whole = tuple(rates)
    of_whole = told.of(np.flatnonzero(np.isin(names, whole)))
    dataset = SoundDataset(
        folder=folder,
        names=whole,
        num_samples=num_samples,
        rate=_same(folder, rates),
        arrays={**of_whole.numbers, **labels(folder, whole, of_whole, label_names)},
        label_names=label_names,
        text=of_whole.text,
    )
    num_bytes = len(dataset) * num_samples * np.dtype(np.float32).itemsize
    return dataset.resident() if num_bytes <= tfds.RESIDENT_BYTES else dataset


def read_sound(path: Path) -> Sound:
    """Read a wav file of one channel, of integers or of floats in [-1, 1].

    Raises:
        ValueError: it is none, has more channels, or no sound at all.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", wavfile.WavFileWarning)
        warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)
        rate, samples = wavfile.read(path)
    if samples.ndim > 1:
        raise ValueError(f"it has {samples.shape[-1]} channels and must have one")
    if samples.dtype == np.uint8:
        samples = samples.astype(np.int16) - 128 << 8
    scale = 1 if samples.dtype.kind == "f" else -float(np.iinfo(samples.dtype).min)
    samples = (samples / scale).astype(np.float32)
    if not samples.any():
        raise ValueError("it is silent")
    if not np.abs(samples).max() <= 1:
        raise ValueError(f"it goes to {np.abs(samples).max():.3g} and must stay in [-1, 1]")
    return Sound(samples, rate)


def _look(folder: Path, names: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """The rates of the sounds that can be read, and what is wrong with the others."""

    def look(name: str) -> int | Exception:
        try:
            return read_sound(folder / name).rate
        except MemoryError:
            raise
        except Exception as error:
            return error

    found = dict(zip(names, in_threads(look, names, f"looking at {KIND}"), strict=True))
    errors = {name: error for name, error in found.items() if isinstance(error, Exception)}
    return {name: rate for name, rate in found.items() if isinstance(rate, int)}, said(errors)


def _same(folder: Path, rates: dict[str, int]) -> int:
    first: dict[int, str] = {}
    for name, rate in rates.items():
        first.setdefault(rate, name)
    if len(first) > 1:
        (rate, one), (other_rate, other) = list(first.items())[:2]
        raise Refusal(
            f"The sounds in {folder} differ in their rate: {one} has {rate} samples a second and "
            f"{other} has {other_rate}; resample all to one."
        )
    return next(iter(first))
