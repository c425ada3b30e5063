"""What ADDA's experiment counts and shows, and what it refuses."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from experiments import adda
from experiments.harness.domains import Domains
from gan_jax import data

pytestmark = pytest.mark.usefixtures("compiled_quickly")

KEY = jax.random.key(0)
LEVELS = np.array([0, 128, 255])


def lit(classes, label_names):
    """Images as bright as their class."""
    image = np.broadcast_to(LEVELS[classes][:, None, None, None], (len(classes), 4, 4, 1))
    return data.ArrayDataset({"image": image.astype(np.uint8), "label": classes}, label_names)


def classify(weights, x):
    """Read off the brightness, and name the class that is so many places further."""
    return jax.nn.one_hot((jnp.round(2 * x.mean((1, 2, 3))).astype(jnp.int32) + weights) % 3, 3)


@pytest.fixture
def evaluate(monkeypatch):
    """Of a source a, b, c that is named rightly, and a target of as bright b and c alone."""
    monkeypatch.setattr(adda, "averaged", lambda state: state)
    tests = Domains(lit(np.arange(3), tuple("abc")), lit(np.array([1, 0, 1]), tuple("cb")))
    swapped = {**tests.target.arrays, "image": lit(np.array([1, 2, 1]), None).arrays["image"]}
    tests = tests._replace(target=dataclasses.replace(tests.target, arrays=swapped))
    system = SimpleNamespace(classify=classify, source=lambda weights: 0 * weights)
    return adda.evaluator(SimpleNamespace(domains=lambda split: tests), system, tests)


def test_unseen_images_are_counted_by_the_names_of_their_classes(evaluate):
    before = evaluate(KEY, SimpleNamespace(player=SimpleNamespace(weights=0))).metrics
    assert before == {"accuracy/source": 1, "accuracy/source_only": 1}
    found = evaluate(KEY, SimpleNamespace(generator=2)).metrics
    assert found == {**before, "accuracy/adda": 0, "changed": 1}


def test_a_row_of_the_picture_is_what_is_taken_for_its_class():
    brightness = np.array([-0.5, 0.0, 0.5])
    images = np.broadcast_to(brightness[:, None, None, None], (3, 4, 4, 1))
    guesses = [np.array([0, 1, 1]), np.array([1, 0, 0])]
    labels, columns = np.array([0, 1, 0]), 2 * (adda.COLUMNS + 1)
    pixels = adda.sheet(images, guesses, labels, tuple("ab")).pixels
    cells = pixels[6::12, -12 * columns :][:, 6::12, 0] / 127.5 - 1
    assert cells.shape == (2, columns)
    expected = np.ones((2, columns))
    expected[0, :1], expected[1, :2] = [-0.5], [0, -0.5]  # the third image is an a
    expected[0, 9:11], expected[1, 9:10] = [0, 0.5], [0.5]
    np.testing.assert_allclose(cells, expected, atol=0.01)
    unmarked = adda.sheet(images, guesses, None, tuple("ab")).pixels[6::12, -12 * columns :]
    np.testing.assert_allclose(unmarked[1, 6:30:12, 0] / 127.5 - 1, [0, 0.5], atol=0.01)


def test_classes_of_the_target_that_the_source_lacks_are_refused(monkeypatch):
    tests = Domains(lit(np.arange(3), tuple("abc")), lit(np.arange(3), tuple("abd")))
    config = SimpleNamespace(domains=lambda split: tests)
    system = SimpleNamespace(classify=classify)
    with pytest.raises(ValueError, match="The target has the class 'd', and the source a, b, c"):
        adda.evaluator(config, system, tests)


@pytest.fixture
def folders(tmp_path):
    """Two domains in one folder, in colours, of which one may have classes."""

    def make(classes):
        for split in ("trainA", "testA", "trainB", "testB"):
            for index in range(8):
                name = "xy"[index % 2] if classes and split.endswith("A") else ""
                folder = tmp_path / "own" / split / name
                folder.mkdir(parents=True, exist_ok=True)
                PIL.Image.new("RGB", (18, 20), (30 * index, 0, 99)).save(folder / f"{index}.png")
        return str(tmp_path / "own")

    return make


def test_a_source_without_labels_is_refused(folders, tmp_path):
    config = adda.Config(dataset=folders(False), target_dataset=None, image_size=16)
    with pytest.raises(ValueError, match="The images have no labels: choose a --dataset that has"):
        adda.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_target_needs_no_labels(folders, small, tmp_path):
    config = dataclasses.replace(small(adda, "digits"), dataset=folders(True), target_dataset=None)
    config = dataclasses.replace(config, image_size=16, grey=True)
    result = adda.run(config, tmp_path / "run")
    assert set(result.metrics) == {"accuracy/source", "changed"}
    assert "of the target, which has no labels," in str(result)


def test_a_run_in_phases_continues_no_other(tmp_path):
    with pytest.raises(ValueError, match="--continue-from is other, but a run in phases starts"):
        adda.Config(continue_from="other").train_phases([], None, workdir=tmp_path, fresh=False)
