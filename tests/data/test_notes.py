"""Drawn notes: their pitches by their spectra, their range, and what cannot be drawn."""

import jax
import numpy as np
import pytest

from gan_jax.data import notes

KEY = jax.random.key(0)
draw = jax.jit(notes.draw, static_argnames=("num", "num_samples", "rate"))


def peaks(audio, rate, lowest):
    """The frequencies at which a second of sound is louder than all within half of `lowest`."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    bins = np.arange(len(spectrum)) * rate / len(audio)
    wide = int(lowest / 2 * len(audio) / rate)
    found = [
        bins[place]
        for place in range(wide, len(spectrum) - wide)
        if spectrum[place] == spectrum[place - wide : place + wide + 1].max()
        and spectrum[place] > 1e-2 * spectrum.max()
    ]
    return np.array(found)


def test_the_papers_pitches():
    assert notes.pitches()[[0, -1]].tolist() == [24, 84]
    assert len(notes.pitches()) == 61
    assert notes.frequency(69) == 440
    assert notes.frequency(np.array([60, 57])) == pytest.approx([261.6256, 220])


@pytest.mark.parametrize("pitch", [24, 57, 84])
def test_a_note_has_harmonics_of_its_pitch_and_nothing_else(pitch):
    """To half a hertz at the end of the 4 seconds that GANSynth's notes last."""
    audio = np.asarray(draw(KEY, 4, np.array([pitch]), num_samples=64_000)["audio"])
    for note in audio:
        found = peaks(note[-32_000:], 16_000, notes.frequency(pitch)) / notes.frequency(pitch)
        assert len(found) >= 1
        np.testing.assert_allclose(found, np.rint(found), atol=0.5 / notes.frequency(pitch))
        assert np.rint(found).max() <= notes.NUM_HARMONICS


def test_nothing_is_heard_between_the_harmonics():
    """A sum in floats of 32 bits would be heard as noise, 40 dB above this."""
    audio = np.asarray(draw(KEY, 8, np.array([81]), num_samples=64_000)["audio"], np.float64)
    level = np.abs(np.fft.rfft(audio[:, -16_000:] * np.blackman(16_000)))
    between = level[:, 880 // 2 :: 880]
    assert (between.max(axis=1) < 3e-5 * level.max(axis=1)).all()


def test_notes_differ_and_stay_in_their_range():
    batch = draw(KEY, 64, notes.pitches(), num_samples=2_000)
    audio, pitch = np.asarray(batch["audio"]), np.asarray(batch["pitch"])
    assert (audio.dtype, pitch.dtype) == (np.float32, np.int32)
    loudest = np.abs(audio).max(axis=1)
    assert 0.3 <= loudest.min() < 0.4
    assert 0.9 < loudest.max() <= 1
    assert len(np.unique(loudest)) == 64
    assert set(pitch) <= set(range(24, 85))
    assert len(set(pitch)) > 30
    assert np.abs(audio[:, 0]).max() < 1e-6


def test_harmonics_beyond_half_the_rate_are_left_out():
    audio = np.asarray(draw(KEY, 8, np.array([69]), num_samples=2_000, rate=2_000)["audio"])
    for note in audio:
        found = peaks(note, 2_000, 440)
        assert {round(float(one) / 440, 1) for one in found} <= {1.0, 2.0}


def test_timbres_are_as_the_docstring_says():
    """Of 200 notes: even harmonics from none to as strong as their neighbours, steep and flat."""
    audio = np.asarray(draw(KEY, 200, np.array([57]), num_samples=16_000)["audio"])
    level = np.abs(np.fft.rfft(audio[:, 4_000:] * np.hanning(12_000)))
    first, second, third = (level[:, h * 165 - 3 : h * 165 + 4].max(axis=1) for h in (1, 2, 3))
    fall = np.log(first / third) / np.log(3)
    assert 0.5 < fall.min() < 0.6
    assert 2.4 < fall.max() < 2.5
    even = second / first * 2**fall
    assert even.min() < 0.05
    assert 0.95 < even.max() < 1.01
    phase = np.exp(1j * np.angle(np.fft.rfft(audio[:, 4_000:])[:, 165]))
    assert abs(phase.mean()) < 3 / np.sqrt(200)
    half = np.abs(audio).max(axis=1, where=np.arange(16_000) < 8_000, initial=0)
    decay = 2 * np.log(half / np.abs(audio[:, 8_000:]).max(axis=1))
    assert decay.min() < 0.3
    assert 5 < decay.max() < 6


def test_notes_begin_within_50_ms():
    """By the loudness of whole periods, of 100 samples: it grows at once or slowly, then falls."""
    audio = np.asarray(draw(KEY, 100, np.array([57]), num_samples=3_200, rate=22_000)["audio"])
    loud = np.sqrt(np.mean(audio.reshape(100, -1, 100) ** 2, axis=2))
    assert (np.diff(loud[:, 11:], axis=1) <= 1e-6 * loud[:, 11:-1]).all()
    begun = loud[:, 0] / loud[:, 11]
    assert begun.min() < 0.08
    assert begun.max() > 0.7


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"num": 0}, "num is 0"),
        ({"num_samples": 0}, "num_samples is 0"),
        ({"rate": 0}, "rate is 0"),
        ({"rate": 2_000}, "A pitch of 84 is 1047 Hz, which 2000 samples a second do not hold"),
    ],
)
def test_what_cannot_be_drawn(told, said):
    with pytest.raises(ValueError, match=said):
        notes.draw(KEY, **{"num": 2, "pitches": notes.pitches(), **told})
