"""Sounds of TensorFlow Datasets, prepared as TFDS does it."""

from types import SimpleNamespace

import numpy as np
import pytest

from gan_jax.data import ArrayDataset, load, tfds
from gan_jax.data.sounds import Sound, at_rate

tensorflow_datasets = pytest.importorskip("tensorflow_datasets")


class Tones(tensorflow_datasets.core.GeneratorBasedBuilder):
    """With the fields of `nsynth/gansynth_subset` that are read, and one that is not."""

    VERSION = tensorflow_datasets.core.Version("1.0.0")
    RATE, DTYPE = 8_000, np.float32
    PITCH = tensorflow_datasets.features.ClassLabel(num_classes=128)

    def _info(self):
        kinds = tensorflow_datasets.features
        fields = {
            "audio": kinds.Audio(shape=(None,), dtype=self.DTYPE, sample_rate=self.RATE),
            "pitch": self.PITCH,
            "velocity": kinds.ClassLabel(num_classes=128),
        }
        return self.dataset_info_from_configs(features=kinds.FeaturesDict(fields))

    def _split_generators(self, dl_manager):
        raise NotImplementedError

    def _generate_examples(self):
        raise NotImplementedError


class WholeTones(Tones):
    """Sounds of integers."""

    DTYPE = np.int64


class Glides(Tones):
    """Pitches that are no whole numbers."""

    PITCH = tensorflow_datasets.features.Scalar(np.float32)


AUDIO = [np.linspace(-1, 1, num, dtype=np.float32) for num in (5, 9, 7)]
PITCH = [24, 84, 60]


@pytest.fixture(autouse=True)
def _tensorflow(monkeypatch):
    """All that TFDS asks TensorFlow for, to describe sounds, is the name of their type."""
    features = pytest.importorskip("tensorflow_datasets.core.features")
    fake = SimpleNamespace(dtypes=SimpleNamespace(as_dtype=np.dtype))
    for module in (features.audio_feature, features.feature):
        monkeypatch.setattr(module, "tf", fake)


@pytest.fixture
def tones(tmp_path, prepare):
    arrays = {"audio": AUDIO, "pitch": PITCH, "velocity": [1, 2, 3]}
    prepare("tones", tmp_path, {"train": arrays, "test": {n: a[:1] for n, a in arrays.items()}})
    return tmp_path


@pytest.mark.parametrize("resident_bytes", [tfds.RESIDENT_BYTES, 0])
def test_sounds_are_cut_or_end_in_silence_and_have_a_pitch(tones, monkeypatch, resident_bytes):
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", resident_bytes)
    dataset = load("tones", num_samples=7, data_dir=tones)
    assert isinstance(dataset, ArrayDataset) == bool(resident_bytes)
    assert (len(dataset), dataset.rate, dataset.arrays["pitch"].tolist()) == (3, 8_000, PITCH)
    found = dataset[np.array([2, 0, 1])]
    assert {name: array.dtype for name, array in found.items()} == {
        "audio": np.float32,
        "pitch": np.int32,
    }
    assert found["pitch"].tolist() == [60, 24, 84]
    expected = [AUDIO[2], np.pad(AUDIO[0], (0, 2)), AUDIO[1][:7]]
    np.testing.assert_array_equal(found["audio"], expected)
    assert len(load("tones", num_samples=7, data_dir=tones, split="test")) == 1


def test_sounds_are_brought_to_the_rate_that_is_asked_for(tones):
    dataset = load("tones", num_samples=7, data_dir=tones, rate=4_000)
    assert dataset.rate == 4_000
    expected = at_rate(Sound(AUDIO[1], 8_000), 4_000).samples
    np.testing.assert_allclose(dataset[np.array([1])]["audio"][0], np.pad(expected, (0, 2)))


def test_pitches_are_read_once(tones, monkeypatch):
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    load("tones", num_samples=7, data_dir=tones)
    assert len(list(tones.rglob("gan_jax-train-pitch.npz"))) == 1
    monkeypatch.setattr(tfds.TFDSDataset, "__getitem__", None)
    again = load("tones", num_samples=7, data_dir=tones)
    assert again.arrays["pitch"].tolist() == PITCH


def test_pitches_of_fractions_are_left_out(tmp_path, prepare):
    prepare("glides", tmp_path, {"train": {"audio": AUDIO, "pitch": PITCH, "velocity": PITCH}})
    assert list(load("glides", num_samples=7, data_dir=tmp_path)[np.arange(2)]) == ["audio"]


def test_what_is_no_dataset_of_sounds_is_refused(data_dir, tmp_path):
    for name, folder in (("mnist", data_dir), ("whole_tones", tmp_path)):
        with pytest.raises(ValueError, match=f"'{name}' is no dataset of sounds"):
            load(name, num_samples=7, data_dir=folder)
