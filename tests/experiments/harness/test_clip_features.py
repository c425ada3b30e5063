"""The classifier of clips, what it keeps, and the distance by its features."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.harness import clip_features, videos
from experiments.harness.clip_features import clip_classifier, clips_distance
from gan_jax.data import shapes

SCENES = shapes.moving_scenes("train").codes
SMALL = {"num_frames": 4, "size": 16}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A directory of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gan_jax"


@pytest.fixture
def seeds_taught(kept, monkeypatch):
    """Which seeds are trained; the weights stay as they are drawn."""
    taught = []

    def draw(network, blank, feed, seed):
        taught.append(seed)
        leaves = jax.eval_shape(network.init, jax.random.key(0), blank)["params"]
        draws = np.random.default_rng(seed)
        return jax.tree.map(lambda leaf: draws.normal(0, 0.1, leaf.shape).astype("f"), leaves)

    monkeypatch.setattr(clip_features, "_descend", draw)
    monkeypatch.setattr(clip_features, "NUM_JUDGED", 40)
    return taught


def clips_of(seed, **told):
    return np.asarray(jax.jit(partial(shapes.draw_moving, **told))(jax.random.key(seed), SCENES))


def shuffled(clips):
    """The frames of each clip in an order of its own."""
    draws = np.random.default_rng(0)
    return np.stack([clip[draws.permutation(len(clip))] for clip in clips])


@pytest.mark.slow
def test_it_is_kept_and_read_again(seeds_taught, kept):
    first, again = clip_classifier(**SMALL), clip_classifier(**SMALL)
    other = clip_classifier(**SMALL, seed=1)
    assert seeds_taught == [0, 1]
    assert {path.stem for path in kept.glob("clips-*")} == {first.name, other.name}
    assert (again.name, again.accuracy, again.scale) == (first.name, first.accuracy, first.scale)
    codes = np.concatenate([SCENES, shapes.moving_scenes("test").codes])
    draw = jax.jit(partial(videos.draw_scenes, num=40, **SMALL))
    judged = draw(jax.random.key(clip_features.SHOWN_SEEDS["test"]), codes=codes)
    features = again.features(judged["video"])
    np.testing.assert_array_equal(features, first.features(judged["video"]))
    np.testing.assert_allclose(jnp.mean(features**2), 1, rtol=1e-4)
    logits, _ = jax.jit(again.network.apply)({"params": again.params}, 3 * (judged["video"] + 1))
    ends = {"size": 2, "colour": 9, "shape": 12, "motion": 15, "direction": 23}
    start = 0
    for i, (name, end) in enumerate(ends.items()):
        likeliest = np.argmax(logits[:, start:end], axis=1)
        np.testing.assert_array_equal(again.read(judged["video"])[name], likeliest)
        right = likeliest == judged["codes"][:, 0, i]
        assert again.accuracy[name] == pytest.approx(np.mean(right))
        start = end
    with pytest.raises(ValueError, match=r"of shape \(5, 16, 16, 3\), but .* those of \(4, 16"):
        again.features(jnp.zeros((2, 5, 16, 16, 3)))


def test_equal_clips_do_not_differ_and_others_do(seeds_taught):
    classifier = clip_classifier(**SMALL)
    clips = np.random.default_rng(0).uniform(-1, 0, (50, 4, 16, 16, 3)).astype("f")
    assert clips_distance(classifier, clips, clips) == pytest.approx(0, abs=1e-4)
    assert clips_distance(classifier, clips, -clips) > 1


@pytest.mark.slow
def test_it_learns_what_clips_show_and_sees_motion_where_frames_are_the_same(kept, monkeypatch):
    monkeypatch.setattr(clip_features, "NUM_PIXELS", 5e7)
    told = {"num_frames": 8, "size": 16}
    classifier = clip_classifier(**told)
    assert min(classifier.accuracy[name] for name in ("size", "colour", "motion")) > 0.95
    assert classifier.accuracy["direction"] > 0.95
    assert classifier.accuracy["shape"] > 0.55  # a third by chance
    in_any_order = np.random.default_rng(1).permutation(len(SCENES))
    real, others = clips_of(0, **told), clips_of(1, **told)[in_any_order]
    apart = clips_distance(classifier, real, others)
    moving_otherwise = shuffled(others)
    assert clips_distance(classifier, real, moving_otherwise) > 10 * apart
    frames = videos.frames_distance(real, others)
    assert videos.frames_distance(real, moving_otherwise) < 1.5 * frames
    stopped = np.repeat(others[:, :1], 8, axis=1)
    assert clips_distance(classifier, real, stopped) > 10 * apart
