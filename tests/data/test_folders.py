"""Folders of pictures as users have them: their splits, their classes, and what is broken there."""

import logging
import os
import shutil
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gan_jax.data import (
    ArrayDataset,
    FolderDataset,
    folders,
    framing,
    load,
    paths,
    streamed_feed,
    tfds,
)
from gan_jax.data.paths import in_order, pictures_in

FLAT = {f"{index:03}.png": index for index in range(120)}


def draw(value, size=(4, 6)):
    """A grey picture of one brightness, by which it is known again."""
    return PIL.Image.new("L", size, value)


def write(folder, pictures):
    for name, value in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (value if isinstance(value, PIL.Image.Image) else draw(value)).save(path)
    return str(folder)


def values(dataset):
    return dataset[np.arange(len(dataset))]["image"][:, 0, 0, 0].tolist()


def test_pictures_come_nested_and_hidden_ones_do_not_in_the_order_of_their_paths(tmp_path):
    pictures = {"b/c/1.png": 3, "b.png": 2, "a.PNG": 1, "b/.hidden.png": 9, ".git/x.png": 9}
    write(tmp_path, {**pictures, "c.png": 4})
    (tmp_path / "notes.txt").write_text("not a picture")
    dataset = load(str(tmp_path))
    assert isinstance(dataset, ArrayDataset)
    assert values(dataset) == [1, 2, 3, 4]
    assert dataset.arrays["image"].shape == (4, 6, 4, 1)
    assert list(dataset.arrays) == ["image"]
    assert (dataset.label_names, dataset.text) == (None, None)


def test_the_first_pictures_are_of_all_classes_and_the_order_is_that_of_every_machine():
    names = [f"{name}/{number}.png" for name in ("cat", "dog", "emu") for number in range(40)]
    ordered = in_order(reversed(names))
    assert sorted(ordered) == sorted(names)
    assert ordered == in_order(names)
    for some in (ordered[:20], ordered[-20:]):
        assert min(Counter(name[:3] for name in some).values()) >= 3
    assert in_order(["a.png", "b.png", "c.png", "d.png"]) == sorted(
        ["a.png", "b.png", "c.png", "d.png"], key=lambda name: zlib.crc32(name.encode())
    )


