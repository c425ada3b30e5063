"""The options of experiments on notes: which, as which spectrograms, and how they are heard."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.harness.bounds import Count, Size
from experiments.harness.options import SHOWN_SEEDS, RunOptions
from gan_jax import data
from gan_jax.data import notes, tfds
from gan_jax.data.embedded import EMBEDDED
from gan_jax.data.paths import path_of
from gan_jax.errors import Refusal
from gan_jax.nets.gansynth import per_channel
from gan_jax.signals.audio import Spectrograms
from gan_jax.typing import Batch, Feed, KeyArray

DRAWN = "notes"
NUM_RANGED = 1_000
CHUNK = 100  # notes that are drawn at a time
MARGIN = 0.8
"""The share of [-1, 1] that log magnitudes fill, as in the authors' code; frequencies do, too."""


@dataclass(frozen=True, kw_only=True)
class NoteOptions(RunOptions):
    dataset: str = DRAWN
    """`notes` are drawn anew in every step, of 16 harmonics in many timbres; a path (./notes) is a
    folder of sounds of yours (wav) whose metadata.jsonl has a column `pitch`; or a dataset of
    TensorFlow Datasets that has both (nsynth/gansynth_subset)."""
    rate: Count = 4_000
    """Samples a second, to which the sounds of a folder are brought."""
    frame_length: Size = 256
    """Samples in a frame of a spectrogram; 1,024 in the paper, and 2,048 in its H."""
    hop_length: Size = 128
    """Samples from a frame to the next."""
    num_frames: Size = 32
    """Of a note; 128 in the paper. What is longer is cut off."""
    spectrogram: Literal["mel", "linear", "phase"] = "mel"
    """Log power and instantaneous frequency in mel bands, log magnitude and instantaneous frequency
    in the bins themselves, or log magnitude and phase."""
    lowest_pitch: Count = 60
    """As MIDI numbers it, 60 being the middle C; with the highest one, what is learned."""
    highest_pitch: Count = 72
    loudness: tuple[float, float] | None = None
    """Between which log magnitudes those of training lie, by which they are scaled; without it they
    are looked at."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.highest_pitch < self.lowest_pitch:
            raise Refusal(
                f"--highest-pitch is {self.highest_pitch}; it must be at least --lowest-pitch, "
                f"{self.lowest_pitch}."
            )
        if self.loudness is not None and not -np.inf < self.loudness[0] < self.loudness[1] < np.inf:
            raise Refusal(
                f"--loudness is {self.loudness}; it must be two finite numbers, the lower first."
            )
        if self.num_samples < 1:
            raise Refusal(
                f"--num-frames is {self.num_frames}; a frame of {self.frame_length} samples has "
                f"{self.frame_length // self.hop_length} hops, and a note takes as many frames."
            )
        highest, lowest = (
            notes.frequency(pitch) for pitch in (self.highest_pitch + 0.5, self.lowest_pitch - 0.5)
        )
        if 2 * highest >= self.rate:
            raise Refusal(
                f"--highest-pitch is {self.highest_pitch}, {highest:.0f} Hz, which --rate "
                f"{self.rate} does not hold: lower the one, or raise the other."
            )
        if self.num_samples < 2 * self.rate / lowest:
            raise Refusal(
                f"Notes have {self.num_samples} samples, less than two periods of --lowest-pitch "
                f"{self.lowest_pitch}: raise it, or --num-frames or --hop-length."
            )

    @property
    def spectrograms(self) -> Spectrograms:
        return Spectrograms(
            frame_length=self.frame_length,
            hop_length=self.hop_length,
            rate=self.rate,
            mel=self.spectrogram == "mel",
            instantaneous=self.spectrogram != "phase",
        )

    @property
    def num_samples(self) -> int:
        return self.spectrograms.num_samples(self.num_frames)

    @property
    def pitches(self) -> np.ndarray:
        return np.arange(self.lowest_pitch, self.highest_pitch + 1, dtype=np.int32)

    @property
    def pitch_names(self) -> list[str]:
        return [str(pitch) for pitch in self.pitches]

    def sounds(self, split: str = "train") -> data.Dataset | None:
        """The sounds of a folder or of a dataset, or None where notes are drawn.

        Raises:
            ValueError: `dataset` is none of sounds, these have no pitches or pitches out of the
                range, or as `data.load`.
        """
        if self.dataset == DRAWN:
            return None
        family = self.dataset.partition("/")[0]
        if path_of(self.dataset, None) is None and (
            family in EMBEDDED or not tfds.knows(family, None)
        ):
            raise Refusal(
                f"--dataset is {self.dataset!r}; it must be {DRAWN}, the path of a folder of "
                "sounds, such as ./notes, or a dataset of sounds of TensorFlow Datasets."
            )
        found = data.load(self.dataset, split=split, num_samples=self.num_samples, rate=self.rate)
        pitch = getattr(found, "arrays", {}).get("pitch")
        if pitch is None or pitch.dtype != np.int32:
            raise Refusal(
                f"The sounds of --dataset {self.dataset} have no pitches: give a folder's "
                "metadata.jsonl a column `pitch` of whole numbers, as MIDI numbers them (60 is the "
                "middle C)."
            )
        if not self.lowest_pitch <= pitch.min() <= pitch.max() <= self.highest_pitch:
            raise Refusal(
                f"The pitches of --dataset {self.dataset} are {pitch.min()} to {pitch.max()}, and "
                f"{self.lowest_pitch} to {self.highest_pitch} are learned: give --lowest-pitch and "
                "--highest-pitch."
            )
        return found

    def audio_feed(self, sounds: data.Dataset | None) -> Feed:
        """Batches of `audio`, in [-1, 1], and `pitch`, the place among `pitches`."""
        if sounds is None:
            draw, num = partial(notes.draw, **self._form), self.examples_per_step
            stored = data.drawn_feed(draw, batch_size=num, resident=(self.pitches,))
        else:
            stored = self.feed(sounds, {"audio": None, "pitch": None})
        return data.map_feed(self._placed, stored)

    def note_feed(self, sounds: data.Dataset | None) -> Feed:
        """Batches of `spectrogram`, in its own units, and `pitch`, the place among `pitches`."""

        def pictured(key: KeyArray, batch: Batch) -> Batch:
            return {
                "spectrogram": self.spectrograms.of(batch["audio"]),
                "pitch": batch["pitch"],
            }

        return data.map_feed(pictured, self.audio_feed(sounds))

    def examples(self, sounds: data.Dataset | None, split: str, num: int) -> Batch:
        """Sounds of a split, always the same ones, as many as there are of `num`, and places of
        pitches."""
        if sounds is None:
            key, draw = jax.random.key(SHOWN_SEEDS[split]), partial(notes.draw, **self._form)
            keys = jax.vmap(partial(jax.random.fold_in, key))(np.arange(-(-num // CHUNK)))
            drawn = jax.jit(partial(jax.lax.map, lambda key: draw(key, CHUNK, self.pitches)))(keys)
            found = {name: np.concatenate(parts)[:num] for name, parts in drawn.items()}
        else:
            found = sounds[np.random.RandomState(0).permutation(len(sounds))[:num]]
        return jax.device_get(self._placed(None, found))

    def learned(self, sounds: data.Dataset | None) -> np.ndarray:
        """The places of the pitches that training has: of a folder there may be gaps."""
        if sounds is None:
            return np.arange(len(self.pitches), dtype=np.int32)
        pitch = getattr(sounds, "arrays", {})["pitch"]
        return np.unique(pitch) - self.lowest_pitch

    def with_loudness(self, sounds: data.Dataset | None) -> Self:
        """With the range of training notes, unless one is given."""
        if self.loudness is not None:
            return self
        audio = self.examples(sounds, "train", NUM_RANGED)["audio"]
        ask = jax.jit(lambda audio: self.spectrograms.of(audio)[..., 0])
        parts = [ask(audio[at : at + 100]) for at in range(0, len(audio), 100)]
        low, high = (float(of([of(part) for part in parts])) for of in (np.min, np.max))
        return replace(self, loudness=(low, high))

    @property
    def units(self) -> dict[str, tuple[float, float]]:
        """The scale a and the offset b that bring both numbers to [-0.8, 0.8]."""
        low, high = self.loudness or (0.0, 1.0)
        scale = 2 * MARGIN / (high - low)
        return {"scale": (scale, MARGIN), "offset": (-MARGIN - scale * low, 0.0)}

    def scaled(self, spectrogram: Array) -> Array:
        """What networks see: a x + b for both numbers."""
        return per_channel(self.units["scale"]) * spectrogram + per_channel(self.units["offset"])

    def unscaled(self, seen: Array) -> Array:
        return (seen - per_channel(self.units["offset"])) / per_channel(self.units["scale"])

    @property
    def _form(self) -> dict[str, int]:
        return {"num_samples": self.num_samples, "rate": self.rate}

    def _placed(self, key: KeyArray | None, batch: Batch) -> Batch:
        return {
            "audio": jnp.asarray(batch["audio"]),
            "pitch": jnp.asarray(batch["pitch"]) - self.lowest_pitch,
        }
