"""Experiments that make clips of sentences: what they read, are asked, and how clips are scored."""

import dataclasses
import json
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import text_to_video, tfgan
from experiments.harness import clip_telling, videos
from experiments.harness.captions import spread
from experiments.harness.clip_telling import READ, ClipTeller, evaluating, shown_rightly
from experiments.harness.runs import Players
from gan_jax.data import shapes, signed
from gan_jax.metrics import slices
from gan_jax.training import first_batch
from tests.data.test_clips import write

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
NUM = 59
CONFIG = text_to_video.Config(image_size=16, num_frames=4, batch_size=6)
CAPTIONS = CONFIG.captions()
TOLD = CONFIG.with_vocabulary(CAPTIONS)
ATTRIBUTES = [*shapes.MOVING_ATTRIBUTES, "look", "path", "all"]
SCENES = {
    sentence: code
    for split in ("train", "test")
    for code, (sentence,) in zip(*shapes.moving_scenes(split), strict=True)
}


def test_the_words_are_those_of_the_sentences_unless_they_are_given():
    assert len(TOLD.vocabulary) == 30
    assert list(TOLD.vocabulary) == sorted(TOLD.vocabulary)
    assert {"zigzag", "northeast", "triangle", "a"} < set(TOLD.vocabulary)
    given = dataclasses.replace(CONFIG, vocabulary=("red", "a"))
    assert given.with_vocabulary(CAPTIONS) == given
    assert given.tokens(["A blue, red a"])[0, :5].tolist() == [2, 0, 1, 2, 0]


def test_drawn_clips_move_as_the_words_beside_them_say():
    config = dataclasses.replace(TOLD, batch_size=40)
    batch = first_batch(config.told_feed(CAPTIONS))
    by_tokens = dict(
        zip(map(tuple, config.tokens(list(SCENES)).tolist()), SCENES.values(), strict=True)
    )
    codes = np.stack([by_tokens[tuple(row)] for row in np.asarray(batch["text"]).tolist()])
    assert shown_rightly(READ(batch["video"]), codes)["all"] == 1
    assert len(np.unique(codes, axis=0)) > 20


@pytest.fixture
def folder(tmp_path):
    """Clips whose colour their caption names."""
    for split, num in (("train", 8), ("test", 4)):
        lines = []
        for clip in range(num):
            write(tmp_path / split / f"{clip}.gif", clip)
            lines.append(json.dumps({"file_name": f"{clip}.gif", "text": f"The clip {clip}"}))
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_clips_of_a_folder_are_fed_with_the_words_of_their_captions(folder):
    config = dataclasses.replace(CONFIG, dataset=str(folder))
    captions = config.captions()
    config = config.with_vocabulary(captions)
    assert config.vocabulary == (*map(str, range(8)), "clip", "the")
    batch = first_batch(config.told_feed(captions))
    shown = np.rint((np.asarray(batch["video"])[:, 0, 8, 8, 0] + 1) / 2 * 255 / 20)
    np.testing.assert_array_equal(batch["text"][:, 2], shown + 1)
    scene = config.asked(captions, 5)
    np.testing.assert_array_equal(scene, np.arange(5))
    np.testing.assert_array_equal(
        config.real_clips(captions, scene[1:]), signed(captions.clips[np.arange(1, 5)]["video"])
    )


def test_clips_without_captions_are_refused(tmp_path):
    for clip in range(8):
        write(tmp_path / "train" / f"{clip}.gif", clip)
        write(tmp_path / "test" / f"{clip}.gif", clip)
    with pytest.raises(ValueError, match="have no captions: name a folder with a column `text`"):
        dataclasses.replace(CONFIG, dataset=str(tmp_path)).captions()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"dataset": "digits"},
            "^--dataset is 'digits'; it must be shapes, or the path",
        ),
        ({"length": 13}, "^--length is 13, but the sentences here have up to 14 words"),
        ({"length": 9}, "^--length is 9; sentences are read from 10 words on"),
        ({"vocabulary": ("a", "Red")}, "^--vocabulary is a Red; it must be words in small letters"),
        ({"vocabulary": ("a", "a")}, "^--vocabulary is a a; it must be .*, each once"),
    ],
)
def test_what_cannot_be_read_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(CONFIG, **changes).captions()


def recalled(key, players, tokens):
    """A clip of the words, of a number of the generator, and of what was drawn."""
    drawn = jax.random.uniform(key, (len(tokens),))
    told = [tokens[:, 0], jnp.full(len(tokens), players.generator), drawn]
    return jnp.stack(told, axis=1)[:, None, None, None]


def test_each_sentence_has_a_clip_of_its_own(monkeypatch):
    monkeypatch.setattr(clip_telling, "CHUNK", 2)
    sentences = ["zigzag", "a circle", "zigzag"]
    made = np.asarray(ClipTeller(TOLD, recalled)(KEY, Players(7.0, 8.0), sentences))[:, 0, 0, 0]
    np.testing.assert_array_equal(made[:, 0], TOLD.tokens(sentences)[:, 0])
    assert (made[:, 1] == 7).all()
    assert len(np.unique(made[:, 2])) == 3


def test_words_that_were_never_read_are_refused(monkeypatch):
    monkeypatch.setattr(clip_telling, "NUM_NAMED", 2)
    teller = ClipTeller(TOLD, recalled)
    words = r"^The run has never read 'a1', 'purple': .* that it knows, a, blue, \.\.\.\.$"
    with pytest.raises(ValueError, match=words):
        teller(KEY, Players(0.0, 0.0), ["A purple circle", "A1"])
    assert len(teller.make(KEY, Players(0.0, 0.0), ["A purple circle"])) == 1