def test_a_link_to_a_folder_above_is_not_followed(tmp_path):
    draw(3).save(tmp_path / "a.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    draw(4).save(tmp_path / "other" / "b.png")
    (tmp_path / "in" / "beside").symlink_to(tmp_path / "other")
    assert pictures_in(tmp_path) == ["a.png", "in/beside/b.png", "other/b.png"]


def test_one_picture_in_colours_makes_three_channels_of_all(tmp_path):
    write(tmp_path, {"a.png": 7, "b.png": PIL.Image.new("RGB", (4, 6), "red")})
    assert load(str(tmp_path)).arrays["image"][:, 0, 0].tolist() == [[7, 7, 7], [255, 0, 0]]


def test_sub_folders_are_classes_where_every_picture_lies_in_one(tmp_path):
    write(tmp_path, {"dog/1.png": 1, "cat/2.png": 2, "dog/deep/3.png": 3, "cat/4.png": 4})
    dataset = load(str(tmp_path))
    assert dataset.label_names == ("cat", "dog")
    assert dataset.arrays["label"].tolist() == [0, 0, 1, 1]
    assert dataset.arrays["label"].dtype == np.int32
    write(tmp_path, {"5.png": 5})
    dataset = load(str(tmp_path))
    assert (dataset.label_names, list(dataset.arrays)) == (None, ["image"])


def test_about_one_picture_in_ten_is_in_test_by_its_name_alone(tmp_path):
    write(tmp_path, FLAT)
    train, test = (set(values(load(str(tmp_path), split=split))) for split in ("train", "test"))
    assert train | test == set(range(120))
    assert not train & test
    assert 4 <= len(test) <= 20
    shutil.move(tmp_path, moved := tmp_path.with_name("elsewhere"))
    for index in range(0, 60, 2):
        (moved / f"{index:03}.png").unlink()
    assert set(values(load(str(moved), split="test"))) == test - set(range(0, 60, 2))
    shutil.move(moved, tmp_path / "train")
    assert set(values(load(str(tmp_path), split="test"))) == test - set(range(0, 60, 2))


def test_the_share_is_the_same_in_every_version():
    found = [index for name, index in FLAT.items() if paths.is_in("test", name)]
    assert found[:7] == [5, 6, 32, 36, 37, 41, 47]


def test_train_and_test_are_folders_where_both_are_there(tmp_path):
    write(tmp_path, {"train/a/1.png": 1, "train/b/2.png": 2, "test/b/3.png": 3, "val/a/4.png": 4})
    train, test, val = (load(str(tmp_path), split=split) for split in ("train", "test", "val"))
    assert (values(train), values(test), values(val)) == ([1, 2], [3], [4])
    assert train.label_names == test.label_names == ("a", "b")
    assert test.arrays["label"].tolist() == [1]
    assert val.label_names == ("a", "b")  # numbers mean in every split what they do in train


def test_a_folder_of_tests_alone_leaves_open_what_is_trained_on(tmp_path):
    write(tmp_path, {"cat/1.png": 1, "dog/2.png": 2, "test/3.png": 3})
    with pytest.raises(ValueError, match="holds a folder test and none called train: move"):
        load(str(tmp_path))


def test_colours_of_test_are_those_of_train(tmp_path):
    write(tmp_path, {"train/1.png": PIL.Image.new("RGB", (4, 6), "red"), "test/2.png": 2})
    assert load(str(tmp_path), split="test").arrays["image"][0, 0, 0].tolist() == [2, 2, 2]
    write(tmp_path, {"train/1.png": 1, "test/2.png": PIL.Image.new("RGB", (4, 6), "white")})
    assert load(str(tmp_path), split="test").arrays["image"][0, 0, 0].tolist() == [255]


def test_colours_and_classes_of_a_population_are_those_it_is_trained_with(tmp_path):
    red = PIL.Image.new("RGB", (4, 6), "red")
    write(tmp_path, {"trainA/a/1.png": red, "trainA/b/2.png": red, "testA/b/3.png": 3})
    unseen = load(str(tmp_path), split="testA")
    assert unseen.arrays["image"].shape == (1, 6, 4, 3)
    assert (unseen.label_names, unseen.arrays["label"].tolist()) == (("a", "b"), [1])


def test_two_populations_are_splits_by_their_names(tmp_path):
    write(tmp_path, {"trainA/1.png": 1, "trainB/2.png": PIL.Image.new("RGB", (8, 8), "red")})
    shapes = [load(str(tmp_path), split=s).arrays["image"].shape for s in ("trainA", "trainB")]
    assert shapes == [(1, 6, 4, 1), (1, 8, 8, 3)]
    sentence = rf"two populations and no 'train': name .* 'trainA', or .* {tmp_path}/trainA"
    with pytest.raises(ValueError, match=sentence):
        load(str(tmp_path))
    write(tmp_path, {"train/3.png": 3})
    assert values(load(str(tmp_path))) == [3]


def test_pairs_are_two_fields(tmp_path):
    pair = PIL.Image.new("L", (8, 6), 1)
    pair.paste(2, (4, 0, 8, 6))
    write(tmp_path, {"1.png": pair})
    arrays = load(str(tmp_path), pairs=True).arrays
    assert {field: (a.shape, a.max()) for field, a in arrays.items()} == {
        "condition": ((1, 6, 4, 1), 1),
        "image": ((1, 6, 4, 1), 2),
    }
    write(tmp_path, {"2.png": draw(0, (7, 6))})
    with pytest.raises(ValueError, match=f"{tmp_path}/2.png is 7 pixels wide"):
        load(str(tmp_path), pairs=True)


def test_mixed_sizes_need_a_size(tmp_path):
    write(tmp_path, {"1.png": draw(1, (8, 4)), "2.png": draw(2, (8, 4)), "3.png": draw(3, (5, 5))})
    sentence = rf"differ in size: {tmp_path}/1.png is 8x4 and .*/3.png is 5x5; .*--image-size"
    with pytest.raises(ValueError, match=sentence):
        load(str(tmp_path))
    assert load(str(tmp_path), image_size=4).arrays["image"].shape == (3, 4, 4, 1)
    arrays = load(str(tmp_path), image_size=4, crop="random").arrays
    assert arrays["image"].shape == (3, 4, 8, 1)
    assert arrays["extent"].tolist() == [[4, 8], [4, 8], [4, 4]]
    assert arrays["extent"].dtype == np.int32
    assert (arrays["image"][2, :, :4] == 3).all()
    assert not arrays["image"][2, :, 4:].any()


def test_sizes_of_train_and_test_are_one(tmp_path):
    write(tmp_path, {"train/1.png": draw(1, (8, 4)), "test/2.png": draw(2, (5, 5))})
    assert len(load(str(tmp_path))) == 1
    with pytest.raises(ValueError, match="differ in size"):
        load(str(tmp_path), split="test")


DAMAGES = {
    "empty": lambda whole: b"",
    "a text": lambda whole: b"no picture at all",
    "cut in its header": lambda whole: whole[:20],
    "cut in its body": lambda whole: whole[:-200],
    "changed in its body": lambda whole: whole[:900] + b"????" + whole[904:],
}


def with_a_broken_one(folder, damage, broken="050.png"):
    noise = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)
    for name, value in FLAT.items():
        noise[0, 0] = value
        write(folder, {f"train/{name}": PIL.Image.fromarray(noise)})
    write(folder, {"test/1.png": draw(0, (30, 40))})
    path = folder / "train" / broken
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    return str(folder)


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_broken_picture_among_many_is_named_and_left_out(tmp_path, damage, caplog):
    folder = with_a_broken_one(tmp_path, damage)
    lines = "".join(f'{{"file_name": "{name}", "text": "{v}"}}\n' for name, v in FLAT.items())
    (tmp_path / "train/metadata.jsonl").write_text(lines)
    dataset = load(folder)
    assert values(dataset) == [value for value in range(120) if value != 50]
    assert list(dataset.text) == [str(value) for value in range(120) if value != 50]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    said = record.getMessage()
    assert f"1 of the 120 pictures in {tmp_path}/train are broken and left out: 050.png (" in said
    assert "\n" not in said


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_stream_has_the_next_picture_in_place_of_a_broken_one(
    tmp_path, damage, caplog, monkeypatch
):
    folder = with_a_broken_one(tmp_path, damage, "119.png")
    lines = "".join(f'{{"file_name": "{name}", "age": {v}}}\n' for name, v in FLAT.items())
    (tmp_path / "train/metadata.jsonl").write_text(lines)
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    dataset = load(folder)
    assert isinstance(dataset, FolderDataset)
    for _ in range(2):
        some = dataset[np.arange(len(dataset))]
        expected = [*range(119), 0][: len(dataset)]
        assert some["image"][:, 0, 0, 0].tolist() == some["age"].tolist() == expected
    assert len(dataset) == (120 if "body" in damage else 119)
    (record,) = caplog.records
    assert "119.png" in record.getMessage()


