"""Sounds to be heard, and pictures of their spectrograms."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.io import wavfile

from gan_jax.plots.images import image_grid
from gan_jax.plots.pictures import Picture

PAUSE = 0.1
"""Seconds of silence behind each sound of a row."""


class Sound(NamedTuple):
    """Samples in [-1, 1], so many a second."""

    samples: Float[np.ndarray, " samples"]
    rate: int

    suffix = ".wav"

    def save(self, path: Path | str) -> None:
        """Write a WAV of 16 bits; what is louder than 1 is cut."""
        loudest = np.iinfo(np.int16).max
        samples = np.rint(loudest * np.clip(self.samples, -1, 1)).astype(np.int16)
        wavfile.write(path, self.rate, samples)


def in_a_row(sounds: Float[np.ndarray, "num samples"], rate: int) -> Sound:
    """One sound after the other, a tenth of a second apart."""
    silence = np.zeros((len(sounds), round(PAUSE * rate)), sounds.dtype)
    return Sound(np.concatenate([sounds, silence], axis=1).ravel(), rate)


def spectrogram_grid(
    spectrograms: Float[np.ndarray, "num frames bins 2"], *, columns: int | None = None
) -> Picture:
    """Show spectrograms, time to the right and low bins below: loudness, and frequency beside it.

    Each loudness goes from black, at the least of all, to white; frequencies from -1 to 1.
    """
    loudness, frequency = spectrograms[..., 0], spectrograms[..., 1]
    low, high = loudness.min(), loudness.max()
    shown = 2 * (loudness - low) / max(high - low, np.finfo(np.float32).tiny) - 1
    both = np.concatenate([shown, np.clip(frequency, -1, 1)], axis=1)
    return image_grid(both.swapaxes(1, 2)[:, ::-1, :, None], columns=columns, scale=1)
