import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import metrics
from gan_jax.data import notes
from gan_jax.signals import audio as sounds

FORM = ("frame_length", "hop_length")
stft = jax.jit(sounds.stft, static_argnames=FORM)
istft = jax.jit(sounds.istft, static_argnames=(*FORM, "length"))
FRAMES = [(16, 4), (16, 8), (12, 4), (15, 5), (9, 3)]


def noise(*shape):
    return jax.random.normal(jax.random.key(0), shape)


@pytest.mark.parametrize(("frame_length", "hop_length"), FRAMES)
@pytest.mark.parametrize("num_samples", [60, 61, 3])
def test_the_inverse_gives_the_signal_back(frame_length, hop_length, num_samples):
    form = {"frame_length": frame_length, "hop_length": hop_length}
    audio = noise(2, 3, num_samples)
    spectrum = stft(audio, **form)
    np.testing.assert_allclose(istft(spectrum, **form, length=num_samples), audio, atol=1e-5)
    whole = istft(spectrum, **form)
    assert whole.shape == (2, 3, -(-num_samples // hop_length) * hop_length)
    np.testing.assert_allclose(whole[..., num_samples:], 0, atol=1e-5)


@pytest.mark.parametrize(("frame_length", "hop_length"), FRAMES)
def test_frames_are_what_the_definition_says(frame_length, hop_length):
    audio = np.asarray(noise(50), np.float64)
    ends = frame_length - hop_length
    padded = np.pad(audio, (ends, ends + -50 % hop_length))
    window = np.sin(np.pi * np.arange(frame_length) / frame_length) ** 2
    starts = range(0, len(padded) - frame_length + 1, hop_length)
    expected = [np.fft.fft(window * padded[t : t + frame_length]) for t in starts]
    found = stft(jnp.asarray(audio), frame_length=frame_length, hop_length=hop_length)
    half = frame_length // 2 + 1
    assert found.shape == (-(-50 // hop_length) + frame_length // hop_length - 1, half)
    np.testing.assert_allclose(found, np.array(expected)[:, :half], atol=1e-5)


def test_the_papers_frames():
    form = {"frame_length": 2048, "hop_length": 512}
    shape = jax.eval_shape(lambda x: stft(x, **form), jnp.zeros((8, 64_000))).shape
    assert shape == (8, 128, 1025)


def test_the_inverse_is_the_nearest_signal():
    """What is left of a spectrum is orthogonal to the transform of every signal."""
    form = {"frame_length": 12, "hop_length": 4}
    spectrum = noise(9, 7) + 1j * jax.random.normal(jax.random.key(1), (9, 7))
    spectrum = spectrum.at[:, 0].set(spectrum[:, 0].real).at[:, -1].set(spectrum[:, -1].real)
    left = spectrum - stft(istft(spectrum, **form), **form)
    others = stft(jnp.eye(28), **form)
    counted_twice = jnp.array([1.0] + [2.0] * 5 + [1.0])
    products = jnp.einsum("f,tf,ntf->n", counted_twice, left.conj(), others).real
    np.testing.assert_allclose(products, 0, atol=1e-4)
    assert jnp.abs(left).max() > 0.1


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (lambda: stft(jnp.zeros(9), frame_length=8, hop_length=3), "whole hops"),
        (lambda: stft(jnp.zeros(9), frame_length=8, hop_length=8), "at least two"),
        (lambda: stft(jnp.zeros(9), frame_length=8, hop_length=0), "hop_length is 0"),
        (lambda: inverse((5, 5), length=17), "length is 17; there are 16"),
        (lambda: inverse((5, 5), length=0), "length is 0"),
        (lambda: inverse((5, 4)), "5 frames of 4 bins"),
        (lambda: inverse((1, 5)), "1 frames of 5 bins"),
        (lambda: sounds.mel_matrix(1, rate=100), "num_bins is 1"),
        (lambda: sounds.mel_matrix(8, rate=0), "rate is 0"),
    ],
)
def test_what_is_refused(refused, said):
    with pytest.raises(ValueError, match=said):
        refused()


def inverse(shape, **how):
    return istft(jnp.zeros(shape, complex), frame_length=8, hop_length=4, **how)


def test_frequencies_add_up_to_the_phase():
    phase = 20 * noise(2, 50, 6)
    frequency = sounds.to_instantaneous_frequency(phase)
    assert -1 <= frequency.min() < -0.98
    assert 0.98 < frequency.max() < 1
    again = sounds.from_instantaneous_frequency(frequency)
    np.testing.assert_allclose(jnp.exp(1j * again), jnp.exp(1j * phase), atol=1e-4)
    np.testing.assert_allclose(again[:, 1] - again[:, 0], jnp.pi * frequency[:, 1], atol=1e-5)


@pytest.mark.parametrize(("turns_per_hop", "said"), [(5.1, 0.2), (4.75, -0.5), (5.6, -0.8)])
def test_a_pure_tone_has_one_frequency(turns_per_hop, said):
    """Of 16 samples a hop, in the bins that hear it, wherever a frame lies in it."""
    tone = jnp.cos(2 * jnp.pi * turns_per_hop / 16 * jnp.arange(640) + 0.3)
    spectrum = stft(tone, frame_length=64, hop_length=16)[3:-4]
    heard = int(jnp.abs(spectrum[0]).argmax())
    frequency = sounds.to_instantaneous_frequency(jnp.angle(spectrum))[1:, heard - 1 : heard + 2]
    np.testing.assert_allclose(frequency, said, atol=1e-3)


def test_polar_numbers_are_the_spectrum():
    spectrum = noise(3, 4) * jnp.exp(1j * noise(3, 4)) * jnp.array([[0.0, 1e-3, 1.0, 1e3]])
    log_magnitude = sounds.to_log_magnitude(spectrum)
    np.testing.assert_allclose(log_magnitude[:, 0], np.log(1e-6), rtol=1e-6)
    np.testing.assert_allclose(log_magnitude[:, 3], np.log(np.abs(spectrum[:, 3])), rtol=1e-5)
    again = sounds.from_polar(log_magnitude, jnp.angle(spectrum))
    np.testing.assert_allclose(again, spectrum, rtol=1e-4, atol=1e-7)


def test_mel_bands_as_in_the_authors_code():
    """Of their 1,024 bands 498 are widened; a band is a triangle of height 1."""
    matrix = sounds.mel_matrix(1024, rate=16_000)
    assert not matrix[0].any()
    # A narrow band of 1.5 bins holds one bin or two, whose weights say where its peak lies.
    in_band = (matrix > 0).sum(axis=0)
    assert set(in_band[1:400]) == {1, 2}
    peaks = 700 * np.expm1(np.log1p(8_000 / 700) * np.arange(1, 1025) / 1025)
    bins = np.linspace(0, 8_000, 1024)
    for band in (5, 300, 600, 1_000):
        edges = [peaks[band - 1], peaks[band + 1]]
        if edges[1] - edges[0] < 1.5 * 8_000 / 1024:
            ratio = (edges[1] + 700) / (peaks[band] + 700)
            half = np.arcsinh(0.75 * 8_000 / 1024 / (peaks[band] + 700))
            assert ratio < np.exp(half)
            edges = [(peaks[band] + 700) * np.exp(sign * half) - 700 for sign in (-1, 1)]
            assert edges[1] - edges[0] == pytest.approx(1.5 * 8_000 / 1024)
        expected = np.interp(bins, [edges[0], peaks[band], edges[1]], [0, 1, 0])
        np.testing.assert_allclose(matrix[:, band], expected, atol=1e-5)


def test_what_is_alike_in_all_bins_comes_back_from_mel():
    matrix = sounds.mel_matrix(64, rate=16_000)
    log_magnitude = jnp.broadcast_to(jnp.array([[-1.0], [2.0]]), (2, 64))
    phase = jnp.broadcast_to(jnp.array([[3.0], [40.0]]), (2, 64))
    power, turned = sounds.to_mel(log_magnitude, phase, matrix)
    np.testing.assert_allclose(power, np.log(np.exp([[-2.0], [4.0]]) * matrix.sum(0) + 1e-6), 1e-4)
    np.testing.assert_allclose(turned, np.array([[3.0], [40.0]]) * matrix.sum(0), rtol=1e-5)
    again = sounds.from_mel(power, turned, matrix)
    for found, given in zip(again, (log_magnitude, phase), strict=True):
        np.testing.assert_allclose(found[:, 1:-1], given[:, 1:-1], rtol=1e-4)
    np.testing.assert_allclose(again[0][:, 0], np.log(1e-6) / 2, rtol=1e-5)
    np.testing.assert_allclose(again[1][:, 0], 0)


PITCHES = notes.pitches()
KINDS = {
    "linear": {"mel": False},
    "phase": {"mel": False, "instantaneous": False},
    "mel": {"mel": True},
}


def drawn_notes(num_samples):
    """One of each of the 61 pitches."""
    draw = jax.vmap(lambda key, pitch: notes.draw(key, 1, pitch, num_samples=num_samples))
    keys = jax.random.split(jax.random.key(0), 61)
    return jax.jit(draw)(keys, jnp.asarray(PITCHES)[:, None])["audio"][:, 0]


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == "mel" else pytest.mark.slow) for kind in KINDS],
)
def test_all_61_pitches_are_kept_from_sound_to_spectrogram_and_back(kind):
    """Heard by autocorrelation, by frames of 1,024 samples every 256: in mel bands, too."""
    pictures = sounds.Spectrograms(frame_length=1_024, hop_length=256, rate=16_000, **KINDS[kind])
    audio = drawn_notes(pictures.num_samples(64))

    @jax.jit
    def heard():
        spectrograms = pictures.of(audio)
        again = pictures.audio(spectrograms, audio.shape[1])
        return spectrograms, again, metrics.read_pitch(again, rate=16_000)

    spectrograms, again, pitch = heard()
    assert spectrograms.shape == (61, 64, 512, 2)
    assert again.shape == audio.shape
    assert np.abs(spectrograms[..., 1]).max() <= 1
    np.testing.assert_array_equal(np.rint(pitch), PITCHES)
    np.testing.assert_allclose(pitch, PITCHES, atol=0.5 if kind == "mel" else 0.1)
    if kind != "mel":
        np.testing.assert_allclose(again, audio, atol=0.1)


