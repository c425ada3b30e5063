"""Laplacian pyramids against SciPy's filters, and as what they are: a change of basis."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy import ndimage

from gan_jax.data import signed
from gan_jax.signals import (
    binomial_down,
    binomial_up,
    from_laplacian_pyramid,
    images,
    laplacian_pyramid,
    mean_down,
    nearest_up,
)
from tests.signals.waves import picture

BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.uniform(0, 255, (2, 3, 8, 12, 2)), jnp.float32)
BY_BINOMIALS = {"down": binomial_down, "up": binomial_up}
pyramid = jax.jit(laplacian_pyramid, static_argnames=("num_levels", "down", "up"))


def filtered(image):
    """SciPy's "mirror" does not repeat the edge."""
    along_height = ndimage.correlate1d(np.asarray(image, np.float64), BINOMIAL, -3, mode="mirror")
    return ndimage.correlate1d(along_height, BINOMIAL, -2, mode="mirror")


def enlarged(image):
    *batch, height, width, channels = image.shape
    spread = np.zeros((*batch, 2 * height, 2 * width, channels))
    spread[..., ::2, ::2, :] = image
    return 4 * filtered(spread)


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
        detail, half = pyramid(jnp.asarray(picture(0, 32, 32)), num_levels=2, **BY_BINOMIALS)
    assert f"{np.sum(np.square(half)):.4f}" == "15314755.5304"
    assert f"{np.sum(np.square(detail)):.7f}" == "26172.3484426"


def test_means_are_of_two_by_two_pixels_and_repeat_an_odd_edge():
    image = jnp.arange(15.0).reshape(3, 5, 1)
    expected = [[3, 5, 6.5], [10.5, 12.5, 14]]
    np.testing.assert_allclose(mean_down(image)[..., 0], expected)


PAIRS = {
    "means": {},
    "binomials": BY_BINOMIALS,
    "any": {"down": lambda x: 3 - x[..., ::2, ::2, :], "up": lambda x: 5 * nearest_up(x)},
}
BYTES = RNG.integers(0, 256, (2, 3, 13, 27, 2)).astype(np.uint8)
WHOLE = jnp.float32(BYTES)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    ("image", "tolerance"),
    [(WHOLE, 0), (signed(BYTES), 4e-7)],  # of three levels, 2e-7 for each one that is added
    ids=["whole numbers", "scaled"],
)
def test_it_builds_the_image_again(image, tolerance, pair):
    """Odd sides of 13 and 27 pixels become 7 and 14, then 4 and 7."""
    filters = PAIRS[pair]
    bands = pyramid(image, num_levels=3, **filters)
    assert [band.shape[2:4] for band in bands] == [(13, 27), (7, 14), (4, 7)]
    up = {name: f for name, f in filters.items() if name == "up"}
    again = jax.jit(partial(from_laplacian_pyramid, **up))(bands)
    scale = 1 if pair != "any" else 25  # of the numbers that such filters make
    np.testing.assert_allclose(again, image, rtol=0, atol=scale * tolerance)


@pytest.mark.parametrize("pair", ["means", "any"])
def test_in_float64_scaled_bytes_are_built_again_to_the_bit(pair):
    """As float32 they are multiples of 2^-24, of which float64 has every mean."""
    filters = PAIRS[pair]
    with jax.enable_x64(True):
        image = jnp.asarray(np.float64(np.asarray(signed(BYTES))))
        bands = pyramid(image, num_levels=3, **filters)
        up = {name: f for name, f in filters.items() if name == "up"}
        again = jax.jit(partial(from_laplacian_pyramid, **up))(bands)
        assert again.dtype == jnp.float64
        np.testing.assert_array_equal(again, image)


def test_an_odd_side_repeats_its_last_pixel_and_is_cut_to_it():
    image = jnp.array([[1.0, 3.0, 4.0], [1.0, 3.0, 8.0]])[..., None]
    detail, small = pyramid(image, num_levels=2)
    assert small.ravel().tolist() == [2, 6]
    assert detail.ravel().tolist() == [-1, 1, -2, -1, 1, 2]


def test_the_pyramid_has_one_place_and_two_names():
    assert images.laplacian_pyramid is laplacian_pyramid
    assert images.from_laplacian_pyramid is from_laplacian_pyramid


def test_each_level_is_what_the_next_one_lacks():
    detail, small = pyramid(IMAGES, num_levels=2)
    blocks = np.asarray(IMAGES).reshape(2, 3, 4, 2, 6, 2, 2)
    np.testing.assert_allclose(small, blocks.mean(axis=(3, 5)), rtol=1e-5)
    expected = blocks - blocks.mean(axis=(3, 5), keepdims=True)
    np.testing.assert_allclose(detail, expected.reshape(IMAGES.shape), atol=1e-3)


@pytest.mark.parametrize("pair", ["means", "binomials"])
def test_it_is_linear_and_a_constant_has_no_details(pair):
    split = partial(pyramid, num_levels=3, **PAIRS[pair])
    constant = split(jnp.full_like(IMAGES, 0.3))
    for detail in constant[:-1]:
        np.testing.assert_allclose(detail, 0, atol=1e-6)
    np.testing.assert_allclose(constant[-1], 0.3, rtol=1e-6)
    scaled = split(0.25 * IMAGES + 10)
    for level, other, added in zip(scaled, split(IMAGES), (0, 0, 10), strict=True):
        np.testing.assert_allclose(level, 0.25 * other + added, atol=1e-3)


def test_one_level_is_the_image():
    (level,) = laplacian_pyramid(IMAGES, num_levels=1)
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
            lambda: laplacian_pyramid(SQUARE[:8], num_levels=5),
            "The images are 8 x 12; a pyramid of 5 levels halves them 4 times, so height and width "
            "must be at least 9: take fewer levels, or larger images.",
        ),
        (
            lambda: laplacian_pyramid(SQUARE, num_levels=0),
            "num_levels is 0; it must be an integer, at least 1.",
        ),
        (
            lambda: laplacian_pyramid(SQUARE.astype(jnp.uint8), num_levels=2),
            "The image is uint8; only floating-point images are filtered: scale it first, for "
            "instance with gan_jax.data.signed.",
        ),
        (
            lambda: laplacian_pyramid(SQUARE, num_levels=2, down=lambda image: image[::3, ::3]),
            "A level has the shape (12, 12, 1), the next one (4, 4, 1), and (8, 8, 1) when it is "
            "enlarged; `down` must halve height and width, and `up` double them.",
        ),
        (
            lambda: from_laplacian_pyramid([SQUARE, SQUARE]),
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
