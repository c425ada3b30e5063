"""Pictures: what is drawn, what is written and what a notebook shows are the same pixels."""

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from gan_jax.plots import Animation, Picture, image_grid, stacked
from gan_jax.plots.pictures import picture


def test_a_picture_is_written_and_shown_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    drawn = Picture(pixels)
    drawn.save(tmp_path / f"here{drawn.suffix}")
    for png in (tmp_path / "here.png", io.BytesIO(drawn._repr_png_())):
        read = np.round(matplotlib.image.imread(png, "png") * 255)
        np.testing.assert_array_equal(read, pixels)
    np.testing.assert_array_equal(Picture.read(tmp_path / "here.png").pixels, pixels)
    assert repr(drawn) == "Picture(5 x 3)"
    assert image_grid(np.zeros((1, 2, 2, 1))).pixels.dtype == np.uint8


def test_pictures_under_one_another_end_at_the_right_and_have_white_before_them():
    wide, narrow = np.full((2, 5, 3), 7, np.uint8), np.full((1, 3, 3), 9, np.uint8)
    pixels = stacked([Picture(wide), Picture(narrow)]).pixels
    assert pixels[..., 0].tolist() == [[7] * 5, [7] * 5, [255, 255, 9, 9, 9]]
    assert pixels.dtype == np.uint8
    with pytest.raises(ValueError, match="give at least one"):
        stacked([])


def test_an_animation_shows_its_frames_in_turn_for_ever(tmp_path):
    frames = np.zeros((3, 4, 6, 3), np.uint8)
    frames[1], frames[2, :2] = 255, 255
    Animation(frames, milliseconds=50).save(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.info["loop"]) == (3, 0)
        for place, frame in enumerate(frames):
            film.seek(place)
            assert film.info["duration"] == 50
            np.testing.assert_array_equal(np.asarray(film.convert("RGB")), frame)


def test_a_figure_is_drawn_as_matplotlib_writes_it(tmp_path):
    figures = [Figure(figsize=(1.5, 1.0), dpi=60, layout="constrained") for _ in range(2)]
    for figure in figures:
        figure.subplots().plot([0, 1], [1, 0])
    figures[0].savefig(tmp_path / "figure.png")
    written = matplotlib.image.imread(tmp_path / "figure.png")[..., :3]
    np.testing.assert_array_equal(picture(figures[1]).pixels, np.round(written * 255))
