"""The pitch of sounds, by their autocorrelation."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal

SHARE = 0.9
"""Of the highest peak: the first that is as high is the period, and later ones its multiples."""
FINE = 4
"""Lags to a sample."""


def read_pitch(
    audio: Float[Any, "num samples"], *, rate: int, lowest: int = 24, highest: int = 84
) -> Float[Array, " num"]:
    """The pitch of each sound, as MIDI numbers it, between half a semitone below and above these.

        n(τ) = 2 Σ x_t x_(t+τ) / Σ (x_t² + x_(t+τ)²)

    is 1 at a period and its multiples. Of its peaks within the range the period is the first of at
    least 9/10 of the highest, placed by a parabola through it and its neighbours. nan is no pitch:
    no peak above 1/2, as of noise, or silence.

    McLeod & Wyvill 2005, "A smarter way to find pitch", sections 4 and 6.

    Raises:
        ValueError: the range is empty or reaches half the rate, or sounds are shorter than twice
            the longest period.
    """
    check_bound(AT_LEAST_1, rate=rate)
    shortest, longest = (
        rate / (440 * 2 ** ((pitch - 69) / 12)) for pitch in (highest + 0.5, lowest - 0.5)
    )
    if not 2 < shortest < longest:
        raise Refusal(
            f"The pitches are {lowest} to {highest}, of periods of {longest:.1f} to {shortest:.1f} "
            "samples; there must be some, of more than 2 samples."
        )
    num_samples = audio.shape[1]
    if num_samples < 2 * longest:
        raise Refusal(
            f"Sounds have {num_samples} samples, and a pitch of {lowest} a period of "
            f"{longest:.0f}: give sounds of two periods or more, or raise the lowest pitch."
        )
    lags = jnp.arange(int(shortest * FINE) - 1, int(longest * FINE) + 3)
    likeness = jax.vmap(lambda sound: _likeness(sound, lags))(jnp.asarray(audio, jnp.float32))
    before, here, after = likeness[:, :-2], likeness[:, 1:-1], likeness[:, 2:]
    peaks = jnp.where((here >= before) & (here > after) & (here > 0.5), here, 0)
    is_period = peaks >= SHARE * jnp.max(peaks, axis=1, keepdims=True)
    first = jnp.argmax(is_period, axis=1)[:, None]
    a, b, c = (jnp.take_along_axis(x, first, axis=1)[:, 0] for x in (before, here, after))
    offset = (a - c) / (2 * (a - 2 * b + c))
    period = (lags[1:-1][first[:, 0]] + offset) / FINE
    pitch = 69 + 12 * jnp.log2(rate / period / 440)
    return jnp.where(jnp.max(peaks, axis=1) > 0, pitch, jnp.nan)


def _likeness(sound: Array, lags: Array) -> Float[Array, " lags"]:
    """n(τ) at lags in parts of a sample: a peak between samples is as high as it is."""
    num = len(sound)
    power = jnp.square(jnp.abs(jnp.fft.rfft(sound, 2 * num)))
    products = FINE * jnp.fft.irfft(power, 2 * num * FINE)[lags]
    energy = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.square(sound))])
    whole = lags // FINE
    both = energy[num - whole] + energy[num] - energy[whole]
    return 2 * products / jnp.maximum(both, jnp.finfo(jnp.float32).tiny)
