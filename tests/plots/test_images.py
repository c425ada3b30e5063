"""Image grids: size, order, range."""

import matplotlib.image
import numpy as np
import pytest

from gan_jax.plots import save_image_grid


def written(tmp_path, images, **options):
    save_image_grid(tmp_path / "grid.png", images, **options)
    return matplotlib.image.imread(tmp_path / "grid.png")[..., :3]


def test_images_stand_in_rows_with_a_white_border(tmp_path):
    images = np.full((5, 4, 6, 1), -1, np.float32)
    images[4] = 0
    picture = written(tmp_path, images, scale=1)
    assert picture.shape == (2 * 6, 3 * 8, 3)
    np.testing.assert_array_equal(picture[0], 1)
    np.testing.assert_array_equal(picture[1:5, 1:7], 0)
    np.testing.assert_allclose(picture[7:11, 9:15], 0.5, atol=1 / 255)
    np.testing.assert_array_equal(picture[6:, 16:], 1)


def test_a_pixel_is_scale_pixels_wide(tmp_path):
    images = np.zeros((1, 2, 2, 3), np.float32)
    images[0, 0, 0] = [1, -1, 3]
    picture = written(tmp_path, images, scale=3)
    assert picture.shape == (12, 12, 3)
    np.testing.assert_array_equal(picture[3:6, 3:6], np.broadcast_to([1, 0, 1], (3, 3, 3)))


def test_two_channels_are_no_picture(tmp_path):
    with pytest.raises(ValueError, match="2 channels; a picture has 1 or 3"):
        save_image_grid(tmp_path / "grid.png", np.zeros((1, 2, 2, 2), np.float32))
