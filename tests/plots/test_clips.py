"""Rows of frames, and clips beside one another that move."""

import numpy as np
import PIL.Image
import pytest

from gan_jax import plots

VIDEOS = np.linspace(-1, 1, 3 * 4 * 2 * 5 * 3, dtype=np.float32).reshape(3, 4, 2, 5, 3)
"""Three clips of four frames of 2x5."""


def test_each_clip_is_a_row_of_its_frames():
    pixels = plots.frame_rows(VIDEOS, scale=1).pixels
    assert pixels.shape == (3 * 4, 4 * 7, 3)
    shown = pixels.reshape(3, 4, 4, 7, 3).swapaxes(1, 2)[:, :, 1:-1, 1:-1]
    np.testing.assert_array_equal(shown, ((VIDEOS + 1) / 2 * 255).astype(np.uint8))
    named = plots.frame_rows(VIDEOS, row_names=["a", "b", "c"]).pixels
    assert named.shape[0] == 2 * len(pixels)
    assert named.shape[1] > 2 * pixels.shape[1]


def test_clips_move_beside_one_another(tmp_path):
    shown = plots.clip_grid(VIDEOS, columns=2, scale=3, milliseconds=200)
    assert shown.frames.shape == (4, 2 * 4 * 3, 2 * 7 * 3, 3)
    for frame, images in zip(shown.frames, VIDEOS.swapaxes(0, 1), strict=True):
        expected = plots.image_grid(images, columns=2, scale=3).pixels
        np.testing.assert_array_equal(frame, expected)
    shown.save(tmp_path / "clips.gif")
    with PIL.Image.open(tmp_path / "clips.gif") as written:
        assert (written.n_frames, written.info["duration"]) == (4, 200)


@pytest.mark.parametrize("channels", [1, 3])
def test_clips_are_written_as_they_are(tmp_path, channels):
    clips = np.arange(2 * 3 * 2 * 5 * channels, dtype=np.uint8).reshape(2, 3, 2, 5, channels)
    paths = [tmp_path / "a.gif", tmp_path / "b.gif"]
    plots.save_clips(clips, paths, milliseconds=90)
    for clip, path in zip(clips, paths, strict=True):
        with PIL.Image.open(path) as written:
            assert written.info["duration"] == 90
            for number, frame in enumerate(clip):
                written.seek(number)
                pixels = np.asarray(written.convert("RGB"))
                np.testing.assert_array_equal(pixels, np.broadcast_to(frame, pixels.shape))
    with pytest.raises(ValueError, match=r"^The clips have 2 channels; a GIF has 1 or 3\.$"):
        plots.save_clips(np.zeros((1, 2, 4, 4, 2), np.uint8), paths[:1])
