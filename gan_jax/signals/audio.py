"""Sounds to spectrograms and back: the short-time Fourier transform, instantaneous frequency, mel.

Engel et al. 2019 (GANSynth), section 2, learn pairs of a log magnitude and an instantaneous
frequency, at 16 kHz by frames of 2,048 samples every 512, or of 1,024 every 256.
"""

import functools
import math
import operator
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from gan_jax.checks import AT_LEAST_1, AT_LEAST_2, check_bound
from gan_jax.errors import Refusal

FLOOR = 1e-6
"""Added to magnitudes before their logarithm, and to powers, as in the authors' code."""
LEAST_WIDTH = 1.5
"""Of a mel band, in linear bins, as in the authors' code."""


def hann(length: int) -> Float[Array, " {length}"]:
    """The periodic Hann window, 1/2 - 1/2 cos(2π n / length)."""
    return 0.5 - 0.5 * jnp.cos(2 * math.pi * jnp.arange(length) / length)


def stft(
    audio: Float[Array, "*batch samples"], *, frame_length: int, hop_length: int
) -> Complex[Array, "*batch frames {frame_length}//2+1"]:
    """The short-time Fourier transform by a periodic Hann window w.

        X[t, f] = Σ_n w[n] x[t · hop_length + n] exp(-2πi f n / frame_length)

    of x padded with zeros to whole hops, and by frame_length - hop_length at both ends, so that
    every sample lies in as many frames: `samples / hop_length + frame_length / hop_length - 1` in
    all. 64,000 samples by frames of 2,048 every 512 make 128 frames.

    Raises:
        ValueError: frames are not made of whole hops, at least two.
    """
    overlap = _overlap(frame_length, hop_length)
    *batch, num_samples = audio.shape
    ends = (overlap - 1) * hop_length
    pads = [(0, 0)] * len(batch) + [(ends, ends + -num_samples % hop_length)]
    hops = jnp.pad(audio, pads).reshape(*batch, -1, hop_length)
    num_frames = hops.shape[-2] - overlap + 1
    parts = [hops[..., first : first + num_frames, :] for first in range(overlap)]
    frames = jnp.concatenate(parts, axis=-1)
    return jnp.fft.rfft(jnp.broadcast_to(hann(frame_length), frames.shape) * frames)


def istft(
    spectrum: Complex[Array, "*batch frames bins"],
    *,
    frame_length: int,
    hop_length: int,
    length: int | None = None,
) -> Float[Array, "*batch samples"]:
    """The signal whose `stft` is nearest to a spectrum, in squares; of an `stft` its signal.

        x[m] = Σ_t w[m - t hop] y_t[m - t hop] / Σ_t w[m - t hop]²

    over the frames y_t that the spectrum says. `length` cuts what had been padded to whole hops.

    Griffin & Lim 1984, equation (6).

    Raises:
        ValueError: the bins are not those of such frames, there are too few frames for a hop of
            signal, or these have fewer than `length` samples.
    """
    overlap, window = _overlap(frame_length, hop_length), hann(frame_length)
    *_, num_frames, num_bins = spectrum.shape
    if num_bins != frame_length // 2 + 1 or num_frames < overlap:
        raise Refusal(
            f"The spectrum has {num_frames} frames of {num_bins} bins; frames of {frame_length} "
            f"samples every {hop_length} have {frame_length // 2 + 1} bins, and a signal has at "
            f"least {overlap} of them."
        )
    num_samples = (num_frames - overlap + 1) * hop_length
    if length is not None and not 0 < length <= num_samples:
        raise Refusal(
            f"length is {length}; there are {num_samples} samples, so it must be 1 to it."
        )

    def overlapped(frames: Float[Array, "*batch frames length"]) -> Float[Array, "*batch samples"]:
        hops = frames.reshape(*frames.shape[:-1], overlap, hop_length)
        # Hop h of the signal is part `overlap - 1 - i` of frame h + i.
        whole = num_frames - overlap + 1
        added = [hops[..., i : i + whole, overlap - 1 - i, :] for i in range(overlap)]
        return functools.reduce(operator.add, added).reshape(*frames.shape[:-2], -1)

    frames = jnp.fft.irfft(spectrum, frame_length)
    windows = jnp.broadcast_to(window, frames.shape)
    return (overlapped(windows * frames) / overlapped(windows**2))[..., :length]


