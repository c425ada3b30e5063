"""What captioned pictures show, the sentences of each, and whether drawn ones show what is said."""

import dataclasses
import json

import jax
import numpy as np
import PIL.Image
import pytest

from experiments import char_cnn_rnn
from experiments.harness import captions
from experiments.harness.captions import read_scenes, spread
from gan_jax import data
from gan_jax.data import shapes, tfds
from gan_jax.data.streamed_folders import FolderDataset
from gan_jax.training import first_batch

NUM = 48
DRAWN = char_cnn_rnn.Config(image_size=16, batch_size=NUM)
FOLDER = char_cnn_rnn.Config(image_size=4, batch_size=5, length=9)


@pytest.mark.parametrize(
    ("num_scenes", "num", "expected"),
    [(3, 7, [0, 1, 2, 0, 1, 2, 0]), (3, 3, [0, 1, 2]), (10, 4, [0, 2, 5, 7]), (9, 3, [0, 3, 6])],
)
def test_scenes_are_alike_often_or_from_all_over(num_scenes, num, expected):
    assert spread(num_scenes, num).tolist() == expected


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(captions, "NUM_DRAWN", {"train": NUM, "test": NUM})


def shares(shown, said):
    """How often all figures have the attributes that are said of them."""
    right = dict(zip(shapes.ATTRIBUTES, np.moveaxis(shown == said, -1, 0), strict=True))
    right["all"] = right["size"] & right["colour"] & right["shape"]
    right["read"] = shown[..., 0] != -1
    return {name: pytest.approx(np.mean(np.all(value, 1))) for name, value in right.items()}