def test_more_than_one_in_a_hundred_are_refused_resident_and_streamed(tmp_path, monkeypatch):
    with_a_broken_one(tmp_path, "a text", "001.png")
    path = tmp_path / "train/002.png"
    path.write_bytes(path.read_bytes()[:-200])
    sentence = r"2 of the 120 pictures in .*/train are broken, .*: 001.png \(Un.*, 002.png \(OSE"
    with pytest.raises(ValueError, match=sentence):
        load(str(tmp_path))
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    dataset = load(str(tmp_path))
    with pytest.raises(ValueError, match=sentence):
        dataset[np.arange(3)]


@pytest.mark.parametrize("limit", [100, 900])
def test_a_decompression_bomb_is_a_broken_picture(tmp_path, monkeypatch, limit):
    """Pillow refuses what is twice as large as its limit, and warns of what is larger."""
    write(tmp_path, {"1.png": draw(0, (40, 40))})
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", limit)
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    with pytest.raises(ValueError, match=r"1\.png \(DecompressionBomb"):
        load(str(tmp_path))


def test_what_is_streamed_is_what_is_resident(tmp_path, monkeypatch):
    pictures = {f"{c}/{i}.png": draw(10 * i, (6 + i, 9)) for c in "ab" for i in range(8)}
    write(tmp_path / "train", pictures)
    write(tmp_path / "test", {"a/1.png": draw(0, (9, 9))})
    whole = load(str(tmp_path), image_size=4, crop="random")
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    dataset = load(str(tmp_path), image_size=4, crop="random")
    assert dataset.label_names == whole.label_names
    fields = {"image": None, "label": None, "extent": None}
    feeds = [streamed_feed(d, fields, batch_size=8, seed=0) for d in (dataset, whole)]
    of_disk, of_memory = (next(feed.chunks([(1, 4)])) for feed in feeds)
    for field in fields:
        np.testing.assert_array_equal(of_disk[field], of_memory[field])


