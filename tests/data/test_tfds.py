import importlib.util
import io
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gan_jax.data import (
    ArrayDataset,
    DatasetUnavailable,
    TFDSDataset,
    decoded,
    load,
    streamed_feed,
    tfds,
)

tensorflow_datasets = pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def no_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)


@pytest.fixture
def tensorflow(monkeypatch):
    """TensorFlow seems to be installed; what a test does with it is a fake."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name == "tensorflow" or find_spec(name)
    )


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_and_labels_are_those_prepared(data_dir, mnist, split):
    for _ in ("decoded", "from the cache"):
        dataset = load("mnist", split=split, data_dir=data_dir)
        assert isinstance(dataset, ArrayDataset)
        np.testing.assert_array_equal(dataset.arrays["image"], mnist[split]["image"])
        np.testing.assert_array_equal(dataset.arrays["label"], mnist[split]["label"])
        assert [a.dtype for a in dataset.arrays.values()] == [np.uint8, np.int32]
        assert dataset.label_names == tuple("0123456789")


def test_blocks_join_into_the_whole(data_dir, mnist, monkeypatch):
    monkeypatch.setattr(decoded, "BLOCK", 7)
    dataset = load("mnist", data_dir=data_dir)
    np.testing.assert_array_equal(dataset[np.arange(20)]["image"], mnist["train"]["image"])


def test_a_dataset_without_labels_has_images_alone(tmp_path, prepare, mnist):
    images = {"image": mnist["train"]["image"] // 128 * 255}
    prepare("binarized_mnist", tmp_path, {"train": images})
    assert list(load("binarized_mnist", data_dir=tmp_path)[np.arange(2)]) == ["image"]


def test_a_slice_of_a_split_is_read_and_not_cached(data_dir, mnist):
    dataset = load("mnist", split="train[:25%]", data_dir=data_dir)
    np.testing.assert_array_equal(dataset[np.arange(5)]["image"], mnist["train"]["image"][:5])
    assert len(dataset) == 5
    assert not list(data_dir.rglob("*.npz*"))


def test_what_is_decoded_once_is_not_decoded_again(data_dir, monkeypatch):
    files = set(data_dir.rglob("*"))
    first = load("mnist", data_dir=data_dir)
    assert [path.name for path in set(data_dir.rglob("*")) - files] == ["gan_jax-train.npz"]
    monkeypatch.delattr(decoded, "_decode")
    again = load("mnist", data_dir=data_dir)
    np.testing.assert_array_equal(again[np.arange(20)]["image"], first[np.arange(20)]["image"])


def as_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


DAMAGES = {
    "empty": lambda path, arrays: path.write_bytes(b""),
    "cut": lambda path, arrays: path.write_bytes(path.read_bytes()[:-100]),
    "a single array": lambda path, arrays: path.write_bytes(as_npy(arrays["image"])),
    "objects": lambda path, arrays: np.savez(path, image=np.array([{}]), label=arrays["label"]),
    "of bytes": lambda path, arrays: np.savez(path, image=np.array(b"x"), label=arrays["label"]),
    "of fewer": lambda path, arrays: np.savez(path, **{f: a[:9] for f, a in arrays.items()}),
    "of another size": lambda path, arrays: np.savez(
        path, image=arrays["image"][:, :14], label=arrays["label"]
    ),
    "of another type": lambda path, arrays: np.savez(
        path, image=arrays["image"] / 255, label=arrays["label"]
    ),
    "without labels": lambda path, arrays: np.savez(path, image=arrays["image"]),
    "with another field": lambda path, arrays: np.savez(path, **arrays, more=arrays["label"]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_kept_and_is_not_whole_is_decoded_again(data_dir, mnist, damage):
    arrays = load("mnist", data_dir=data_dir).arrays
    (kept,) = data_dir.rglob("*.npz")
    DAMAGES[damage](kept, arrays)
    damaged = kept.read_bytes()
    again = load("mnist", data_dir=data_dir)
    for field, array in mnist["train"].items():
        np.testing.assert_array_equal(again.arrays[field], array)
    assert list(again.arrays) == ["image", "label"]
    assert kept.read_bytes() != damaged
    with np.load(kept) as file:
        assert sorted(file) == ["image", "label"]


def cut(path, share=0.5):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


@pytest.mark.parametrize(
    ("file", "share"),
    [("dataset_info.json", 0.5), ("dataset_info.json", 0), ("*train*", 0.5), ("*train*", 0)],
)
def test_files_of_tfds_that_are_not_whole_are_named_with_the_way_on(data_dir, file, share):
    (path,) = data_dir.rglob(file)
    cut(path, share)
    with pytest.raises(
        DatasetUnavailable, match=r"prepared anew.*gan_jax\[tfds-prepare\]"
    ) as error:
        load("mnist", data_dir=data_dir)
    assert str(data_dir / "mnist") in str(error.value)
    assert not list(data_dir.rglob("*.npz"))


def test_a_file_that_goes_while_it_is_streamed_is_named(data_dir, monkeypatch):
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    cut(next(data_dir.rglob("*train*")))
    dataset = load("mnist", data_dir=data_dir)
    with pytest.raises(DatasetUnavailable, match=r"cannot be read as a dataset.*prepared anew"):
        dataset[np.arange(20)]


def test_a_dataset_that_tfds_does_not_know_is_read_and_named_where_it_is_damaged(data_dir, mnist):
    folder = data_dir / "own"
    (data_dir / "mnist").rename(folder)
    for path in [*folder.rglob("mnist-*"), *folder.rglob("*.json")]:
        if path.suffix == ".json":
            path.write_text(path.read_text().replace('"mnist"', '"own"'))
        else:
            path.rename(path.with_name(path.name.replace("mnist", "own")))
    images = load("own", data_dir=data_dir).arrays["image"]
    np.testing.assert_array_equal(images, mnist["train"]["image"])
    cut(next(folder.rglob("features.json")))
    with pytest.raises(DatasetUnavailable, match=f"The files in {folder}"):
        load("own", data_dir=data_dir)


def test_a_directory_closed_to_writing_stays_as_it_is(data_dir):
    (folder,) = data_dir.glob("mnist/*")
    files = set(folder.iterdir())
    folder.chmod(0o555)
    assert len(load("mnist", data_dir=data_dir)) == 20
    folder.chmod(0o755)
    assert set(folder.iterdir()) == files


def test_a_full_disk_leaves_no_half_written_file(data_dir, monkeypatch):
    def savez(file, **arrays):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    assert len(load("mnist", data_dir=data_dir)) == 20
    assert not list(data_dir.rglob("*.npz*"))


def test_what_does_not_fit_is_streamed(data_dir, mnist, monkeypatch):
    whole = load("mnist", data_dir=data_dir)
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 20 * 28 * 28 - 1)
    dataset = load("mnist", data_dir=data_dir)
    assert isinstance(dataset, TFDSDataset)
    picked = dataset[np.array([19, 0])]
    np.testing.assert_array_equal(picked["image"], mnist["train"]["image"][[19, 0]])
    fields = {"image": None, "label": None}
    feeds = [streamed_feed(d, fields, batch_size=8, seed=0) for d in (dataset, whole)]
    chunks = [feed.chunks([(1, 4)]) for feed in feeds]
    of_disk, of_memory = (next(chunk) for chunk in chunks)
    for field in ("image", "label"):
        np.testing.assert_array_equal(of_disk[field], of_memory[field])


def test_the_directory_comes_from_the_argument_else_the_environment(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    assert len(load("mnist")) == 20
    with pytest.raises(DatasetUnavailable, match="elsewhere"):
        load("mnist", data_dir=data_dir / "elsewhere")


@pytest.mark.parametrize("split", ["validation", "train[:0]", "train[:", "train[5:99]"])
def test_unknown_splits_are_refused_with_those_there_are(data_dir, split):
    with pytest.raises(ValueError, match="it has train, test, and slices"):
        load("mnist", split=split, data_dir=data_dir)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("mnit", "mnist"),
        ("digit", "digits"),
        ("cmaterdb/bengali", "cmaterdb/bangla"),
        ("mnist:9.9.9", "mnist"),
        ("mnist/x=1", "mnist"),
        ("q", "none"),
    ],
)
def test_unknown_names_are_refused_with_near_matches(tmp_path, name, near):
    with pytest.raises(ValueError, match=f"Unknown dataset '{name}'.* Near matches:.*{near}"):
        load(name, data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("imdb_reviews", "is not an image dataset"), ("cats_vs_dogs", "differ in size")],
)
def test_what_is_no_array_of_images_is_refused_before_any_download(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        load(name, data_dir=tmp_path)


def test_absent_and_offline_says_how_to_go_on(tmp_path, no_tensorflow):
    start = time.monotonic()
    with pytest.raises(DatasetUnavailable) as caught:
        load("cifar10", data_dir=tmp_path)
    assert time.monotonic() - start < 10
    for part in ("'cifar10'", str(tmp_path), 'pip install "gan_jax[tfds-prepare]"', "digits"):
        assert part in str(caught.value)


def test_a_wrong_version_of_what_is_there_does_not_blame_the_files(data_dir):
    with pytest.raises(ValueError, match=r"Unknown dataset 'mnist/3.0.1'"):
        load("mnist/3.0.1", data_dir=data_dir)


def test_what_tfds_cannot_describe_without_tensorflow_says_so(tmp_path, no_tensorflow):
    with pytest.raises(DatasetUnavailable, match=r"describe 'nsynth'.*gan_jax\[tfds-prepare\]"):
        load("nsynth", data_dir=tmp_path)


def test_a_failing_download_does_not_try_for_minutes(tmp_path, tensorflow, monkeypatch):
    from tensorflow_datasets.core.download import downloader

    tried, retries = [], downloader.MAX_RETRIES

    def download_and_prepare(builder, *, file_format):
        tried.append(downloader.MAX_RETRIES)
        raise ConnectionError("no route to host")

    monkeypatch.setattr(
        tensorflow_datasets.core.DatasetBuilder, "download_and_prepare", download_and_prepare
    )
    with pytest.raises(DatasetUnavailable, match=r"no route to host.*needs network.*digits"):
        load("cifar10", data_dir=tmp_path)
    assert tried == [0]
    assert downloader.MAX_RETRIES == retries > 0


def test_what_tfds_prepares_is_loaded(tmp_path, tensorflow, monkeypatch, prepare, mnist):
    def download_and_prepare(builder, *, file_format):
        prepare("mnist", tmp_path, mnist)
        builder.info.set_file_format(file_format, override=True)
        builder.info.read_from_directory(builder.data_path)

    monkeypatch.setattr(
        tensorflow_datasets.core.DatasetBuilder, "download_and_prepare", download_and_prepare
    )
    assert len(load("mnist", data_dir=tmp_path)) == 20


def test_records_that_cannot_be_read_by_index_are_reported(data_dir):
    for path in data_dir.rglob("*"):
        if path.name == "dataset_info.json":
            path.write_text(path.read_text().replace("array_record", "tfrecord"))
        elif "array_record" in path.name:
            path.rename(path.with_name(path.name.replace("array_record", "tfrecord")))
    with pytest.raises(DatasetUnavailable, match="cannot be read by index"):
        load("mnist", data_dir=data_dir)


def real(name: str, tmp_path: Path) -> Path:
    """Copy what lies prepared under TFDS_DATA_DIR, so that no cache is written there."""
    source = Path(os.environ.get("TFDS_DATA_DIR", ""), name)
    if "TFDS_DATA_DIR" not in os.environ or not list(source.glob("*/dataset_info.json")):
        pytest.skip(f"TFDS_DATA_DIR has no prepared {name}")
    shutil.copytree(source, tmp_path / name)
    return tmp_path


def test_real_mnist(tmp_path):
    dataset = load("mnist", split="test", data_dir=real("mnist", tmp_path))
    examples = dataset[np.arange(10_000)]
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(examples["label"]).tolist() == counts
    assert examples["image"].shape == (10_000, 28, 28, 1)
    assert examples["image"].mean() / 255 == pytest.approx(0.1325, abs=1e-3)


def test_real_colour_digits(tmp_path):
    dataset = load("cmaterdb/bangla", data_dir=real("cmaterdb/bangla", tmp_path))
    examples = dataset[np.arange(len(dataset))]
    assert examples["image"].shape == (5_000, 32, 32, 3)
    assert np.bincount(examples["label"]).tolist() == [500] * 10
