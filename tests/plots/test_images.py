"""Image grids: size, order, range."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.plots import brightness_grid, captioned_grid, image_grid, save_images


def drawn(images, **options):
    return image_grid(images, **options).pixels / 255


def test_images_stand_in_rows_with_a_white_border():
    images = np.full((5, 4, 6, 1), -1, np.float32)
    images[0, 0, 0] = np.nan
    images[4] = 0
    picture = drawn(images, scale=1)
    assert picture.shape == (2 * 6, 3 * 8, 3)
    np.testing.assert_array_equal(picture[0], 1)
    np.testing.assert_array_equal(picture[1:5, 1:7], 0)
    np.testing.assert_allclose(picture[7:11, 9:15], 0.5, atol=1 / 255)
    np.testing.assert_array_equal(picture[6:, 16:], 1)


@pytest.mark.parametrize(
    ("num", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (7, 3, 3), (9, 3, 3), (10, 3, 4)]
)
def test_the_grid_is_nearly_square(num, rows, columns):
    picture = drawn(np.zeros((num, 3, 5, 1), np.float32))
    assert picture.shape == (2 * rows * 5, 2 * columns * 7, 3)


def test_a_pixel_is_scale_pixels_wide():
    images = np.zeros((1, 2, 2, 3), np.float32)
    images[0, 0, 0] = [3, -1, 0.6]
    picture = drawn(images, scale=3)
    assert picture.shape == (12, 12, 3)
    corner = np.broadcast_to([1, 0, 0.8], (3, 3, 3))
    np.testing.assert_allclose(picture[3:6, 3:6], corner, atol=1 / 255)
    np.testing.assert_allclose(picture[6:9, 3:6], 0.5, atol=1 / 255)


@pytest.mark.parametrize("channels", [2, 4])
def test_channels_that_are_no_colours_stand_side_by_side(channels):
    images = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5, channels)).astype(np.float32)
    beside = np.concatenate([images[..., [i]] for i in range(channels)], axis=2)
    np.testing.assert_array_equal(drawn(images), drawn(beside))


def test_rows_have_names_to_their_left():
    images = np.full((6, 10, 10, 1), -1, np.float32)
    plain = drawn(images, columns=2)
    named = drawn(images, columns=2, row_names=["0", "a long name", "2"])
    margin = named[:, : -plain.shape[1]]
    np.testing.assert_array_equal(named[:, margin.shape[1] :], plain)
    ink = (1 - margin).sum(axis=2).reshape(3, 24, -1).sum(axis=1)
    assert (ink.sum(axis=1) > 0).all()
    assert ink[1].sum() > 3 * ink[0].sum()
    assert (ink[:, -4:] == 0).all()  # nothing is cut off


def test_rows_have_captions_above_them():
    images = np.linspace(-1, 1, 6).reshape(6, 1, 1, 1) * np.ones((30, 40, 1))
    captions = ["i", "a long caption", ""]
    picture = captioned_grid(images, captions, scale=3).pixels / 255
    height, width = 3 * 32, 2 * 3 * 42
    assert picture.shape == (3 * (16 + height), width, 3)
    strips, rows = np.split(picture.reshape(3, 16 + height, width, 3), [16], axis=1)
    for row in range(3):
        shown = drawn(images[2 * row : 2 * row + 2], columns=2, scale=3)
        np.testing.assert_array_equal(rows[row], shown)
    ink = (1 - strips).sum(axis=3)
    assert (ink[:, [0, -1]] == 0).all()
    assert (ink[:, :, [0, -1]] == 0).all()
    of_one, of_many, of_none = ink.sum(axis=(1, 2))
    assert of_many > 3 * of_one > 0 == of_none


def test_a_caption_wider_than_its_row_is_cut_off():
    images = np.zeros((2, 30, 40, 1), np.float32)
    one, two = (captioned_grid(images, [word * 50]).pixels for word in ("a", "ab"))
    assert one.shape == two.shape == (16 + 2 * 32, 2 * 2 * 42, 3)
    assert (one[:16] != two[:16]).any()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_are_files_pixel_for_pixel(channels, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, channels), np.uint8)
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    save_images(images, paths)
    for image, path in zip(images, paths, strict=True):
        with Image.open(path) as written:
            np.testing.assert_array_equal(np.asarray(written).reshape(image.shape), image)


def test_images_of_other_channels_are_no_files(tmp_path):
    with pytest.raises(ValueError, match="have 5 channels; a PNG has 1, 2, 3 or 4"):
        save_images(np.zeros((1, 2, 2, 5), np.uint8), [tmp_path / "a.png"])


def test_brightnesses_go_from_black_to_white():
    images = np.array([0.0, 0.5, 1.0], np.float32).reshape(3, 1, 1, 1)
    picture = brightness_grid(images, columns=3).pixels[2, 3::6, 0]
    np.testing.assert_allclose(picture, [0, 127, 255], atol=1)
