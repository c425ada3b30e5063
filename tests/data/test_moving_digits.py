from functools import partial

import jax
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from gan_jax import data
from gan_jax.data import moving_digits

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
FILLED = np.full((1, 28, 28, 1), 255, np.uint8)
DENSITIES = np.array([0.3, 0.5, 0.7])[:, None, None, None]
STROKES = np.where(RNG.random((3, 28, 28, 1)) < DENSITIES, 255, 0).astype(np.uint8)
STROKES[:, [0, -1]] = STROKES[:, :, [0, -1]] = 0
# Each pixel says of which photograph it is, in which row and in which column.
PHOTOGRAPHS = np.stack(np.meshgrid([0, 9], np.arange(40), np.arange(60), indexing="ij"), axis=-1)
PHOTOGRAPHS = PHOTOGRAPHS.astype(np.uint8)
draw = jax.jit(moving_digits.draw, static_argnums=1, static_argnames=("num_frames", "size"))


def clips(digits, num=24, **how):
    found = draw(KEY, num, digits, PHOTOGRAPHS, **how)
    return np.asarray(found["video"]), np.asarray(found["mask"])


def test_a_clip_is_the_digit_by_its_mask_over_a_still_cut_of_a_photograph():
    video, mask = clips(STROKES, size=24)
    assert video.shape == (24, 8, 24, 24, 3)
    assert mask.shape == (24, 8, 24, 24, 1)
    assert 0 == mask.min() < mask.max() <= 1
    assert -1 <= video.min() < video.max() <= 1
    corners = []
    for clip, alpha in zip(video, mask, strict=True):
        time, row, column = np.argwhere(alpha[..., 0] == 0)[0]
        seen = np.rint((clip[time, row, column] + 1) * 255).astype(int) - [0, row, column]
        corners.append(seen)
        which, top, left = seen // [9, 1, 1]
        cut = PHOTOGRAPHS[which, top : top + 24, left : left + 24]
        background = (cut / 255 - 1)[None]
        np.testing.assert_allclose(clip, alpha + (1 - alpha) * background, atol=1e-6)
    assert len(np.unique(corners, axis=0)) > 20
    assert set(np.array(corners)[:, 0]) == {0, 9}


def test_the_mask_is_a_digit_resized():
    found, drawn = set(), clips(STROKES, size=40)[1]
    weights = drawn.sum((2, 3, 4))
    expected = (STROKES / 255).sum((1, 2, 3)) * (5 / 8 * 40 / 28) ** 2
    for clip in weights:
        which = np.argmin(abs(expected - clip.mean()))
        found.add(which)
        np.testing.assert_allclose(clip, expected[which], rtol=0.02)
    assert found == {0, 1, 2}


def test_digits_go_straight_and_bounce_off_the_edges():
    mask = clips(FILLED, num=40, num_frames=17)[1][..., 0]
    np.testing.assert_allclose(mask.sum((2, 3)), 20**2, rtol=0.06)
    pixels = np.arange(32) + 0.5
    sums = np.einsum("nthw,h->nt", mask, pixels), np.einsum("nthw,w->nt", mask, pixels)
    centre = np.stack(sums, axis=-1) / mask.sum((2, 3))[..., None]
    assert centre.min() >= 10 - 0.1
    assert centre.max() <= 22 + 0.1
    assert centre[:, 0].min() < 11
    assert centre[:, 0].max() > 21
    steps = np.diff(centre, axis=1)
    speed = np.median(abs(steps), axis=1)
    np.testing.assert_allclose(np.hypot(*speed.T), 1, atol=0.05)  # 16 pixels in 16 steps
    turns = np.sum(np.sign(steps[:, 1:]) != np.sign(steps[:, :-1]), axis=1)[speed > 0.2]
    assert turns.min() == 0
    assert turns.max() == 1 or turns.max() == 2
    headings = np.sign(steps[:, 0])
    assert len(np.unique(headings, axis=0)) == 4


def test_the_material_of_both_splits_is_apart():
    train, test = (moving_digits.load(split) for split in ("train", "test"))
    assert train.digits.shape == (4500, 28, 28, 1)
    assert test.digits.shape == (500, 28, 28, 1)
    assert train.backgrounds.shape[2] == 426
    joined = np.concatenate([train.backgrounds, test.backgrounds], axis=2)
    np.testing.assert_array_equal(joined, np.stack(load_sample_images().images))
    with pytest.raises(ValueError, match="split is 'valid'; it must be one of"):
        moving_digits.load("valid")


def test_a_feed_keeps_the_material_on_the_device():
    material = moving_digits.Material(FILLED, PHOTOGRAPHS)
    draw_small = partial(moving_digits.draw, num_frames=2, size=16)
    feed = data.drawn_feed(draw_small, batch_size=3, resident=material)
    (chunk,) = feed.chunks([(0, 2)])
    assert feed.resident is material
    batch = jax.jit(feed.read)(KEY, feed.resident, chunk[0])
    assert {name: value.shape[:3] for name, value in batch.items()} == {
        "video": (3, 2, 16),
        "mask": (3, 2, 16),
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": 15}, "size is 15; it must be at least 16"),
        ({"size": 41}, "size is 41, but the photographs are 40 x 60: take at most 40"),
        ({"num_frames": 1}, "num_frames is 1; it must be an integer, at least 2"),
        ({"num": 0}, "num is 0; it must be an integer, at least 1"),
    ],
)
def test_clips_that_cannot_be_are_refused(wrong, said):
    how = {"num": 1, **wrong}
    with pytest.raises(ValueError, match=said):
        moving_digits.draw(KEY, digits=FILLED, backgrounds=PHOTOGRAPHS, **how)
