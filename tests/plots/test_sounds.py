"""Sounds in a file and in a row; spectrograms with time to the right and low bins below."""

import numpy as np
from scipy.io import wavfile

from gan_jax import plots


def test_a_sound_is_a_file_of_16_bits(tmp_path):
    samples = np.array([0.0, 0.5, -1.0, 1.0, 1.7, -3.0], np.float32)
    plots.Sound(samples, 8_000).save(tmp_path / "a.wav")
    rate, written = wavfile.read(tmp_path / "a.wav")
    assert (rate, written.dtype) == (8_000, np.int16)
    assert written.tolist() == [0, 16384, -32767, 32767, 32767, -32767]
    assert plots.Sound.suffix == ".wav"


def test_sounds_in_a_row_are_a_tenth_of_a_second_apart():
    sound = plots.in_a_row(np.array([[1.0, 2.0], [3.0, 4.0]]), 30)
    assert sound.rate == 30
    assert sound.samples.tolist() == [1, 2, 0, 0, 0, 3, 4, 0, 0, 0]


def test_spectrograms_are_seen_with_their_low_bins_below():
    spectrogram = np.zeros((1, 3, 4, 2), np.float32)
    spectrogram[..., 0] = -5.0
    spectrogram[0, 0, 0, 0] = 1.0  # the first frame, the lowest bin
    spectrogram[0, 2, 3, 1] = 1.0  # the last frame, the highest bin
    pixels = plots.spectrogram_grid(spectrogram, columns=1).pixels[..., 0]
    expected = [
        [0, 0, 0, 127, 127, 255],
        [0, 0, 0, 127, 127, 127],
        [0, 0, 0, 127, 127, 127],
        [255, 0, 0, 127, 127, 127],
    ]
    assert pixels[1:-1, 1:-1].tolist() == expected
