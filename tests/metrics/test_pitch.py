"""Pitches of tones that are known, and what has none."""

import jax
import numpy as np
import pytest

from gan_jax.metrics import read_pitch

RATE = 8_000
T = np.arange(2_000) / RATE
read = jax.jit(read_pitch, static_argnames=("rate", "lowest", "highest"))


def tones(pitches, strengths=(1.0,)):
    frequency = 440 * 2 ** ((np.asarray(pitches) - 69) / 12)
    turns = np.arange(1, len(strengths) + 1)[:, None, None] * frequency[:, None] * T
    return np.einsum("h,hnt->nt", strengths, np.sin(2 * np.pi * turns + 1))


@pytest.mark.parametrize("strengths", [(1,), (1, 0.5, 0.3), (0, 1, 1, 1), (0.4, 1)])
def test_the_pitch_is_that_of_the_period(strengths):
    """To a twentieth of a semitone, also where the fundamental is weak, or not there at all."""
    pitches = np.arange(40, 80, 0.7)
    found = read(tones(pitches, strengths), rate=RATE, lowest=40, highest=84)
    np.testing.assert_allclose(found, pitches, atol=0.05)


def test_loudness_and_decay_change_little():
    pitches = np.arange(45, 80)
    audio = tones(pitches, (1, 0.5)) * np.exp(-8 * T)
    for scale in (1e-3, 1.0, 1e3):
        found = read(scale * audio, rate=RATE)
        np.testing.assert_allclose(found, pitches, atol=0.1)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(size=(20, 2_000))
    assert np.isnan(read(noise, rate=RATE)).all()
    assert np.isnan(read(np.zeros((2, 2_000)), rate=RATE)).all()


def test_a_period_below_the_range_is_not_taken():
    found = np.asarray(read(tones([30, 60]), rate=RATE, lowest=50, highest=70))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(60, abs=0.05)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"rate": 0}, "rate is 0"),
        ({"lowest": 60, "highest": 50}, "there must be some"),
        ({"highest": 130}, "of more than 2 samples"),
        ({"lowest": 10}, "Sounds have 2000 samples, and a pitch of 10 a period of 565"),
    ],
)
def test_what_is_refused(told, said):
    audio = np.zeros((1, 1_100 if told.get("lowest") == 10 else 2_000))
    with pytest.raises(ValueError, match=said.replace("2000", str(audio.shape[1]))):
        read_pitch(audio, **{"rate": RATE, **told})