def _overlap(frame_length: int, hop_length: int) -> int:
    check_bound(AT_LEAST_1, frame_length=frame_length, hop_length=hop_length)
    if frame_length % hop_length or frame_length == hop_length:
        raise Refusal(
            f"frame_length is {frame_length} and hop_length {hop_length}; frames must be made of "
            "whole hops, at least two: 1,024 and 256."
        )
    return frame_length // hop_length


def to_instantaneous_frequency(
    phase: Float[Array, "*batch frames bins"],
) -> Float[Array, "*batch frames bins"]:
    """How far the phase goes from frame to frame, in [-1, 1) where 1 is half a turn.

        f_t = wrap(φ_t - φ_(t-1)) / π,    φ_(-1) = 0

    A pure tone of frequency ω has the same at each frame but the first: hop_length · ω, wrapped.

    Engel et al. 2019, section 2.
    """
    steps = jnp.diff(phase, axis=-2, prepend=jnp.zeros_like(phase[..., :1, :]))
    return jnp.mod(steps / math.pi + 1, 2) - 1


def from_instantaneous_frequency(
    frequency: Float[Array, "*batch frames bins"],
) -> Float[Array, "*batch frames bins"]:
    """The phase, up to whole turns: π times the sum of the frequencies so far."""
    return math.pi * jnp.cumsum(frequency, axis=-2)


def to_log_magnitude(
    spectrum: Complex[Array, "*batch frames bins"],
) -> Float[Array, "*batch frames bins"]:
    """log(|X| + 1e-6)."""
    return jnp.log(jnp.abs(spectrum) + FLOOR)


def from_polar(
    log_magnitude: Float[Array, "*batch frames bins"], phase: Float[Array, "*batch frames bins"]
) -> Complex[Array, "*batch frames bins"]:
    """The spectrum of a log magnitude, as `to_log_magnitude` makes it, and a phase."""
    return (jnp.exp(log_magnitude) - FLOOR) * jnp.exp(1j * phase)


def mel_matrix(num_bins: int, *, rate: int) -> Float[np.ndarray, "{num_bins} {num_bins}"]:
    """The weights W, linear bins by mel bands, of as many bands as bins.

    Bins lie evenly from 0 to half the rate, which is in samples a second. Bands are triangles over
    the bins' frequencies f, with peaks of 1 evenly spaced in m = 1,127 log(1 + f / 700); one that
    is narrower than 1.5 bins is widened to it about its peak. The bin at 0 is in none.

    The authors' code of GANSynth, after HTK.
    """
    check_bound(AT_LEAST_2, num_bins=num_bins)
    check_bound(AT_LEAST_1, rate=rate)
    nyquist = rate / 2
    bins = np.linspace(0, nyquist, num_bins)[:, None]
    edges = np.linspace(0, _to_mel(nyquist), num_bins + 2)
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    width = LEAST_WIDTH * nyquist / num_bins
    is_narrow = _from_mel(high) - _from_mel(low) < width
    # Bands of half a width h in mel are 2 (f + 700) sinh(h / 1,127) wide in hertz.
    half = 1127 * np.arcsinh(width / 2 / (_from_mel(peak) + 700))
    low, high = np.where(is_narrow, peak - half, low), np.where(is_narrow, peak + half, high)
    low, peak, high = (_from_mel(edge) for edge in (low, peak, high))
    triangles = np.maximum(
        0, np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak))
    )
    return np.where(bins > 0, triangles, 0).astype(np.float32)


def mel_inverse(
    matrix: Float[np.ndarray, "bins bands"],
) -> Float[np.ndarray, "bands bins"]:
    """An approximate inverse of mel weights, Wᵀ with its columns scaled: Wᵀ / 1ᵀ W Wᵀ.

    It restores what is the same in all bins, but for bins that no band has, which are 0. The
    authors' code of GANSynth.
    """
    sums = (matrix @ matrix.T).sum(axis=0)
    return np.where(sums > 1e-8, matrix.T / np.maximum(sums, 1e-8), 0).astype(np.float32)


def to_mel(
    log_magnitude: Float[Array, "*batch frames bins"],
    phase: Float[Array, "*batch frames bins"],
    matrix: Float[np.ndarray, "bins bands"],
) -> tuple[Float[Array, "*batch frames bands"], Float[Array, "*batch frames bands"]]:
    """The log power and the phase in mel bands.

        log(exp(2 log|X|) W + 1e-6),    φ W

    The phase is one that was not wrapped, as `from_instantaneous_frequency` gives it.

    The authors' code of GANSynth.
    """
    return jnp.log(jnp.exp(2 * log_magnitude) @ matrix + FLOOR), phase @ matrix