def test_spectrograms_are_made_of_their_parts():
    audio, form = noise(2, 100), {"frame_length": 16, "hop_length": 4}
    spectrum = stft(audio, **form)[..., 1:]
    phase = jnp.angle(spectrum)
    of = {kind: sounds.Spectrograms(**form, rate=800, **KINDS[kind]).of(audio) for kind in KINDS}
    for kind in ("linear", "phase"):
        np.testing.assert_allclose(of[kind][..., 0], jnp.log(jnp.abs(spectrum) + 1e-6), rtol=1e-4)
    np.testing.assert_allclose(of["phase"][..., 1], phase / np.pi, atol=1e-5)
    steps = sounds.to_instantaneous_frequency(phase)
    np.testing.assert_allclose(of["linear"][..., 1], steps, atol=1e-5)
    matrix = sounds.mel_matrix(8, rate=800)
    power = jnp.log(jnp.square(jnp.abs(spectrum) + 1e-6) @ matrix + 1e-6)
    np.testing.assert_allclose(of["mel"][..., 0], power, rtol=1e-3, atol=1e-3)
    unwrapped = jnp.pi * jnp.cumsum(steps, axis=1) @ matrix
    turned = jnp.exp(1j * (sounds.from_instantaneous_frequency(of["mel"][..., 1]) - unwrapped))
    np.testing.assert_allclose(turned, 1, atol=1e-3)


def test_phases_cannot_be_taken_out_of_mel_bands():
    with pytest.raises(ValueError, match="Mel bands mix the phases"):
        sounds.Spectrograms(frame_length=16, hop_length=4, rate=800, instantaneous=False)
    with pytest.raises(ValueError, match="rate is 0"):
        sounds.Spectrograms(frame_length=16, hop_length=4, rate=0)
