"""A user's own folder of sounds; `load` says what it may hold."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.io import wavfile
from scipy.signal import resample_poly

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
        audio = np.zeros((len(indices), self.num_samples), np.float32)

        def read_into(row: int) -> None:
            sound = read_sound(self.folder / self.names[indices[row]])
            fill(audio[row], at_rate(sound, self.rate))

        in_threads(read_into, range(len(indices)), None)
        return {"audio": audio, **{name: of[indices] for name, of in self.arrays.items()}}


class Sound(NamedTuple):
    """A file of sound: its samples, in [-1, 1], so many a second."""

    samples: Float[np.ndarray, " samples"]
    rate: int


def read(root: Path, *, split: str, num_samples: int, rate: int | None) -> Dataset:
    """Read a folder; what fits is kept in memory. `load` says what it raises."""
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
    fits = len(chosen) * num_samples * np.dtype(np.float32).itemsize <= tfds.RESIDENT_BYTES
    audio = np.zeros((len(chosen), num_samples if fits else 0), np.float32)
    rates, broken = _look(folder, chosen, audio, rate)
    warn_of(folder, broken, len(chosen), KIND)
    whole, rate = tuple(rates), _same(folder, rates)
    of_whole = told.of(np.flatnonzero(np.isin(names, whole)))
    arrays = {**of_whole.numbers, **labels(folder, whole, of_whole, label_names)}
    if fits:
        audio = audio if not broken else audio[np.isin(chosen, whole)]
        return ArrayDataset({"audio": audio, **arrays}, label_names, of_whole.text, rate)
    return SoundDataset(
        folder=folder,
        names=whole,
        num_samples=num_samples,
        rate=rate,
        arrays=arrays,
        label_names=label_names,
        text=of_whole.text,
    )


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


def at_rate(sound: Sound, rate: int) -> Sound:
    """Resample a sound by SciPy's `resample_poly`, in [-1, 1] still; one of this rate is itself."""
    if sound.rate == rate:
        return sound
    common = math.gcd(sound.rate, rate)
    samples = resample_poly(sound.samples, rate // common, sound.rate // common)
    return Sound(np.clip(samples, -1, 1).astype(np.float32), rate)


def fill(row: Float[np.ndarray, " samples"], sound: Sound) -> None:
    """Write a sound at the start of a row, as much of it as fits."""
    samples = sound.samples[: len(row)]
    row[: len(samples)] = samples


def _look(
    folder: Path,
    names: Sequence[str],
    audio: Float[np.ndarray, "sounds samples"],
    asked: int | None,
) -> tuple[dict[str, int], dict[str, str]]:
    """The rates of the sounds that can be read, and what is wrong with the others.

    What fits of each is written to its row of `audio`, at the rate that is asked for, if one is.
    """

    def look(row: int) -> int | Exception:
        try:
            sound = read_sound(folder / names[row])
            sound = sound if asked is None else at_rate(sound, asked)
        except MemoryError:
            raise
        except Exception as error:
            return error
        fill(audio[row], sound)
        return sound.rate

    looked = in_threads(look, range(len(names)), f"reading {KIND}")
    found = dict(zip(names, looked, strict=True))
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
            f"{other} has {other_rate}; say by rate (--rate) which they are to be brought to."
        )
    return next(iter(first))
