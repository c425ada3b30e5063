"""Sounds of TensorFlow Datasets, which needs TensorFlow to describe them."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_jax.data import tfds
from gan_jax.data.decoded import decoded
from gan_jax.data.sounds import Sound, at_rate, fill
from gan_jax.data.sources import ArrayDataset, Dataset, Examples
from gan_jax.errors import Refusal


@dataclass(frozen=True, kw_only=True)
class TFDSSounds:
    """Read the sounds of a dataset when they are asked for, the first `num_samples` of each.

    stored_rate, rate: theirs, and what they are brought to, in samples a second.
    arrays: fields beside the sounds, of all examples.
    """

    records: tfds.TFDSDataset
    num_samples: int
    stored_rate: int
    rate: int
    arrays: Examples

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, indices: np.ndarray) -> Examples:
        examples = self.records[indices]
        audio = np.zeros((len(indices), self.num_samples), np.float32)
        for row, samples in zip(audio, examples["audio"], strict=True):
            fill(row, at_rate(Sound(samples, self.stored_rate), self.rate))
        return {**examples, "audio": audio}


def read(
    name: str,
    *,
    split: str,
    num_samples: int,
    rate: int | None,
    data_dir: str | os.PathLike[str] | None,
) -> Dataset:
    """Read the sounds of a dataset of TFDS, and their pitches; `load` says what it raises."""
    builder = tfds.find(name, data_dir or os.environ.get("TFDS_DATA_DIR"))
    kinds, features = tfds.features_of(builder)
    audio: Any = features.get("audio")
    if not isinstance(audio, kinds.Audio) or len(audio.shape) > 1 or audio.np_dtype != np.float32:
        raise Refusal(
            f"{name!r} is no dataset of sounds: it has no field `audio` of one channel, in floats."
        )
    if not builder.is_prepared():
        tfds.prepare(name, builder)
    records, folder = tfds.records_of(name, builder, split), builder.data_path
    pitch = features.get("pitch")
    has_pitch = pitch is not None and pitch.shape == () and np.dtype(pitch.np_dtype).kind in "iu"
    numbers = ("pitch",) * has_pitch
    sounds = TFDSSounds(
        records=tfds.TFDSDataset(records, ("audio", *numbers), folder=folder, differ=("audio",)),
        num_samples=num_samples,
        stored_rate=audio.sample_rate,
        rate=rate or audio.sample_rate,
        arrays={},
    )
    shapes = {name: ((len(sounds),), tfds.DTYPES[name]) for name in numbers}
    if len(sounds) * num_samples * np.dtype(np.float32).itemsize <= tfds.RESIDENT_BYTES:
        audio_shape = {"audio": ((len(sounds), num_samples), np.float32)}
        return ArrayDataset(decoded(sounds, audio_shape | shapes, None), rate=sounds.rate)
    kept = Path(folder, f"gan_jax-{split}-pitch.npz") if split in builder.info.splits else None
    alone = tfds.TFDSDataset(records, numbers, folder=folder)
    return replace(sounds, arrays=decoded(alone, shapes, kept) if numbers else {})
