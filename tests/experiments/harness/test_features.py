"""The classifier that samples are measured by: what it learns from, gives, keeps and refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.harness import features
from experiments.harness.features import Classifier, num_steps, train_classifier
from gan_jax import data

KINDS = 2


def bright(num, names=range(KINDS)):
    """Images of noise whose left or right half is bright, by their class, in pairs of a class."""
    images = np.random.default_rng(0).integers(0, 100, (num, 8, 8, 1), np.uint8)
    labels = np.array([names[i // 2 % len(names)] for i in range(num)], np.int32)
    for image, label in zip(images, labels, strict=True):
        image[:, 4 * (label % KINDS) :][:, :4] += 100
    return data.ArrayDataset({"image": images, "label": labels})


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A directory of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gan_jax"


@pytest.fixture
def taught(kept, monkeypatch):
    """What is learned from, time after time; the weights stay as they are drawn."""
    all_taught = []

    def draw(network, blank, examples, prepare, seed):
        all_taught.append(examples)
        draws = np.random.default_rng(len(all_taught))
        shapes = jax.eval_shape(network.init, jax.random.key(0), blank)["params"]
        return jax.tree.map(lambda leaf: draws.normal(0, 0.1, leaf.shape).astype("f"), shapes)

    monkeypatch.setattr(features, "_descend", draw)
    return all_taught


def test_what_was_kept_is_read_again_unless_it_is_damaged_or_another_s(kept, taught):
    dataset = bright(24)
    first, again = (train_classifier(dataset) for _ in range(2))
    assert len(taught) == 1
    (path,) = kept.glob("lenet-*")
    assert path.stem == first.name == again.name
    unseen = np.concatenate([first.reference, first.held_out])
    images = data.signed(dataset.arrays["image"][unseen])
    for ask in (Classifier.features, Classifier.logits):
        np.testing.assert_array_equal(ask(again, images), ask(first, images))
    right = np.argmax(first.logits(images), axis=1) == dataset.arrays["label"][unseen]
    assert np.mean(right) == first.accuracy == again.accuracy
    reference = first.features(images[: len(first.reference)])
    np.testing.assert_allclose(jnp.mean(reference**2), 1, rtol=1e-5)
    good = path.read_bytes()
    damaged = good[: len(good) // 2] + b"damage" + good[len(good) // 2 + 6 :]
    other = train_classifier(dataset, seed=1).name
    for content in (damaged, good[:-100], b"", path.with_stem(other).read_bytes()):
        path.write_bytes(content)
        trained = len(taught)
        train_classifier(dataset)
        assert len(taught) == trained + 1
        assert path.read_bytes() != content
    train_classifier(dataset)
    assert len(taught) == trained + 1
    assert {file.stem for file in kept.iterdir()} == {first.name, other}


def test_it_learns_from_five_examples_of_nine_of_each_class(taught, monkeypatch):
    dataset = bright(36)
    whole = dataset.arrays["image"]

    def rows_taught():
        (rows,) = np.nonzero((whole[:, None] == taught[-1]["image"][None]).all((2, 3, 4)).any(1))
        return rows

    classifier = train_classifier(dataset)
    parts = rows_taught(), classifier.reference, classifier.held_out
    assert sorted(np.concatenate(parts)) == list(range(36))
    for rows, num in zip(parts, (10, 4, 4), strict=True):
        assert np.bincount(dataset.arrays["label"][rows]).tolist() == [num, num]
    monkeypatch.setattr(features, "MAX_EXAMPLES", 10)
    classifier = train_classifier(dataset)
    known = sorted([*rows_taught(), *classifier.reference, *classifier.held_out])
    assert len(known) == len(set(known)) == 10
    of_another_seed = train_classifier(dataset, seed=1)
    np.testing.assert_array_equal(of_another_seed.reference, classifier.reference)


def test_each_dataset_and_each_preparation_has_a_classifier_of_its_own(taught):
    dataset = bright(24)
    changed = {name: array.copy() for name, array in dataset.arrays.items()}
    changed["label"][-1] = 1 - changed["label"][-1]
    names = {
        train_classifier(dataset).name,
        train_classifier(dataset, seed=1).name,
        train_classifier(data.ArrayDataset(changed)).name,
        train_classifier(dataset, prepare=lambda image: -data.signed(image)).name,
    }
    assert len(names) == len(taught) == 4


def test_what_cannot_be_learned_or_judged_is_refused(taught):
    dataset = bright(24)
    unlabelled = data.ArrayDataset({"image": dataset.arrays["image"]})
    with pytest.raises(ValueError, match="holds image; a classifier learns from `image` and `lab"):
        train_classifier(unlabelled)
    with pytest.raises(ValueError, match="labels tell no classes apart"):
        train_classifier(bright(24, names=[1]))
    with pytest.raises(ValueError, match=r"of shape \(9, 8, 1\), but .* learned from those of \(8"):
        train_classifier(dataset).features(jnp.zeros((3, 9, 8, 1)))


@pytest.mark.parametrize(
    ("num", "side", "steps"), [(2_250, 28, 900), (10_000, 28, 3_443), (300, 2_000, 1)]
)
def test_training_takes_40_epochs_or_a_minute(num, side, steps):
    assert num_steps(num, 100, 100 * side**2) == steps


@pytest.mark.slow
def test_it_learns_what_tells_its_classes_apart(kept):
    assert train_classifier(bright(80)).accuracy > 0.9  # by chance 0.5, with an error of 0.08
