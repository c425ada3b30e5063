"""Numbers of images beside real ones: which images they are of, by which features."""

from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.harness import feature_networks, measures
from experiments.harness.feature_networks import Features, features_by
from experiments.harness.measures import Real, measured, measured_of_real
from experiments.harness.options import Result
from gan_jax import data, metrics
from gan_jax.metrics import slices
from gan_jax.nets import inception

SPLITS = {
    split: data.ArrayDataset(
        {"image": np.random.default_rng(seed).integers(0, 256, (num, 8, 8, 1), np.uint8)}
    )
    for seed, (split, num) in enumerate({"train": 90, "test": 12}.items())
}
TRAIN, TEST = (dataset.arrays["image"] for dataset in SPLITS.values())
MADE = np.random.default_rng(7).integers(0, 128, (41, 8, 8, 1), np.uint8)
REFERENCE, HELD_OUT = np.arange(1, 90, 2), np.arange(0, 90, 9)


def seen(images):
    """The means of rows: eight features in [-1, 1]."""
    return jnp.mean(images, axis=(2, 3))


def of_bytes(images):
    return np.asarray(seen(2 * images.astype(np.float32) / 255 - 1))


FEATURES = Features("rows", "means of rows", seen, seen, REFERENCE, HELD_OUT)


def real_images(features=FEATURES, num=30, **statistics):
    return Real(features, SPLITS["train"], lambda: SPLITS["test"], num, **statistics)


@pytest.mark.slow
def test_each_number_is_the_measure_of_that_name():
    points, real, taught = of_bytes(MADE), of_bytes(TRAIN[REFERENCE[:30]]), of_bytes(TRAIN)
    distances = metrics.nearest_distances(points, taught)
    unseen = metrics.nearest_distances(of_bytes(TEST), taught)
    expected = {
        "fid": metrics.frechet_distance(real, points),
        "kid": metrics.kernel_distance(real, points),
        "is": metrics.inception_score(points)[0],
        **metrics.prdc(real, points)._asdict(),
        "nearest": np.mean(distances),
        "copying": metrics.data_copying(distances, unseen).nearer,
        "ms_ssim": np.mean(metrics.ms_ssim(MADE[0:40:2], MADE[1:40:2])),
    }
    found = measured(list(expected), real_images(), MADE)
    assert list(found) == [f"rows/{name}" for name in expected]
    for name, value in expected.items():
        np.testing.assert_allclose(found[f"rows/{name}"], float(value), rtol=1e-5, err_msg=name)
    fewer = measured(["kid", "fid"], real_images(), MADE)
    assert list(fewer.items()) == [(name, found[name]) for name in ("rows/kid", "rows/fid")]


@pytest.mark.slow
def test_bins_and_patches_are_of_pixels(monkeypatch):
    monkeypatch.setattr(measures, "NUM_BINS", 3)
    monkeypatch.setattr(measures, "NUM_CUT", 25)
    monkeypatch.setattr(slices, "NUM_DIRECTIONS", 32)
    real, dark = real_images(num=45), MADE // 4
    found = measured(["ndb", "sliced_wasserstein"], real, dark)
    flat = [images.reshape(len(images), -1) / 127.5 - 1 for images in (real.images, dark)]
    nearest = [
        np.argmin(((points[:, None] - real.centres[None]) ** 2).sum(-1), axis=1) for points in flat
    ]
    counts = [np.bincount(places, minlength=3) for places in nearest]
    assert found["rows/ndb"] == metrics.different_bins(*counts).number > 0
    with pytest.raises(ValueError, match="ndb has 3 bins, and there are 2 real images"):
        measured(["ndb"], real_images(num=2), dark)
    levels = metrics.laplacian_sliced_wasserstein(jax.random.key(0), real.images[:25], dark[:25])
    np.testing.assert_allclose(found["rows/sliced_wasserstein"], 1e3 * levels.mean(), rtol=1e-5)


