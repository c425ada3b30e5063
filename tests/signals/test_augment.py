"""Augmentations: what changes nothing, what they draw, and where gradients go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.signals import augment

KEY = jax.random.key(0)
IMAGES = jax.random.normal(jax.random.key(1), (5, 6, 4, 3))
ONES = jnp.ones(5)
recolour, shift = jax.jit(augment.recolour), jax.jit(augment.shift)
cut_out = jax.jit(augment.cut_out, static_argnames="size")


def test_no_brightness_and_full_saturation_and_contrast_change_nothing():
    np.testing.assert_allclose(recolour(IMAGES, 0 * ONES, ONES, ONES), IMAGES, atol=1e-6)


def test_colours_as_the_definition_says():
    brightness, saturation, contrast = jnp.linspace(-1, 1, 15).reshape(3, 5)
    found = recolour(IMAGES, brightness, saturation, contrast)
    for x, b, s, c, made in zip(IMAGES, brightness, saturation, contrast, found, strict=True):
        x = np.asarray(x, np.float64) + float(b)
        grey = x.mean(axis=2, keepdims=True)
        x = grey + float(s) * (x - grey)
        np.testing.assert_allclose(made, x.mean() + float(c) * (x - x.mean()), atol=1e-5)


def test_grey_is_kept_by_saturation_and_contrast():
    grey = jnp.full((5, 6, 4, 3), 0.3)
    np.testing.assert_allclose(recolour(grey, 0 * ONES, 3 * ONES, 0.2 * ONES), grey, rtol=1e-6)


def test_a_shift_goes_down_and_right_and_lets_zeros_in():
    by = jnp.array([[0, 0], [2, 0], [0, -1], [-6, 3], [1, 4]])
    found = shift(IMAGES, by)
    np.testing.assert_array_equal(found[0], IMAGES[0])
    np.testing.assert_array_equal(found[1, 2:], IMAGES[1, :-2])
    assert not found[1, :2].any()
    np.testing.assert_array_equal(found[2, :, :-1], IMAGES[2, :, 1:])
    assert not found[2, :, -1].any()
    assert not found[3:].any()


def test_the_gradient_of_a_shift_is_the_opposite_one():
    by = jnp.array([[1, -1]] * 5)
    _, pull = jax.vjp(lambda images: shift(images, by), IMAGES)
    np.testing.assert_array_equal(pull(IMAGES)[0], shift(IMAGES, -by))


@pytest.mark.parametrize(
    ("centre", "rows", "columns"),
    [((0, 0), (0, 2), (0, 1)), ((3, 2), (1, 5), (1, 3)), ((6, 3), (4, 6), (2, 4))],
)
def test_a_rectangle_is_cut_out_as_far_as_it_lies_inside(centre, rows, columns):
    found = cut_out(jnp.ones((1, 6, 4, 2)), jnp.array([centre]), (4, 2))
    expected = np.ones((1, 6, 4, 2))
    expected[:, slice(*rows), slice(*columns)] = 0
    np.testing.assert_array_equal(found, expected)


def test_shifts_are_up_to_an_eighth_and_all_as_likely():
    """Of 8 x 12 pixels, 1 and, rounded, 2: by where a single bright pixel goes."""
    image = jnp.zeros((3_000, 8, 12, 1)).at[:, 4, 6].set(1.0)
    moved = np.asarray(jax.jit(augment.random_shift)(KEY, image))
    _, row, column, _ = np.nonzero(moved)
    counts = np.bincount(5 * (row - 3) + column - 4, minlength=15)
    np.testing.assert_allclose(counts / 3_000, 1 / 15, atol=0.02)


@pytest.mark.parametrize(("side", "part"), [(8, 4), (6, 3), (5, 3)])
def test_half_of_each_side_is_cut_out_anywhere(side, part):
    """All places from one that is half beyond an edge to one half beyond the other."""
    made = jax.jit(augment.random_cutout)(KEY, jnp.ones((4_000, side, side, 1)))
    cut = np.asarray(made)[..., 0] == 0
    for across in (1, 2):
        is_cut = cut.any(axis=across)
        length, first = is_cut.sum(axis=1), is_cut.argmax(axis=1)
        assert length.max() == part
        assert length.min() == side - first.max() == part - part // 2
        full = np.bincount(first[length == part], minlength=side)
        num_places = side + 1 - part % 2
        np.testing.assert_allclose(full[: side - part + 1] / 4_000, 1 / num_places, atol=0.03)
    assert (cut == (cut.any(axis=2)[:, :, None] & cut.any(axis=1)[:, None])).all()


def test_colours_are_drawn_from_their_ranges_for_each_image():
    """By what they make of an image of two colours, in closed form."""
    x = np.zeros((4_000, 1, 2, 2), np.float32)
    x[:, 0, 0, 0] = 4.0  # the pixel's mean is 2, the image's 1
    made = np.asarray(jax.jit(augment.random_colour)(KEY, jnp.asarray(x)), np.float64)
    contrast = (made[:, 0, 0].mean(axis=1) - made[:, 0, 1].mean(axis=1)) / 2
    saturation = (made[:, 0, 0, 0] - made[:, 0, 0, 1]) / 4 / contrast
    brightness = made.mean(axis=(1, 2, 3)) - 1
    for found, low, high in ((brightness, -0.5, 0.5), (saturation, 0, 2), (contrast, 0.5, 1.5)):
        expected = np.linspace(low, high, 5)
        np.testing.assert_allclose(np.quantile(found, np.linspace(0, 1, 5)), expected, atol=0.06)
    assert (
        np.abs(np.corrcoef([brightness, saturation, contrast])[~np.eye(3, dtype=bool)]).max() < 0.06
    )


def test_in_turn_each_has_a_key_of_its_own():
    add = lambda key, images: 2 * images + jax.random.normal(key)  # noqa: E731
    first, second = jax.random.split(KEY)
    expected = 2 * (2 * IMAGES + jax.random.normal(first)) + jax.random.normal(second)
    np.testing.assert_allclose(augment.in_turn(add, add)(KEY, IMAGES), expected, rtol=1e-5)