drawn = jax.jit(partial(shapes.draw_moving, num_frames=4, size=16))


class Truth:
    """Makes clips of sentences as far as it knows them; else nothing."""

    def __init__(self, known):
        self.known = known

    def make(self, key, players, sentences):
        clips = drawn(key, np.stack([SCENES[sentence] for sentence in sentences]))
        known = np.array([sentence in self.known for sentence in sentences])
        return jnp.where(known[:, None, None, None, None], clips, players.generator)


def state_of(generator):
    average = SimpleNamespace(generator=generator, discriminator=None)
    return SimpleNamespace(memory=average)


class Colours:
    """A classifier that names all rightly where it is green, and else nothing."""

    def read(self, clips):
        found = READ(clips)
        green = np.asarray(found["colour"]) == shapes.COLOURS.index("green")
        return {name: np.where(green, value, -1) for name, value in found.items()}


@pytest.mark.slow
def test_scores_say_of_which_split_clips_show_what_is_said(monkeypatch):
    monkeypatch.setattr(clip_telling, "NUM_TOLD", NUM)
    monkeypatch.setattr(slices, "NUM_DIRECTIONS", 32)
    monkeypatch.setattr(clip_telling, "clip_classifier", lambda **sizes: Colours())
    monkeypatch.setattr(
        clip_telling, "clips_distance", lambda classifier, real, made: float(np.mean(made - real))
    )
    monkeypatch.setattr(clip_telling, "averaged", lambda state: state.memory)
    found = evaluating(TOLD, CAPTIONS, Truth(set(CAPTIONS.sentences)))(KEY, state_of(-1.0))
    scores = found.metrics
    assert {name: scores[f"seen/{name}"] for name in [*ATTRIBUTES, "read"]} == dict.fromkeys(
        [*ATTRIBUTES, "read"], 1
    )
    assert {scores[f"held_out/{name}"] for name in [*ATTRIBUTES, "read"]} == {0}
    assert {scores[f"real/{name}"] for name in [*ATTRIBUTES, "read"]} == {1}
    codes = CAPTIONS.codes[spread(288, NUM)]
    same = np.random.default_rng(0).permutation(codes)[:, 0] == codes[:, 0]
    expected = [*same.T, same[:, :3].all(1), same[:, 3:].all(1), same.all(1)]
    shuffled = [scores[f"shuffled/{name}"] for name in ATTRIBUTES]
    np.testing.assert_allclose(shuffled, np.mean(expected, axis=1))
    assert scores["shuffled/read"] == 1
    assert scores["classifier/seen/look"] == pytest.approx(scores["classifier/real/all"])
    assert 0.1 < scores["classifier/seen/look"] < 0.3
    assert "classifier/seen/read" not in scores
    assert scores["classifier/held_out/all"] == 0
    assert 0 < abs(scores["video"]) < 0.1
    assert 0 < abs(scores["real/video"]) < 0.1
    assert 0 < scores["real/frames"] < 150
    assert 0 < scores["frames"] < 150
    rows = found.files["told"].pixels
    assert rows.shape == (8 * (16 + 4 * 18), 4 * 4 * 18, 3)
    colourful = [len(np.unique(row[16:].reshape(-1, 3), axis=0)) > 2 for row in np.split(rows, 8)]
    assert colourful == [True] * 4 + [False] * 4
    assert found.files["moving"].frames.shape[0] == 4
    assert "100.0% have the size, colour and shape" in clip_telling.said(scores)


def test_what_is_read_is_right_by_itself_and_together():
    codes = np.stack([SCENES[sentence] for sentence in CAPTIONS.sentences[:24]])
    clips = drawn(KEY, codes)
    other = codes.copy()
    other[:6, :, 0] = 1 - other[:6, :, 0]
    other[3:12, :, 3:] = (2, 4)
    found = shown_rightly(READ(clips), other)
    assert found["size"] == found["look"] == 18 / 24
    assert found["colour"] == found["shape"] == 1
    astray = np.any(other[..., 3:] != codes[..., 3:], axis=(1, 2))
    assert found["path"] == pytest.approx(1 - astray.mean())
    assert found["all"] == pytest.approx(1 - (astray | (np.arange(24) < 6)).mean())


@pytest.mark.slow
def test_a_folder_is_scored_by_its_frames(folder, monkeypatch):
    monkeypatch.setattr(clip_telling, "averaged", lambda state: state.memory)
    config = dataclasses.replace(CONFIG, dataset=str(folder))
    captions = config.captions()
    teller = SimpleNamespace(
        make=lambda key, players, sentences: np.zeros((len(sentences), 4, 16, 16, 3), np.float32)
    )
    found = evaluating(config, captions, teller)(KEY, state_of(0.0))
    real = config.real_clips(captions, np.arange(8))
    expected = videos.frames_distance(real, np.zeros_like(real))
    assert found.metrics == {"frames": pytest.approx(expected)}
    assert clip_telling.said(found.metrics).startswith(f"frames differ by {expected:.1f}")


def test_rates_do_not_vanish_before_the_end():
    for config in (*text_to_video.CONFIGS.values(), *tfgan.CONFIGS.values()):
        assert config.steps / config.halving_steps <= 5
