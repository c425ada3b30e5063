"""Binarised images, and quadrants of images."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from gan_jax.data import ArrayDataset, binarize, binarized, join_quadrants, split_quadrants

KEY = jax.random.key(0)


def test_pixels_are_ones_as_often_as_they_are_bright():
    image = jnp.broadcast_to(jnp.array([0.0, 0.2, 0.7, 1.0]), (10_000, 4))
    drawn = np.asarray(binarize(KEY, image))
    assert set(np.unique(drawn)) == {0, 1}
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 0.2, 0.7, 1], atol=0.02)


@pytest.mark.parametrize("value", [200.0, -1.0, np.nan])
def test_pixels_that_are_no_probabilities_are_refused_or_nan(value):
    image = jnp.array([0.0, value, 1.0])
    with pytest.raises(ValueError, match=rf"holds {value}; .* in \[0, 1\]: .*data\.unit .*signed"):
        binarize(KEY, image)
    np.testing.assert_array_equal(jax.jit(binarize)(KEY, image), [0, np.nan, 1])


def test_rounding_is_let_through():
    np.testing.assert_array_equal(binarize(KEY, jnp.array([1 + 2.4e-7, -1e-7])), [1, 0])


def test_blocks_are_drawn_apart(monkeypatch):
    monkeypatch.setattr("gan_jax.data.binary.BLOCK", 4)
    drawn = binarized(ArrayDataset({"image": np.full((8, 4, 4, 1), 128, np.uint8)})).arrays["image"]
    assert (drawn[:4] != drawn[4:]).any()


def test_a_dataset_is_drawn_once():
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), np.uint8)
    texts = tuple(map(str, range(50)))
    dataset = ArrayDataset({"image": images, "label": np.arange(50)}, ("one", "two"), texts)
    first, again, other = binarized(dataset), binarized(dataset), binarized(dataset, seed=1)
    drawn = first.arrays["image"]
    assert drawn.dtype == np.uint8
    assert set(np.unique(drawn)) == {0, 255}
    np.testing.assert_array_equal(drawn, again.arrays["image"])
    assert (drawn != other.arrays["image"]).any()
    np.testing.assert_array_equal(first.arrays["label"], np.arange(50))
    assert (first.label_names, first.text) == (("one", "two"), texts)


@pytest.mark.parametrize("num_observed", [1, 2, 3])
def test_quadrants_become_known_from_the_bottom_left_clockwise(num_observed):
    corners = {"bottom left": 1, "top left": 2, "top right": 3, "bottom right": 4}
    image = np.zeros((2, 4, 6, 1), np.float32)
    image[:, 2:, :3], image[:, :2, :3] = corners["bottom left"], corners["top left"]
    image[:, :2, 3:], image[:, 2:, 3:] = corners["top right"], corners["bottom right"]
    observed, rest = split_quadrants(jnp.asarray(image), num_observed)
    assert set(np.unique(observed)) == set(range(1, num_observed + 1))
    assert set(np.unique(rest)) == set(range(num_observed + 1, 5))
    assert observed.shape == (2, 6 * num_observed)
    whole = join_quadrants(observed, rest, num_observed, (4, 6, 1))
    np.testing.assert_array_equal(whole, image)


def test_other_numbers_of_quadrants_are_refused():
    with pytest.raises(ValueError, match="num_observed is 4; it must be one of 1, 2, 3"):
        split_quadrants(jnp.zeros((1, 4, 4, 1)), 4)


def test_parts_of_other_images_are_refused(monkeypatch):
    """One pixel would be broadcast over all of a quadrant. Here nothing checks annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(
        ValueError, match=r"have the shapes \(2, 1\) and \(2, 12\); .* \(2, 4\) and"
    ):
        join_quadrants(jnp.zeros((2, 1)), jnp.zeros((2, 12)), 1, (4, 4, 1))
    with pytest.raises(ValueError, match=r"have the shape \(2, 4, 4\); give them the axes"):
        split_quadrants(jnp.zeros((2, 4, 4)), 1)
