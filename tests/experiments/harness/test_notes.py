"""Notes as spectrograms: drawn or of a folder, their range, and what is refused."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.io import wavfile

from experiments.gansynth import Config
from experiments.harness import note_features
from experiments.harness.note_features import Listener
from gan_jax import data

pytestmark = pytest.mark.usefixtures("compiled_quickly")
FORM = {"frame_length": 64, "hop_length": 16, "num_frames": 8, "rate": 4_000}
SMALL = Config(**FORM, lowest_pitch=60, highest_pitch=63, batch_size=4)


def write(folder, pitches, rate=4_000, column="pitch"):
    lines = []
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True, exist_ok=True)
        lines = []
        for number, pitch in enumerate(pitches):
            sound = np.sin(np.arange(100) * (1 + number) / 9).astype(np.float32) / 2
            wavfile.write(folder / split / f"{number}.wav", rate, sound)
            lines.append(json.dumps({"file_name": f"{number}.wav", column: pitch}))
        (folder / split / "metadata.jsonl").write_text("\n".join(lines))
    return str(folder)


def pictures(config, audio):
    return np.asarray(jax.jit(config.spectrograms.of)(audio))


def batch_of(config):
    feed = config.note_feed(config.sounds())
    (chunk,) = feed.chunks([(0, 1)])
    read = jax.jit(lambda resident, item: feed.read(jax.random.key(0), resident, item))
    return read(feed.resident, jax.tree.map(lambda leaf: leaf[0], chunk))


def test_drawn_notes_are_spectrograms_with_places_of_pitches():
    batch = batch_of(SMALL)
    assert batch["spectrogram"].shape == (4, 8, 32, 2)
    assert set(np.asarray(batch["pitch"])) <= {0, 1, 2, 3}
    assert SMALL.pitch_names == ["60", "61", "62", "63"]
    assert SMALL.num_samples == 5 * 16


def test_notes_of_a_folder_have_their_own_pitches(tmp_path):
    config = Config(
        **FORM,
        lowest_pitch=60,
        highest_pitch=63,
        batch_size=4,
        dataset=write(tmp_path, [61, 63, 60, 61]),
    )
    assert sorted(np.asarray(batch_of(config)["pitch"])) == [0, 1, 1, 3]
    found = config.examples(config.sounds("test"), "test", 3)
    assert found["audio"].shape == (3, 80)
    assert set(found["pitch"]) <= {0, 1, 3}


@pytest.mark.parametrize("spectrogram", ["mel", "linear"])
def test_networks_see_training_notes_in_four_fifths_of_their_range(spectrogram):
    config = Config(**FORM, lowest_pitch=60, spectrogram=spectrogram).with_loudness(None)
    units = config.units
    audio = config.examples(None, "train", 1_000)["audio"]
    loudness = pictures(config, audio)[..., 0]
    scaled = units["scale"][0] * loudness + units["offset"][0]
    assert (scaled.min(), scaled.max()) == pytest.approx((-0.8, 0.8), abs=1e-3)
    assert (units["scale"][1], units["offset"][1]) == (0.8, 0)
    assert config.with_loudness(None) is config


@pytest.mark.slow
def test_a_listener_hears_real_notes(monkeypatch):
    """A network of one step names few of them; autocorrelation needs none."""
    monkeypatch.setattr(note_features, "NUM_STEPS", 1)
    monkeypatch.setattr(note_features, "NUM_JUDGED", 40)
    config = Config(
        frame_length=256,
        hop_length=64,
        num_frames=32,
        rate=4_000,
        lowest_pitch=60,
        batch_size=4,
        highest_pitch=64,
        spectrogram="linear",
    ).with_loudness(None)
    listener = Listener(config, None)
    assert listener.of_real["real/heard"] > 0.95
    real = config.examples(None, "train", 40)
    made = pictures(config, real["audio"])
    scores = listener.scores(made, real["pitch"])
    assert scores["heard"] > 0.95
    wrong = listener.scores(made, (real["pitch"] + 1) % 5)
    assert wrong["heard"] < 0.05
    silent = listener.scores(np.full((40, 32, 128, 2), -13.0, np.float32), real["pitch"])
    assert silent["fid"] > scores["fid"]
    assert silent["ndb"] > scores["ndb"]


def test_few_notes_are_no_measure(tmp_path):
    told = {**FORM, "lowest_pitch": 60, "highest_pitch": 63, "dataset": write(tmp_path, [60, 63])}
    config = Config(**told, loudness=(-10.0, 0.0))
    with pytest.raises(ValueError, match="There are 2 notes to compare with"):
        Listener(config, config.sounds())


def test_a_folder_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(note_features, "NUM_STEPS", 1)
    told = {**FORM, "lowest_pitch": 60, "highest_pitch": 63, "batch_size": 4}
    config = Config(**told, dataset=write(tmp_path, 6 * [60, 61, 62, 63]))
    read, read_sound = [], data.sounds.read_sound
    monkeypatch.setattr(
        data.sounds, "read_sound", lambda path: read.append(path) or read_sound(path)
    )
    sounds = config.sounds()
    config = config.with_loudness(sounds)
    config.note_feed(sounds)
    Listener(config, sounds)
    assert config.learned(sounds).tolist() == [0, 1, 2, 3]
    assert len(read) == len(set(read)) == 48


def test_only_pitches_that_are_there_are_asked_for(tmp_path):
    told = {**FORM, "lowest_pitch": 60, "highest_pitch": 63, "dataset": write(tmp_path, [60, 63])}
    config = Config(**told)
    assert config.learned(config.sounds()).tolist() == [0, 3]
    assert SMALL.learned(None).tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_the_classifier_is_one_for_one_kind_of_notes(monkeypatch):
    """Whatever the run's batch and seed; other notes have another."""
    monkeypatch.setattr(note_features, "NUM_STEPS", 1)
    unseen = {"spectrogram": np.zeros((30, 8, 32, 2), np.float32), "pitch": np.zeros(30, np.int32)}
    config = SMALL.with_loudness(None)
    names = [
        note_features.note_classifier(replace(config, **changes), None, unseen).name
        for changes in ({}, {"batch_size": 8, "seed": 1, "num_discriminator_steps": 2})
    ]
    assert names[0] == names[1]
    other = note_features.note_classifier(replace(config, highest_pitch=62), None, unseen)
    assert other.name != names[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": "digits"}, "must be notes, the path of a folder of sounds, such as"),
        ({"dataset": "note"}, "--dataset is 'note'; it must be notes, the path of a folder"),
        ({"lowest_pitch": 61}, "are 60 to 63, and 61 to 63 are learned: give --lowest-pitch"),
        (
            {"highest_pitch": 100},
            "--highest-pitch is 100, 2714 Hz, which --rate 4000 does not",
        ),
        ({"lowest_pitch": 40}, "Notes have 80 samples, less than two periods of --lowest-pitch 40"),
        ({"num_frames": 3}, "--num-frames is 3; a frame of 64 samples has 4 hops"),
        ({"loudness": (1.0, 1.0)}, "--loudness is"),
        ({"loudness": (0.0, float("nan"))}, "--loudness is"),
        ({"highest_pitch": 59}, "--highest-pitch is 59; it must be at least --lowest-pitch, 60"),
    ],
)
def test_what_is_refused(tmp_path, changes, said):
    told = {**FORM, "lowest_pitch": 60, "highest_pitch": 63, "dataset": write(tmp_path, [60, 63])}
    with pytest.raises(ValueError, match=said):
        Config(**{**told, **changes}).sounds()


def test_notes_need_a_column_of_pitches(tmp_path):
    told = {**FORM, "lowest_pitch": 60, "highest_pitch": 63}
    for column, pitches in (("key", [60, 61]), ("pitch", [60.5, 61.0])):
        with pytest.raises(ValueError, match=r"have no pitches: give a folder's metadata"):
            Config(**told, dataset=write(tmp_path / column, pitches, column=column)).sounds()


@pytest.mark.slow
def test_real_notes_are_read_and_heard(real):
    config = Config(dataset=str(real / "notes"), lowest_pitch=24, highest_pitch=84)
    found = config.examples(config.sounds("test"), "test", 91)
    assert found["audio"].shape == (91, config.num_samples)
    assert sorted(set(found["pitch"])) == list(range(61))
