"""Images resized, against NumPy and Pillow; cropped and mirrored."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import PIL.Image
import pytest

from gan_jax.signals import center_crop, flip, random_crop, random_patches, resize

RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.uniform(-1, 1, (2, 3, 8, 6, 2)), jnp.float32)
resized = jax.jit(resize, static_argnums=1)


def triangles(m, n):
    """The weights by which n pixels are means of m, read off the docstring."""
    weights = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            distance = abs((i + 0.5) * m / n - (j + 0.5)) / max(m / n, 1)
            weights[i, j] = max(0, 1 - distance)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [(4, 3), (3, 6), (5, 9), (1, 1)])
def test_pixels_are_means_under_triangles(size):
    """Halved, shrunk along one axis, shrunk and enlarged, and the smallest."""
    along_height, along_width = triangles(8, size[0]), triangles(6, size[1])
    expected = np.einsum("ij,kl,...jlc->...ikc", along_height, along_width, IMAGES)
    np.testing.assert_allclose(resized(IMAGES, size), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(4, 3), (5, 9)])
def test_it_is_what_pillow_computes(size):
    image = IMAGES[0, 0, :, :, 0]
    expected = PIL.Image.fromarray(np.asarray(image)).resize(size[::-1], PIL.Image.BILINEAR)
    np.testing.assert_allclose(resized(image[..., None], size)[..., 0], expected, atol=1e-6)


def test_a_constant_stays_and_a_ramp_stays_away_from_the_edges():
    rows = jnp.arange(12.0).reshape(12, 1, 1) * jnp.ones((1, 12, 1))
    np.testing.assert_allclose(resized(jnp.full((12, 12, 1), 0.3), (5, 17)), 0.3, rtol=1e-6)
    centres = (np.arange(4) + 0.5) * 3 - 0.5
    inner = resized(rows, (4, 12))[1:-1, :, 0]
    np.testing.assert_allclose(inner, np.tile(centres[1:-1, None], 12), rtol=1e-6)
    centres = (np.arange(24) + 0.5) / 2 - 0.5
    inner = resized(rows, (24, 12))[1:-1, :, 0]
    np.testing.assert_allclose(inner, np.tile(centres[1:-1, None], 12), rtol=1e-6)


def test_the_same_size_is_the_identity():
    np.testing.assert_array_equal(resize(IMAGES, (8, 6)), IMAGES)


def test_leading_axes_are_mapped():
    together, function = resized(IMAGES, (4, 9)), partial(resize, size=(4, 9))
    assert together.shape == (2, 3, 4, 9, 2)
    mapped = jax.jit(jax.vmap(jax.vmap(function)))(IMAGES)
    np.testing.assert_allclose(mapped, together, rtol=0, atol=1e-6)
    half = jax.eval_shape(function, IMAGES.astype(jnp.bfloat16))
    assert (half.shape, half.dtype) == (together.shape, jnp.bfloat16)


@pytest.mark.parametrize(
    ("image", "size", "sentence"),
    [
        (IMAGES, (0, 3), "The height is 0; it must be an integer, at least 1."),
        (IMAGES, (4, 3, 2), "The size is (4, 3, 2); it must be a height and a width."),
        (
            IMAGES[0, 0, :, :, 0],
            (4, 3),
            "An image of shape (8, 6) has no height, width and channels; give it all three axes "
            "(image[..., None] where it has one channel).",
        ),
        (
            jnp.zeros((8, 6, 1), jnp.uint8),
            (4, 3),
            "The image is uint8; only floating-point images are filtered: scale it first, for "
            "instance with gan_jax.data.signed.",
        ),
    ],
)
def test_what_is_no_image_is_refused(image, size, sentence, monkeypatch):
    """Outside of these tests nothing checks the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        resize(image, size)


NUMBERED = jnp.arange(2 * 5 * 7).reshape(2, 5, 7, 1)
EXTENTS = jnp.array([[5, 4], [3, 7]], jnp.int32)