def test_names_are_paths_only_where_they_look_like_one(tmp_path, data_dir, monkeypatch):
    write(tmp_path / "here" / "cats", {"1.png": 1})
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    write(tmp_path / "here" / "own/data", {"2.png": 2})
    for name in ("./cats", "cats/", "~/cats", "../here/cats", str(Path("cats").absolute())):
        assert values(load(name)) == [1]
    assert values(load("own/data")) == [2]
    with pytest.raises(ValueError, match=r"Unknown dataset 'cats'.* say \./cats\."):
        load("cats", data_dir=data_dir)
    (data_dir / "prepared").mkdir()
    for name in ("mnist:3.0.1", "mnist/3.0.1", "cmaterdb/bangla", "digits/x", "prepared/config"):
        assert paths.path_of(name, data_dir) is None
    write(tmp_path / "here" / "cmaterdb/bangla", {"3.png": 3})
    assert values(load("cmaterdb/bangla", data_dir=data_dir)) == [3]


def test_what_takes_long_shows_how_far_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(framing, "NOTICED", 0)
    load(write(tmp_path, {"1.png": 1}))
    shown = capsys.readouterr().err
    assert "looking at pictures:   0%" in shown
    assert "decoding pictures:   0%" in shown


def test_a_folder_needs_no_tensorflow_datasets(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert len(load(write(tmp_path, {"1.png": 1}))) == 1


def refused(path, **options):
    with pytest.raises(ValueError, match=r"^[^\n]+\.$") as error:
        load(str(path), **options)
    return str(error.value)


def test_what_is_no_folder_of_pictures_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "a/b/c").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "a/b/c"):
        assert "holds no pictures, nor do its folders; of the 0 files" in refused(folder)
    (tmp_path / "a/x.gif").write_bytes(b"")
    assert "of the 1 files there none ends in .png, .jpg, .jpeg" in refused(tmp_path)
    assert "(No such file or directory): give the path" in refused(tmp_path / "b")
    assert "(No such file or directory): give the path" in refused("tmp_path/b")
    assert "(Not a directory): give the path" in refused(tmp_path / "a/x.gif")
    assert "has no folder 'val'" in refused(tmp_path, split="val")
    write(tmp_path, {"train/1.png": 1})
    assert "falls into the split 'test'" in refused(tmp_path, split="test")

    def scandir(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    assert "(Permission denied): give the path" in refused(tmp_path)
    monkeypatch.setattr(folders, "folder_of", lambda root, split: (root, True))
    assert "cannot be read (Permission denied): let it be read." in refused(tmp_path)


def test_a_class_that_train_lacks_is_named(tmp_path):
    write(tmp_path, {"train/a/1.png": 1, "test/b/2.png": 2})
    assert "test/b/2.png is of the class 'b', which train lacks; it has a:" in refused(
        tmp_path, split="test"
    )


def test_real_pictures_with_captions(real):
    dataset = load(str(real / "emoji_captioned"), image_size=8)
    assert dataset.arrays["image"].shape == (1_432, 8, 8, 3)
    assert len(dataset.label_names) == 8
    assert dataset.text[:2] == ("hash key", "keycap: *")
    assert dataset.label_names[dataset.arrays["label"][0]] == "Symbols"
    test = load(str(real / "emoji_captioned"), split="test", image_size=8)
    assert (len(test), test.label_names) == (204, dataset.label_names)


@pytest.mark.slow
def test_real_pairs_are_of_one_character(real):
    arrays = load(str(real / "emoji_pairs"), split="test", pairs=True, image_size=8).arrays
    image, condition = (arrays[f].reshape(len(arrays[f]), -1) / 255 for f in ("image", "condition"))
    distances = np.abs(image[:, None] - condition[None]).mean(axis=-1)
    assert np.diag(distances).mean() < 0.7 * distances.mean()


@pytest.mark.slow
def test_real_populations_are_splits(real):
    folder = real / "emoji_unaligned"
    for split in ("testA", "testB"):
        num = len(list((folder / split).glob("*.png")))
        assert len(load(str(folder), split=split, image_size=4)) == num > 100
