"""How training sees images: cropped and mirrored anew, and only where that is asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import dcgan, vae
from experiments.harness import options, pictures
from gan_jax import data
from gan_jax.data.batches import order_stream
from gan_jax.training import Evaluation

PIXELS = np.arange(6 * 4 * 7, dtype=np.uint8).reshape(6, 4, 7, 1)
CANVAS = data.ArrayDataset({"image": PIXELS, "extent": np.array([[4, 7]] * 6, np.int32)})


def batch_of(config, dataset, key=0):
    feed = config.picture_feed(dataset, {"image": None})
    resident = jax.tree.map(jnp.asarray, feed.resident)
    (chunk,) = feed.chunks([(0, 1)])
    read = feed.read(jax.random.key(key), resident, jnp.asarray(chunk[0]))
    assert list(read) == ["image"]
    stream = order_stream(dataset)
    order = data.batch_indices(0, 0, batch_size=6, num_examples=6, stream=stream)
    return np.asarray(read["image"]), PIXELS[order]


def test_images_are_fed_as_they_are_where_nothing_is_asked_for(monkeypatch):
    """By a key that is not split: runs of earlier days end with the same bits."""
    monkeypatch.delattr(data, "map_feed")
    found, expected = batch_of(dcgan.Config(batch_size=6), data.ArrayDataset({"image": PIXELS}))
    np.testing.assert_array_equal(found, expected)


def test_images_are_mirrored_where_that_is_asked_for():
    found, stored = batch_of(dcgan.Config(batch_size=6, flip=True), CANVAS)
    mirrored = [bool((a == b[:, ::-1]).all()) for a, b in zip(found, stored, strict=True)]
    same = [bool((a == b).all()) for a, b in zip(found, stored, strict=True)]
    assert [a != b for a, b in zip(mirrored, same, strict=True)] == [True] * 6
    assert 0 < sum(mirrored) < 6


@pytest.mark.parametrize("flip", [False, True])
def test_images_are_cropped_at_places_of_their_own_in_every_step(flip):
    config = dcgan.Config(batch_size=6, image_size=4, crop="random", flip=flip)
    places = []
    for key in (0, 1):
        found, stored = batch_of(config, CANVAS, key)
        assert found.shape == (6, 4, 4, 1)
        lefts = found.min(axis=(1, 2, 3)) - stored.min(axis=(1, 2, 3))
        for image, whole, left in zip(found, stored, lefts, strict=True):
            crop = whole[:, left : left + 4]
            assert (image == crop).all() or (flip and (image == crop[:, ::-1]).all())
        places.append(lefts.tolist())
    assert len(set(places[0])) > 1
    assert places[0] != places[1]


def test_samples_are_measured_at_each_evaluation_beside_real_images(monkeypatch):
    """Copies of real images are no distance away; the numbers join those of the experiment."""
    monkeypatch.setattr(pictures, "NUM_MEASURED", 6)
    dataset = data.ArrayDataset({"image": PIXELS})
    config = dcgan.Config(evaluate=("fid", "coverage"), features="pixels")
    keys = []

    def draw(key, state, real):
        keys.append(key)
        return state * data.signed(real["image"])

    def evaluate(key, state):
        return Evaluation({"samples": None}, {"precision": 0.5})

    both = config.measuring(evaluate, dataset, draw)
    key = jax.random.key(9)
    files, found = both(key, 1.0)
    assert list(files) == ["samples"]
    assert list(found) == ["precision", "pixels/fid", "pixels/coverage"]
    np.testing.assert_allclose(found["pixels/fid"], 0, atol=1e-6)
    assert both(key, 0.5).metrics["pixels/fid"] > 1
    assert keys[0] == keys[1] == config.key("measure") != config.key("evaluate")
    assert dcgan.Config(evaluate=()).measuring(evaluate, dataset, draw) is evaluate
    monkeypatch.setattr(pictures, "NUM_MEASURED", 5)
    with pytest.raises(ValueError, match="real has 5 points; with k=5 it needs more than 5"):
        config.measuring(evaluate, dataset, draw)


def test_what_is_evaluated_is_cropped_at_its_centre(monkeypatch):
    first = options.first_examples(CANVAS, 2)
    assert list(first) == ["image"]
    np.testing.assert_array_equal(first["image"], PIXELS[:2, :, 1:5])
    asked = []

    def load(name, **told):
        asked.append(told)
        return data.ArrayDataset({"image": PIXELS})

    monkeypatch.setattr(data, "load", load)
    config = vae.Config(dataset="mine", image_size=4, crop="random", background="red")
    for split in ("train", "test"):
        config.images(split)
    shared = {"image_size": 4, "background": "red", "pairs": False}
    assert asked == [
        {"split": "train", "crop": "random", **shared},
        {"split": "test", "crop": "center", **shared},
    ]