def test_real_images_in_the_place_of_samples_are_none_of_the_reference():
    real = real_images()
    np.testing.assert_array_equal(real.images, TRAIN[REFERENCE[:30]])
    held_out = np.concatenate([TRAIN[HELD_OUT], TEST])
    np.testing.assert_array_equal(real.held_out(15), held_out[:15])
    np.testing.assert_array_equal(real.held_out(99), held_out)
    found = measured_of_real(["fid", "nearest", "copying"], real, real.held_out(15))
    assert found["rows/fid"] == measured(["fid"], real, held_out[:15])["rows/fid"]
    distances = metrics.nearest_distances(of_bytes(TEST), of_bytes(TRAIN))
    np.testing.assert_allclose(found.pop("rows/nearest"), np.mean(distances), rtol=1e-6)
    assert list(found) == ["rows/fid"]
    pixels = real_images(features_by("pixels", SPLITS["train"]), 95)
    np.testing.assert_array_equal(pixels.images, TRAIN)
    np.testing.assert_array_equal(pixels.held_out(99), TEST)


def test_statistics_are_of_all_that_may_be_the_reference_and_of_one_network(tmp_path):
    file = tmp_path / "reference.npz"
    expected = metrics.frechet_distance(of_bytes(TRAIN[REFERENCE]), of_bytes(MADE))
    for features in (FEATURES, FEATURES._replace(reference=np.arange(9))):  # written, then read
        real = real_images(features, statistics=file)
        assert real.moments.count == len(REFERENCE)
        np.testing.assert_allclose(measured(["fid"], real, MADE)["rows/fid"], expected, rtol=1e-6)
    other = real_images(FEATURES._replace(name="others"), statistics=file)
    with pytest.raises(ValueError, match="of other features, by means of rows and not by others"):
        measured(["fid"], other, MADE)


def test_classes_are_of_features_that_have_them():
    with pytest.raises(ValueError, match="`is` needs classes: choose --features lenet or incept"):
        measured(["is"], real_images(FEATURES._replace(logits=None)), MADE)


def test_a_run_says_what_was_measured_on_features():
    numbers = {"precision": 0.5, "lenet/fid": 1.23456, "unseen/elbo": -1.0, "pixels/kid": -0.5}
    result = Result(None, numbers, Path("samples"))
    assert result.says("good").text == "good; lenet/fid 1.235, pixels/kid -0.5"
    assert result._replace(metrics={"precision": 0.5}).says("good").text == "good"


def test_features_are_chosen_by_name(monkeypatch):
    judge = SimpleNamespace(
        name="judge",
        accuracy=0.875,
        features=seen,
        logits=seen,
        reference=REFERENCE,
        held_out=HELD_OUT,
    )
    monkeypatch.setattr(feature_networks, "train_classifier", lambda _: judge)
    labelled = SimpleNamespace(label_names=("a", "b"))
    for name in ("auto", "lenet"):
        features = features_by(name, labelled)
        assert features.name == "judge, which names 87.5% of real ones"
        assert features[:1] + features[2:] == ("lenet", seen, seen, REFERENCE, HELD_OUT)
    for name in ("auto", "pixels"):
        features = features_by(name, SPLITS["train"])
        np.testing.assert_array_equal(features.of(MADE), MADE.reshape(41, 64))
        assert features.kind == "pixels"
    for name in ("inception", "inception:", "lenet:x", "pixels:x", "LeNet", ""):
        with pytest.raises(ValueError, match=f"--features is '{name}'; it must be pixels, lenet"):
            features_by(name, labelled)


def test_inception_sees_bytes_some_at_a_time(monkeypatch, tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, shift=np.float32(5))
    network = SimpleNamespace(apply=lambda shift, images: (images + shift, images - shift))
    monkeypatch.setattr(feature_networks, "CHUNK", 9)
    monkeypatch.setattr(inception, "InceptionV3", lambda: network)
    monkeypatch.setattr(inception, "from_state_dict", lambda arrays: arrays["shift"])
    monkeypatch.setattr(
        inception, "preprocess", lambda images: images.reshape(len(images), -1).astype(jnp.float32)
    )
    features = features_by(f"inception:{path}", SPLITS["train"])
    images, flat = np.asarray(data.signed(MADE)), MADE.reshape(41, -1)
    np.testing.assert_array_equal(features.of(images), flat + 5.0)
    np.testing.assert_array_equal(features.logits(images), flat - 5.0)
    assert features.name == f"Inception-v3, weights of SHA-256 {data.weights_digest(path)}"
    assert features.kind == "inception"
