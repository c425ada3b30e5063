"""Folders of sounds: samples, rates, splits, what is known of them, and what is no sound."""

import json

import numpy as np
import pytest
from scipy.io import wavfile

from gan_jax.data import ArrayDataset, SoundDataset, load, tfds
from gan_jax.data.sounds import Sound, at_rate, read_sound

RATE = 8_000
WAVE = np.sin(np.arange(40) / 3).astype(np.float32) * 0.9


def write(path, samples=WAVE, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, samples)


@pytest.mark.parametrize(
    ("kind", "scale", "offset"),
    [("uint8", 2**7, 128), ("int16", 2**15, 0), ("int32", 2**31, 0), ("float32", 1, 0)],
)
def test_samples_are_in_minus_1_to_1_whatever_is_stored(tmp_path, kind, scale, offset):
    write(tmp_path / "a.wav", (WAVE.astype(np.float64) * scale + offset).astype(kind), 44_100)
    samples, rate = read_sound(tmp_path / "a.wav")
    assert samples.dtype == np.float32
    assert rate == 44_100
    np.testing.assert_allclose(samples, WAVE, rtol=1e-6, atol=1.01 / scale if scale > 1 else 0)


def test_the_lowest_number_is_minus_1(tmp_path):
    for kind, lowest in (("uint8", 0), ("int16", -(2**15))):
        write(tmp_path / f"{kind}.wav", np.full(3, lowest, kind))
        assert read_sound(tmp_path / f"{kind}.wav").samples.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_folder_with_a_list(tmp_path, streamed, monkeypatch):
    if streamed:
        monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    for split, lengths in (("train", (30, 40, 50)), ("test", (30,))):
        lines = []
        for number, length in enumerate(lengths):
            write(tmp_path / split / f"{number}.wav", np.full(length, (number + 1) / 4, np.float32))
            told = {"pitch": 60 + number, "text": f"number {number}", "label": "abc"[number]}
            lines.append(json.dumps({"file_name": f"{number}.wav", **told}))
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(lines))
    dataset = load(str(tmp_path), num_samples=40)
    assert isinstance(dataset, SoundDataset if streamed else ArrayDataset)
    assert (len(dataset), dataset.rate) == (3, RATE)
    found = dataset[np.array([2, 0, 1])]
    number = np.rint(4 * found["audio"][:, 0]).astype(int) - 1
    assert sorted(number) == [0, 1, 2]
    np.testing.assert_array_equal(found["pitch"], 60 + number)
    assert [dataset.text[row] for row in (2, 0, 1)] == [f"number {one}" for one in number]
    np.testing.assert_array_equal(found["label"], number)
    ended = {one: np.count_nonzero(found["audio"][row]) for row, one in enumerate(number)}
    assert ended == {0: 30, 1: 40, 2: 40}
    test = load(str(tmp_path), num_samples=40, split="test")
    assert test.label_names == ("a", "b", "c")
    assert test[np.arange(1)]["label"].tolist() == [0]


def test_names_decide_where_there_are_no_splits(tmp_path):
    for number in range(60):
        write(tmp_path / "drum" / f"{number}.wav", np.full(9, (number + 1) / 60, np.float32))
    found = [load(str(tmp_path), num_samples=9, split=split) for split in ("train", "test")]
    loudest = [np.rint(dataset.arrays["audio"].max(axis=1) * 60) for dataset in found]
    assert len(set(np.concatenate(loudest))) == 60
    assert 1 < len(loudest[1]) < 15
    assert found[1].label_names == ("drum",)


def test_one_broken_sound_in_a_hundred_is_left_out(tmp_path, caplog):
    for number in range(99):
        write(tmp_path / f"train/{number}.wav")
    write(tmp_path / "test/a.wav")
    (tmp_path / "train/b.wav").write_bytes((tmp_path / "train/1.wav").read_bytes()[:100])
    assert len(load(str(tmp_path), num_samples=40)) == 99
    assert "1 of the 100 sounds in" in caplog.text
    assert "b.wav" in caplog.text


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros((40, 2), np.float32), r"a\.wav \(ValueError: it has 2 channels and must have"),
        (np.zeros(40, np.int16), r"a\.wav \(ValueError: it is silent\)"),
        (np.full(40, 128, np.uint8), "it is silent"),
        (np.zeros(0, np.int16), "it is silent"),
        (3.2 * WAVE, r"it goes to 2\.88 and must stay in \[-1, 1\]"),
        (np.full(40, np.nan, np.float32), "it goes to nan"),
    ],
)
def test_what_is_no_sound_is_named(tmp_path, samples, said):
    write(tmp_path / "train/a.wav", samples)
    write(tmp_path / "test/a.wav")
    with pytest.raises(ValueError, match=said):
        load(str(tmp_path), num_samples=40)


@pytest.mark.parametrize("streamed", [False, True])
def test_sounds_are_brought_to_one_rate(tmp_path, streamed, monkeypatch):
    """A tone keeps its frequency, in the middle of what was resampled."""
    if streamed:
        monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    for rate in (8_000, 16_000, 6_000):
        tone = np.sin(2 * np.pi * 500 * np.arange(rate // 10) / rate).astype(np.float32)
        write(tmp_path / f"train/{rate}.wav", 0.5 * tone, rate)
    dataset = load(str(tmp_path), num_samples=400, rate=4_000)
    assert dataset.rate == 4_000
    expected = 0.5 * np.sin(2 * np.pi * 500 * np.arange(400) / 4_000)
    for audio in dataset[np.arange(3)]["audio"]:
        np.testing.assert_allclose(audio[50:-50], expected[50:-50], atol=0.02)


def test_what_is_resampled_stays_in_minus_1_to_1():
    square = np.repeat(np.tile([1.0, -1.0], 50), 20).astype(np.float32)
    assert np.abs(at_rate(Sound(square, 8_000), 5_000).samples).max() == 1


def test_what_is_refused(tmp_path):
    write(tmp_path / "train/a.wav")
    write(tmp_path / "train/b.wav", rate=16_000)
    (tmp_path / "test").mkdir()
    with pytest.raises(ValueError, match=r"differ in their rate: .*8000 .*16000|16000 .*8000"):
        load(str(tmp_path), num_samples=40)
    with pytest.raises(ValueError, match=r"holds no sounds, .*none ends in \.wav"):
        load(str(tmp_path), num_samples=40, split="test")
    with pytest.raises(ValueError, match="num_samples is 0"):
        load(str(tmp_path), num_samples=0)
    with pytest.raises(ValueError, match="rate is 0"):
        load(str(tmp_path), num_samples=40, rate=0)
    for name, told in (("digits", {}), (str(tmp_path), {"image_size": 8})):
        with pytest.raises(ValueError, match="Sounds come from a folder or TensorFlow"):
            load(name, num_samples=40, **told)