def test_the_first_pictures_are_from_all_over_and_the_same_for_every_seed(few):
    pairs = dataclasses.replace(DRAWN, num_shapes=2, length=131)
    codes = [dataclasses.replace(pairs, seed=seed).captions() for seed in (0, 2**31)]
    first, again = ((some.dataset[np.arange(12)], some) for some in codes)
    np.testing.assert_array_equal(first[0]["image"], again[0]["image"])
    scene = first[0]["scene"]
    assert len(np.unique(scene // (len(codes[0].codes) // 6))) >= 4
    assert (np.diff(scene) < 0).any()


def by_place(shown, said):
    """Of each figure that is said, the one in its place; -1 where there is none."""
    quarters = np.full((len(shown), 4, 4), -1)
    np.put_along_axis(quarters, shown[..., -1:], shown, axis=1)
    return np.take_along_axis(quarters, said[..., -1:], axis=1)


@pytest.mark.parametrize("num_shapes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_drawn_pictures_are_read_as_what_their_scenes_say(few, num_shapes):
    config = dataclasses.replace(DRAWN, num_shapes=num_shapes, length=131)
    held_out, seen = config.captions("test"), config.captions()
    for some in (held_out, seen):
        assert len(some.dataset) == NUM
        assert some.codes is not None
        examples = some.dataset[np.arange(NUM)]
        images, shown = data.signed(examples["image"]), some.codes[examples["scene"]]
        assert read_scenes(images, shown) == dict.fromkeys([*shapes.ATTRIBUTES, "all", "read"], 1)
        if num_shapes == 1:
            names = [some.dataset.label_names[label] for label in examples["label"]]
            said = [some.sentences[scene][0] for scene in examples["scene"]]
            assert all(f"a {name} in" in one for name, one in zip(names, said, strict=True))
    others = np.roll(shown, 3, axis=0)
    found = read_scenes(images, others)
    assert found == shares(shown if num_shapes == 1 else by_place(shown, others), others)
    assert 0 < found["shape"] < 1 > found["all"]
    assert set(read_scenes(np.full_like(images, -1), shown).values()) == {0}
    if num_shapes == 2:
        empty = shown.copy()
        empty[:, :, -1] = [sorted(set(range(4)) - set(places)) for places in shown[..., -1]]
        key = jax.random.key(0)
        others = jax.jit(shapes.draw, static_argnames="size")(key, empty[:, :1], size=16)
        assert set(read_scenes(np.maximum(images, others), shown).values()) == {0}
    assert not set(seen.sentences) & set(held_out.sentences)


@pytest.mark.slow
def test_pictures_of_a_batch_are_drawn_of_their_scenes(few):
    shown = DRAWN.captions()
    batch = first_batch(DRAWN.caption_feed(shown))
    assert len(np.unique(batch["scene"])) > NUM / 3
    assert read_scenes(batch["image"], shown.codes[batch["scene"]])["all"] == 1


def test_sentences_of_shapes_are_not_cut_off():
    with pytest.raises(ValueError, match="--length is 62, but the sentences here have up to 63"):
        dataclasses.replace(DRAWN, length=62).captions()
    with pytest.raises(ValueError, match="up to 130 characters: give as many"):
        dataclasses.replace(DRAWN, num_shapes=2).captions("test")


def test_drawn_pictures_have_a_size():
    with pytest.raises(ValueError, match="shapes are drawn at a size: give one, as 32"):
        dataclasses.replace(DRAWN, image_size=None).captions()


TEXTS = {200: "Light", 90: "grey", 210: "Light", 0: "a dark one", 40: "Dark"}
HELD_OUT = {255: "white", 250: "white", 95: "grey"}


@pytest.fixture
def folder(tmp_path):
    """Pictures as bright as their captions say, of which two may be alike."""
    for split, texts in {"train": TEXTS, "test": HELD_OUT}.items():
        (tmp_path / split).mkdir()
        lines = []
        for index, (level, text) in enumerate(texts.items()):
            PIL.Image.new("L", (4, 6), level).save(tmp_path / split / f"{index}.png")
            lines.append(json.dumps({"file_name": f"{index}.png", "text": text}))
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture(params=[False, True], ids=["held", "streamed"])
def config(folder, request, monkeypatch):
    if request.param:
        monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    config = dataclasses.replace(FOLDER, dataset=str(folder))
    assert isinstance(config.captions().dataset, FolderDataset) == request.param
    return config


def test_a_folders_pictures_show_what_their_captions_say(config):
    seen, held_out = config.captions(), config.captions("test")
    assert seen.sentences == (("Dark",), ("Light",), ("a dark one",), ("grey",))
    assert held_out.sentences == (("grey",), ("white",))
    assert seen.codes is held_out.codes is None
    for some, texts in ((seen, TEXTS), (held_out, HELD_OUT)):
        examples = some.dataset[np.arange(len(some.dataset))]
        assert examples["scene"].dtype == np.int32
        levels = examples["image"][:, 0, 0, 0].tolist()
        told = [some.sentences[scene][0] for scene in examples["scene"]]
        assert dict(zip(levels, told, strict=True)) == texts
    tokens = seen.tokens(9)
    assert tokens.shape == (4, 1, 9)
    np.testing.assert_array_equal(tokens[2, 0], data.characters(["a dark on"], length=9)[0])
    batch = first_batch(config.encoder_feed(seen))
    levels = data.to_uint8(batch["image"])[:, 0, 0, 0].tolist()
    said = [TEXTS[level] for level in levels]
    np.testing.assert_array_equal(batch["text"], data.characters(said, length=9))
    assert sorted(levels) == sorted(TEXTS)


def test_a_picture_in_place_of_a_broken_one_has_its_own_caption(folder, monkeypatch):
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    for index in range(120):
        noise = np.random.default_rng(index).integers(0, 256, (6, 4), np.uint8)
        PIL.Image.fromarray(noise).save(folder / "train" / f"{index}.png")
    lines = [json.dumps({"file_name": f"{i}.png", "text": f"{i:03d}"}) for i in range(120)]
    (folder / "train/metadata.jsonl").write_text("\n".join(lines))
    broken = folder / "train/7.png"
    shown = dataclasses.replace(FOLDER, dataset=str(folder)).captions()
    broken.write_bytes(broken.read_bytes()[:60])
    examples = shown.dataset[np.arange(120)]
    images = examples["image"].reshape(120, -1)
    (twice,) = [i for i in range(120) if (images[i] == images[i + 1 :]).all(axis=1).any()]
    (other,) = np.flatnonzero((images == images[twice]).all(axis=1) & (np.arange(120) != twice))
    assert examples["scene"][twice] == examples["scene"][other]


def test_pictures_without_captions_are_refused(folder):
    (folder / "train/metadata.jsonl").unlink()
    config = dataclasses.replace(FOLDER, dataset=str(folder))
    words = f"The pictures of {folder} have no captions: name a folder with a column `text`"
    with pytest.raises(ValueError, match=words):
        config.captions()


@pytest.mark.parametrize("change", [{"flip": True}, {"crop": "random"}])
def test_drawn_pictures_are_neither_mirrored_nor_cropped(change, folder):
    with pytest.raises(ValueError, match="leave out --flip and --crop, or name a folder"):
        dataclasses.replace(DRAWN, **change)
    assert dataclasses.replace(FOLDER, dataset=str(folder), **change)
