"""Notes of many timbres, drawn inside the compiled step by additive synthesis."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, check_bound, is_known
from gan_jax.errors import Refusal
from gan_jax.typing import Batch, KeyArray

LOWEST, HIGHEST = 24, 84
"""The pitches of GANSynth's notes, as MIDI numbers them: 33 to 1,047 Hz."""
NUM_HARMONICS = 16
FALLS = 0.5, 2.5
EVEN = 0.0, 1.0
ATTACK = 0.002, 0.05
DECAY = 0.0, 6.0
PEAK = 0.3, 1.0
TURN = 2.0**32


def pitches() -> Int[np.ndarray, " pitches"]:
    """All 61."""
    return np.arange(LOWEST, HIGHEST + 1, dtype=np.int32)


def frequency(pitch: Any) -> Any:
    """Of MIDI numbers, in hertz: 440 · 2^((pitch - 69) / 12)."""
    return 440 * 2 ** ((pitch - 69) / 12)


def draw(
    key: KeyArray,
    num: int,
    pitches: Int[Any, " pitches"],
    *,
    num_samples: int = 16_000,
    rate: int = 16_000,
) -> Batch:
    """Draw notes of pitches that are drawn from these.

        x(t) = p · min(t / a, 1) exp(-d t) Σ_h w_h sin(2π h f t + φ_h) / peak

    Over the harmonics h = 1, ..., 16 below half the rate. Of each note: the strengths fall as
    w_h = h^-s, s uniform in [0.5, 2.5], times e for even h, e in [0, 1]; phases are uniform; the
    attack a is 2 to 50 ms, the decay d 0 to 6 a second, and the loudest sample p 0.3 to 1. All of
    this is our choice. `data.drawn_feed(draw, batch_size=8, resident=(pitches(),))` makes batches.

    Returns:
        `audio`, float32 (num, num_samples) in [-1, 1], and `pitch`, int32, as MIDI numbers it.

    Raises:
        ValueError: no note, no sample or no rate; or a pitch at half the rate or above.
    """
    check_bound(AT_LEAST_1, num=num, num_samples=num_samples, rate=rate)
    _check_heard(pitches, rate)
    key_pitch, key_phase, *keys = jax.random.split(key, 7)
    pitch = jnp.asarray(pitches)[jax.random.randint(key_pitch, (num,), 0, len(pitches))]
    fall, even, attack, decay, peak = (
        jax.random.uniform(key, (num, 1), minval=low, maxval=high)
        for key, (low, high) in zip(keys, (FALLS, EVEN, ATTACK, DECAY, PEAK), strict=True)
    )
    harmonic = jnp.arange(1, NUM_HARMONICS + 1)[None]
    cycles = frequency(pitch.astype(float))[:, None] / rate * harmonic
    strength = jnp.where(harmonic % 2 == 0, even, 1) * harmonic.astype(float) ** -fall
    strength = jnp.where(cycles < 0.5, strength, 0)
    waves = _sines(key_phase, cycles, num_samples)
    t = jnp.arange(num_samples)[None] / rate
    shape = jnp.minimum(t / attack, 1) * jnp.exp(-decay * t)
    audio = shape * jnp.einsum("nh,nht->nt", strength, waves)
    loudest = jnp.max(jnp.abs(audio), axis=1, keepdims=True)
    return {
        "audio": peak * audio / jnp.maximum(loudest, jnp.finfo(jnp.float32).tiny),
        "pitch": pitch,
    }


def _sines(key: KeyArray, cycles: Array, num_samples: int) -> Float[Array, "num harmonics samples"]:
    """Of so many cycles a sample, at random phases.

    Turns are counted in integers of 32 bits, which run over as they should: floats of that size
    would be heard as noise.
    """
    start = jax.random.bits(key, cycles.shape, jnp.uint32)
    step = (cycles % 1 * TURN).astype(jnp.uint32)
    sample = jnp.arange(num_samples, dtype=jnp.uint32)
    turned = start[..., None] + step[..., None] * sample[None, None]
    return jnp.sin(2 * jnp.pi / TURN * turned.astype(float))


def _check_heard(pitches: Any, rate: int) -> None:
    if is_known(pitches) and 2 * frequency(np.max(pitches)) >= rate:
        raise Refusal(
            f"A pitch of {np.max(pitches)} is {frequency(np.max(pitches)):.0f} Hz, which {rate} "
            "samples a second do not hold: give a higher rate, or lower pitches."
        )