def from_mel(
    log_power: Float[Array, "*batch frames bands"],
    phase: Float[Array, "*batch frames bands"],
    matrix: Float[np.ndarray, "bins bands"],
) -> tuple[Float[Array, "*batch frames bins"], Float[Array, "*batch frames bins"]]:
    """The log magnitude and the phase of `to_mel`, by `mel_inverse`: what high bands blur stays so.

    1/2 log(exp(log power) P + 1e-6),    φ P
    """
    inverse = mel_inverse(matrix)
    return jnp.log(jnp.exp(log_power) @ inverse + FLOOR) / 2, phase @ inverse


def _to_mel(frequency):
    return 1127 * np.log1p(np.asarray(frequency) / 700)


def _from_mel(mel):
    return 700 * np.expm1(np.asarray(mel) / 1127)


@dataclass(frozen=True, kw_only=True)
class Spectrograms:
    """Sounds as pairs of a log magnitude and a frequency, at frames and bins, and back.

    Of the bins of `stft` that at 0 is left out, so that there are `frame_length` / 2. The second
    number is the instantaneous frequency, in [-1, 1), or without `instantaneous` the phase, of
    which 1 is half a turn. With `mel` bins are as many mel bands, and the first number is a log
    power.

    Engel et al. 2019, section 2: their IF-Mel, IF, and Phase; frames of 2,048 samples are their H.

    >>> import jax
    >>> from gan_jax.signals import audio
    >>> spectrograms = audio.Spectrograms(frame_length=64, hop_length=16, rate=8_000, mel=False)
    >>> sound = jax.random.normal(jax.random.key(0), (2, 480))
    >>> pictures = spectrograms.of(sound)
    >>> pictures.shape, bool(abs(spectrograms.audio(pictures) - sound).max() < 0.5)
    ((2, 33, 32, 2), True)

    Raises:
        ValueError: as `stft`, or phases are to be in mel bands, of which they cannot be taken out.
    """

    frame_length: int
    hop_length: int
    rate: int
    mel: bool = True
    instantaneous: bool = True

    def __post_init__(self) -> None:
        _overlap(self.frame_length, self.hop_length)
        check_bound(AT_LEAST_1, rate=self.rate)
        if self.mel and not self.instantaneous:
            raise Refusal(
                "Mel bands mix the phases of their bins, which cannot be taken out of one wrapped "
                "phase again: leave out mel, or take instantaneous frequencies."
            )

    @property
    def num_bins(self) -> int:
        return self.frame_length // 2

    def num_samples(self, num_frames: int) -> int:
        """How many samples fill so many frames."""
        overlap = self.frame_length // self.hop_length
        return (num_frames - overlap + 1) * self.hop_length

    def of(self, audio: Float[Array, "*batch samples"]) -> Float[Array, "*batch frames bins 2"]:
        """The spectrograms of sounds."""
        spectrum = stft(audio, frame_length=self.frame_length, hop_length=self.hop_length)[..., 1:]
        loudness, phase = to_log_magnitude(spectrum), jnp.angle(spectrum)
        if self.mel:
            unwrapped = from_instantaneous_frequency(to_instantaneous_frequency(phase))
            loudness, phase = to_mel(loudness, unwrapped, self._matrix)
        second = to_instantaneous_frequency(phase) if self.instantaneous else phase / math.pi
        return jnp.stack([loudness, second], axis=-1)

    def audio(
        self, spectrogram: Float[Array, "*batch frames bins 2"], length: int | None = None
    ) -> Float[Array, "*batch samples"]:
        """The sounds of spectrograms, which any pair of arrays is. `length` as in `istft`."""
        loudness, second = spectrogram[..., 0], spectrogram[..., 1]
        phase = from_instantaneous_frequency(second) if self.instantaneous else math.pi * second
        if self.mel:
            loudness, phase = from_mel(loudness, phase, self._matrix)
        spectrum = from_polar(loudness, phase)
        low = [(0, 0)] * (spectrum.ndim - 1) + [(1, 0)]
        told = {"frame_length": self.frame_length, "hop_length": self.hop_length}
        return istft(jnp.pad(spectrum, low), **told, length=length)

    @property
    def _matrix(self) -> np.ndarray:
        return mel_matrix(self.num_bins, rate=self.rate)
