"""Conditions of images, beside NumPy, Pillow and SciPy."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from gan_jax import signals

IMAGES = jax.random.uniform(jax.random.key(0), (2, 9, 12, 3), minval=-1.0)


def test_the_lower_half_is_hidden():
    hidden = np.asarray(signals.without_lower_half(IMAGES))
    np.testing.assert_array_equal(hidden[:, :4], IMAGES[:, :4])
    assert not hidden[:, 4:].any()


def test_the_hole_is_the_middle_half_of_both_sides():
    is_kept = np.asarray(signals.without_centre(jnp.ones((8, 12, 1))))[..., 0]
    wanted = np.ones((8, 12))
    wanted[2:6, 3:9] = 0
    np.testing.assert_array_equal(is_kept, wanted)


def test_a_coarse_image_is_resized_as_pillow_does_there_and_back():
    pillow = pytest.importorskip("PIL.Image")
    image = np.asarray(jax.random.uniform(jax.random.key(1), (18, 16)), np.float32)
    small = pillow.fromarray(image).resize((4, 4), pillow.Resampling.BILINEAR)
    wanted = small.resize((16, 18), pillow.Resampling.BILINEAR)
    found = signals.coarse(jnp.asarray(image)[..., None], 4)[..., 0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_grey_is_what_pillow_calls_so():
    pillow = pytest.importorskip("PIL.Image")
    pixels = np.asarray(jax.random.randint(jax.random.key(2), (9, 12, 3), 0, 256), np.uint8)
    found = signals.grey(jnp.asarray(pixels, jnp.float32))
    wanted = np.asarray(pillow.fromarray(pixels).convert("L"))
    np.testing.assert_allclose(np.asarray(found)[..., 0], wanted, atol=0.51)
    np.testing.assert_array_equal(signals.grey(found), found)


def test_an_outline_is_the_morphological_gradient():
    found = np.asarray(signals.outline(IMAGES))[1, ..., 0]
    grey = np.asarray(signals.grey(IMAGES))[1, ..., 0]
    wanted = ndimage.morphological_gradient(grey, size=3, mode="nearest") - 1
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    flat = np.asarray(signals.outline(jnp.ones((5, 5, 1))))
    assert (flat == -1).all()


@pytest.mark.parametrize(("side", "padded", "before"), [(28, 32, 2), (32, 32, 0), (33, 64, 15)])
def test_edges_are_repeated_up_to_a_multiple_and_cut_off_again(side, padded, before):
    image = jax.random.uniform(jax.random.key(3), (side, 8, 2))
    found = np.asarray(signals.pad_to_multiple(image, 32))
    assert found.shape == (padded, 32, 2)
    np.testing.assert_array_equal(found[:before], np.broadcast_to(found[before], (before, 32, 2)))
    np.testing.assert_array_equal(signals.unpad(jnp.asarray(found), (side, 8)), image)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="nothing is left of it when it is made 4 times smaller"):
        signals.coarse(jnp.zeros((3, 8, 1)), 4)
    with pytest.raises(ValueError, match="has 4 channels; give it 3"):
        signals.grey(jnp.zeros((3, 8, 4)))
    with pytest.raises(ValueError, match="no height, width and channels"):
        inspect.unwrap(signals.grey)(jnp.zeros((3, 8)))