def test_a_random_crop_takes_every_place_inside_its_image_alike():
    """By the number of the top left pixel: 3 x 2 places in one image, 1 x 5 in the other."""
    keys = jax.random.split(jax.random.key(0), 3_000)
    crops = jax.jit(jax.vmap(lambda key: random_crop(key, NUMBERED, EXTENTS, 3)))(keys)
    assert crops.shape == (3_000, 2, 3, 3, 1)
    for index, corners in enumerate([[0, 1, 7, 8, 14, 15], [0, 1, 2, 3, 4]]):
        found, counts = np.unique(crops[:, index, 0, 0, 0] - 35 * index, return_counts=True)
        assert found.tolist() == corners
        share = 1 / len(corners)
        error = np.sqrt(share * (1 - share) / 3_000)
        np.testing.assert_allclose(counts / 3_000, share, atol=4 * error)
    places = np.arange(3)[:, None] * 7 + np.arange(3)
    found = np.asarray(crops[..., 0])
    np.testing.assert_array_equal(found - found[:, :, :1, :1], np.broadcast_to(places, found.shape))
    one, other = crops[:, 0, 0, 0, 0], crops[:, 1, 0, 0, 0]  # drawn apart
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(3_000)


def test_a_crop_at_the_centre_leaves_as_much_on_either_side():
    crops = center_crop(NUMBERED, EXTENTS, 3)
    np.testing.assert_array_equal(crops[0], NUMBERED[0, 1:4, 0:3])
    np.testing.assert_array_equal(crops[1], NUMBERED[1, 0:3, 2:5])


def test_patches_are_cut_at_every_place_alike_and_apart():
    """By the number of their top left pixel: 4 x 6 places of a 2 x 2 patch in a 5 x 7 image."""
    patches = jax.jit(random_patches, static_argnums=(2, 3))(jax.random.key(0), NUMBERED, 5_000, 2)
    assert patches.shape == (2, 5_000, 2, 2, 1)
    corners = np.asarray(patches[:, :, 0, 0, 0]) - np.array([[0], [35]])
    for of_one in corners:
        found, counts = np.unique(of_one, return_counts=True)
        assert found.tolist() == [7 * row + column for row in range(4) for column in range(6)]
        error = np.sqrt(1 / 24 * 23 / 24 / 5_000)
        np.testing.assert_allclose(counts / 5_000, 1 / 24, atol=4 * error)
    assert abs(np.corrcoef(*corners)[0, 1]) < 4 / np.sqrt(5_000)
    expected = corners[..., None, None] + np.array([[0, 1], [7, 8]])
    np.testing.assert_array_equal(patches[..., 0] - np.array([0, 35]).reshape(2, 1, 1, 1), expected)


def test_patches_that_do_not_fit_are_refused():
    sentence = "The images are 5 x 7; patches of 6 x 6 do not fit: take larger images, or smaller"
    with pytest.raises(ValueError, match=sentence):
        random_patches(jax.random.key(0), NUMBERED, 1, 6)
    with pytest.raises(ValueError, match="num_patches is 0; it must be an integer, at least 1"):
        random_patches(jax.random.key(0), NUMBERED, 0, 2)


def test_a_flip_mirrors_half_of_the_images_from_left_to_right():
    images = jnp.tile(NUMBERED[:1], (1_000, 1, 1, 1)).astype(jnp.uint8)
    flipped = jax.jit(flip)(jax.random.key(0), images)
    assert flipped.dtype == jnp.uint8
    is_mirrored = np.all(flipped == images[:, :, ::-1], axis=(1, 2, 3))
    is_left = np.all(flipped == images, axis=(1, 2, 3))
    assert np.all(is_mirrored ^ is_left)
    assert abs(is_mirrored.mean() - 0.5) < 4 * 0.5 / np.sqrt(1_000)
