"""Laplacian pyramids against SciPy's filters, and as what they are: a change of basis."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy import ndimage

from gan_jax.signals import (
    binomial_down,
    binomial_up,
    from_laplacian_pyramid,
    laplacian_pyramid,
    mean_down,
)
from tests.signals.waves import picture

BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.uniform(0, 255, (2, 3, 8, 12, 2)), jnp.float32)
pyramid = jax.jit(laplacian_pyramid, static_argnums=1, static_argnames=("down", "up"))


def filtered(image):
    """SciPy's "mirror" does not repeat the edge."""
    along_height = ndimage.correlate1d(np.asarray(image, np.float64), BINOMIAL, -3, mode="mirror")
    return ndimage.correlate1d(along_height, BINOMIAL, -2, mode="mirror")


def enlarged(image):
    *batch, height, width, channels = image.shape
    spread = np.zeros((*batch, 2 * height, 2 * width, channels))
    spread[..., ::2, ::2, :] = image
    return 4 * filtered(spread)


def nearest(image):
    return jnp.repeat(jnp.repeat(image, 2, axis=-3), 2, axis=-2)


@pytest.mark.parametrize(("height", "width"), [(5, 7), (2, 4), (1, 3)])
def test_halving_and_doubling_are_scipys_filters(height, width):
    """Down to sides that the filter is wider than, and on odd ones."""
    image = RNG.uniform(0, 255, (2, height, width, 3))
    half, double = jax.jit(lambda x: (binomial_down(x), binomial_up(x)))(jnp.float32(image))
    np.testing.assert_allclose(half, filtered(image)[:, ::2, ::2], rtol=1e-6)
    np.testing.assert_allclose(double, enlarged(image), rtol=1e-6)


def test_the_levels_of_a_known_picture():
    """Sums of squares by scipy.ndimage, in float64."""
    with jax.enable_x64(True):
        detail, half = pyramid(jnp.asarray(picture(0, 32, 32)), 2)
    assert f"{np.sum(np.square(half)):.4f}" == "15314755.5304"
    assert f"{np.sum(np.square(detail)):.7f}" == "26172.3484426"


def test_means_are_of_two_by_two_pixels_and_repeat_an_odd_edge():
    image = jnp.arange(15.0).reshape(3, 5, 1)
    expected = [[3, 5, 6.5], [10.5, 12.5, 14]]
    np.testing.assert_allclose(mean_down(image)[..., 0], expected)


@pytest.mark.parametrize(("down", "up"), [(binomial_down, binomial_up), (mean_down, nearest)])
def test_it_builds_the_image_again(down, up):
    levels = pyramid(IMAGES, 3, down=down, up=up)
    shapes = [(2, 3, 8, 12, 2), (2, 3, 4, 6, 2), (2, 3, 2, 3, 2)]
    assert [level.shape for level in levels] == shapes
    again = jax.jit(partial(from_laplacian_pyramid, up=up))(levels)
    np.testing.assert_allclose(again, IMAGES, atol=1e-4)


def test_each_level_is_what_the_next_one_lacks():
    detail, small = pyramid(IMAGES, 2, down=mean_down, up=nearest)
    blocks = np.asarray(IMAGES).reshape(2, 3, 4, 2, 6, 2, 2)
    np.testing.assert_allclose(small, blocks.mean(axis=(3, 5)), rtol=1e-5)
    expected = blocks - blocks.mean(axis=(3, 5), keepdims=True)
    np.testing.assert_allclose(detail, expected.reshape(IMAGES.shape), atol=1e-3)


def test_it_is_linear_and_a_constant_has_no_details():
    constant = pyramid(jnp.full_like(IMAGES, 0.3), 3)
    for detail in constant[:-1]:
        np.testing.assert_allclose(detail, 0, atol=1e-6)
    np.testing.assert_allclose(constant[-1], 0.3, rtol=1e-6)
    scaled = pyramid(0.25 * IMAGES + 10, 3)
    for level, other, added in zip(scaled, pyramid(IMAGES, 3), (0, 0, 10), strict=True):
        np.testing.assert_allclose(level, 0.25 * other + added, atol=1e-3)


def test_one_level_is_the_image():
    (level,) = laplacian_pyramid(IMAGES, 1)
    assert level is IMAGES
    assert from_laplacian_pyramid([IMAGES]) is IMAGES


def test_it_keeps_the_precision_that_it_is_given():
    levels = jax.eval_shape(partial(laplacian_pyramid, num_levels=2), IMAGES.astype(jnp.bfloat16))
    assert {level.dtype for level in levels} == {jnp.dtype(jnp.bfloat16)}


SQUARE = jnp.ones((12, 12, 1))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: laplacian_pyramid(SQUARE, 4),
            "The image is 12 x 12; a pyramid of 4 levels halves it 3 times, so height and width "
            "must be multiples of 8: take fewer levels, or resize it.",
        ),
        (
            lambda: laplacian_pyramid(SQUARE, 0),
            "num_levels is 0; it must be an integer, at least 1.",
        ),
        (
            lambda: laplacian_pyramid(SQUARE.astype(jnp.uint8), 2),
            "The image is uint8; only floating-point images are filtered: scale it first, for "
            "instance with gan_jax.data.signed.",
        ),
        (
            lambda: laplacian_pyramid(SQUARE, 2, down=lambda image: image[::3, ::3], up=nearest),
            "A level has the shape (12, 12, 1), the next one (4, 4, 1), and (8, 8, 1) when it is "
            "enlarged; `down` must halve height and width, and `up` double them.",
        ),
        (
            lambda: from_laplacian_pyramid([SQUARE, SQUARE], up=nearest),
            "A level has the shape (12, 12, 1), the next one (12, 12, 1), and (24, 24, 1) when it "
            "is enlarged; `down` must halve height and width, and `up` double them.",
        ),
        (
            lambda: from_laplacian_pyramid([]),
            "The number of levels is 0; it must be an integer, at least 1.",
        ),
    ],
)
def test_what_does_not_halve_is_refused(call, sentence, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        call()
