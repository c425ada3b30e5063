import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from gan_jax.data import shapes
from gan_jax.data.shapes.tracks import read_path

scenes = functools.cache(shapes.moving_scenes)
TRAIN, TEST = (scenes(split).codes for split in ("train", "test"))
CODES = np.concatenate([TRAIN, TEST])
NAMES = tuple(shapes.MOVING_ATTRIBUTES)
SOME = CODES[::7]
draw = jax.jit(shapes.draw_moving, static_argnames=("num_frames", "size"))
read = jax.jit(shapes.read_attributes)
track = jax.jit(read_path)


def clips(codes=SOME, seed=0, **how):
    return np.array(draw(jax.random.key(seed), codes, **how))


def assert_reads(video, codes):
    found = read(video)
    assert found.keys() == set(NAMES)
    for place, name in enumerate(NAMES):
        np.testing.assert_array_equal(found[name], codes[..., place], name)


def unreadable(video, names=NAMES):
    found = read(jnp.asarray(video, jnp.float32))
    return min(np.mean(np.asarray(found[name]) == -1) for name in names)


def centroids(video):
    light = (video.max(-1) + 1) / 2
    pixels = (np.arange(video.shape[2]) + 0.5) / video.shape[2]
    sums = [np.einsum("nthw,h->nt", light, pixels), np.einsum("nthw,w->nt", light, pixels)]
    return np.stack(sums, axis=-1) / light.sum((2, 3))[..., None]


def test_the_sentences_are_the_360_of_the_grammar():
    straight = [f"straight line towards {to}" for to in ("north", "south", "east", "west")]
    zigzag = [f"zigzag path towards {to}" for to in ("north", "south", "east", "west")]
    corners = [down + right for down in ("north", "south") for right in ("east", "west")]
    diagonal = [f"diagonal path in the {to} direction" for to in corners]
    expected = {
        f"A {size} {colour} {shape} is moving in a {path}"
        for size in ("large", "small")
        for colour in ("red", "blue", "green", "yellow", "white")
        for shape in ("circle", "square", "triangle")
        for path in straight + zigzag + diagonal
    }
    found = shapes.moving_sentences()
    assert len(found) == len(expected) == 360
    assert set(found) == expected


def test_every_scene_is_in_one_split_by_its_size_colour_and_shape():
    assert TRAIN.shape == (288, 1, 5)
    assert TEST.shape == (72, 1, 5)
    assert len(np.unique(CODES, axis=0)) == 360
    held_out = np.unique(TEST[:, 0, :3], axis=0)
    assert len(held_out) == len(np.unique(held_out[:, ::2], axis=0)) == 6
    assert len(np.unique(held_out[:, 1])) == 5
    assert not {*map(tuple, held_out)} & {*map(tuple, TRAIN[:, 0, :3])}
    for place in range(5):
        np.testing.assert_array_equal(np.unique(TRAIN[..., place]), np.unique(CODES[..., place]))


def test_a_sentence_says_the_codes_of_its_scene():
    for split, num in itertools.product(("train", "test"), (1, 2)):
        found = scenes(split, num_shapes=num)
        for figures, (sentence,) in zip(found.codes[::97], found.sentences[::97], strict=True):
            clauses = sentence.split(" and ")
            assert sentence.startswith("A ")
            assert len(clauses) == num
            for code, clause in zip(figures, clauses, strict=True):
                words = [
                    shapes.MOVING_ATTRIBUTES[name][at] for name, at in zip(NAMES, code, strict=True)
                ]
                assert re.findall(r"\w+", clause)[1:4] == words[:3]
                assert words[3] in clause
                assert words[4] in clause.split()


def test_two_figures_are_any_two_different_scenes():
    train, test = (scenes(split, num_shapes=2) for split in ("train", "test"))
    codes = np.concatenate([train.codes, test.codes])
    assert codes.shape == (360 * 359 // 2, 2, 5)
    assert len({frozenset(map(tuple, pair)) for pair in codes.tolist()}) == len(codes)
    assert len({*train.sentences, *test.sentences}) == len(codes)
    held_out = {tuple(code) for code in TEST[:, 0, :3].tolist()}
    for split, shows in ((train, False), (test, True)):
        pairs = split.codes[::31, :, :3].tolist()
        assert {any(tuple(one) in held_out for one in pair) for pair in pairs} == {shows}


@pytest.mark.parametrize(("size", "num_frames"), [(16, 4), (32, 8)])
def test_the_oracle_reads_real_clips(size, num_frames):
    codes = CODES if size == 16 else SOME
    video = clips(codes, num_frames=num_frames, size=size)
    assert video.shape == (len(codes), num_frames, size, size, 3)
    assert -1 <= video.min() < video.max() <= 1
    assert_reads(video, codes[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 32, 48, 64])
@pytest.mark.parametrize(("num_frames", "seeds"), [(8, (1, 2)), (16, (3,))])
def test_the_oracle_reads_all_real_clips_of_every_size(size, num_frames, seeds):
    for seed in seeds:
        assert_reads(clips(CODES, seed, num_frames=num_frames, size=size), CODES[:, 0])


def test_the_oracle_reads_no_other_clip():
    rng, real = np.random.default_rng(0), clips(size=16)
    few = (len(SOME) // 4, *real.shape[1:])
    noise = [rng.uniform(-1, 1, few), np.clip(rng.normal(size=few), -1, 1)]
    assert unreadable(np.concatenate([*noise, -np.ones(few), np.ones(few)])) == 1
    assert unreadable(gaussian_filter(real, (0, 0, 1.5, 1.5, 0))) >= 0.95


@pytest.mark.slow
def test_what_does_not_go_along_a_path_has_no_motion():
    real = clips(size=16)
    still = np.repeat(real[:, :1], 8, axis=1)
    halves = np.roll(real, 4, axis=1)
    mixed = real[:, [3, 0, 6, 1, 7, 4, 2, 5]]
    jumped = real.copy()
    jumped[:, 5] = np.roll(real[:, 5], (5, 5), axis=(1, 2))
    for video in (still, halves, mixed, jumped):
        assert unreadable(video, ("motion", "direction")) == 1
        found = read(video)
        for place, name in enumerate(NAMES[:3]):
            np.testing.assert_array_equal(found[name], SOME[:, 0, place])


def test_three_quarters_of_the_frames_are_enough():
    real = clips(size=16)
    real[:, [1, 6]] = -1
    assert_reads(real, SOME[:, 0])
    real[:, 3] = -1
    assert unreadable(real) == 1
    dyed = clips(size=16)
    dyed[:, :3] = dyed[:, :3, ..., [1, 2, 0]]
    is_white = SOME[:, 0, 1] == shapes.COLOURS.index("white")
    np.testing.assert_array_equal(read(dyed)["colour"] == -1, ~is_white)
    np.testing.assert_array_equal(read(dyed)["motion"], SOME[:, 0, 3])


def test_a_clip_is_read_by_what_is_in_it():
    """A clip that is turned over or played backwards goes where it then goes."""
    real, there = clips(size=16), shapes.DIRECTIONS
    swaps = {"north": "south", "south": "north", "east": "west", "west": "east"}
    turned = {
        "backwards": (real[:, ::-1], ("north", "south", "east", "west")),
        "mirrored": (real[:, :, :, ::-1], ("east", "west")),
    }
    for video, swapped in turned.values():
        codes = SOME[:, 0].copy()
        for code in codes:
            parts = re.findall("north|south|east|west", there[code[4]])
            code[4] = there.index("".join(swaps[p] if p in swapped else p for p in parts))
        assert_reads(video, codes)


def test_the_direction_is_the_sign_of_the_centroid_s_displacement():
    centre = centroids(clips(CODES, num_frames=4))
    gone = centre[:, -1] - centre[:, 0]
    expected = shapes.HEADINGS[CODES[:, 0, 4]]
    np.testing.assert_array_equal(np.sign(gone.round(2)), expected)
    np.testing.assert_allclose(gone, 3 / 8 * expected, atol=3e-3)


def test_a_zigzag_turns_three_times_across_its_way():
    codes = CODES[CODES[:, 0, 3] == shapes.MOTIONS.index("zigzag")]
    centre = centroids(clips(codes, num_frames=9, size=16))
    across = shapes.HEADINGS[codes[:, 0, 4]] == 0
    sway = np.diff(centre[across[:, None].repeat(9, axis=1)].reshape(-1, 9))
    signs = np.sign(sway).reshape(-1, 4, 2)
    assert np.all(signs == signs[..., :1])
    assert np.all(signs[:, 1:, 0] == -signs[:, :-1, 0])
    np.testing.assert_allclose(np.abs(sway), 1 / 8 / 2, atol=0.01)


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_the_whole_figure_stays_inside_even_at_extreme_starts(monkeypatch, extreme):
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape: jnp.full(shape, extreme))
    drawn = jax.jit(lambda codes: shapes.draw_moving(jax.random.key(0), codes, num_frames=5))(CODES)
    area = ((np.asarray(drawn).max(-1) + 1) / 2).mean((2, 3))
    expected = np.pi * shapes.RADII[CODES[:, 0, 0]] ** 2
    np.testing.assert_allclose(area, expected[:, None].repeat(5, axis=1), rtol=0.025)


def test_starts_are_drawn():
    codes = np.tile(CODES[:1], (300, 1, 1))  # towards north
    start = centroids(clips(codes, num_frames=4, size=16))[:, 0]
    margin = np.sqrt(np.pi / 2) * 0.19 + 1 / 50
    low, high = np.array([margin + 3 / 8, margin]), 1 - np.array([margin, margin])
    np.testing.assert_allclose(start.min(0), low, atol=0.01)
    np.testing.assert_allclose(start.max(0), high, atol=0.01)


def test_two_figures_never_meet_and_are_read_by_their_quarters():
    codes = scenes("test", num_shapes=2).codes[::500]
    video = clips(codes, num_frames=4)
    found = jax.jit(shapes.read_places)(video)
    read_by_quarter = np.stack([found[name] for name in NAMES], axis=-1)
    quarters = (video.reshape(-1, 4, 2, 16, 2, 16, 3) > -1).any((3, 5, 6)).reshape(-1, 4, 4)
    assert np.all(quarters == quarters[:, :1]), "each stays in its quarter"
    places = np.argsort(~quarters[:, 0], axis=1, kind="stable")[:, :2]
    assert len(np.unique(places, axis=0)) == 6
    assert np.all(quarters[:, 0].sum(-1) == 2)
    for pair, four, is_there in zip(codes.tolist(), read_by_quarter, quarters[:, 0], strict=True):
        assert sorted(four[is_there].tolist()) == sorted(pair)
        assert np.all(four[~is_there] == -1)


LINE = np.linspace(0, 1, 8, dtype=np.float32)[:, None]
WAVE = np.array([-1, 1, -1, 1, -1, 1, -1, 1], np.float32)[:, None]
ONCE = np.array([0, 0, 0, 1, 0, 0, 0, 0], np.float32)[:, None]
READ = np.ones(8, bool)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (0.6 * 3 / 8 * LINE * [0, 1], ("straight", "east")),
        (0.4 * 3 / 8 * LINE * [0, 1], None),
        (3 / 8 * LINE * [1, -0.6], ("diagonal", "southwest")),
        (3 / 8 * LINE * [1, -0.4], ("straight", "south")),
        (3 / 8 * LINE * [1, 0] + 1 / 32 * ONCE * [0, 1], ("straight", "south")),
        (3 / 8 * LINE * [1, 0] + 1 / 16 * ONCE * [0, 1], None),
        (3 / 8 * LINE * [1, 0] + 1 / 16 * WAVE * [0, 1], None),
    ],
)
def test_a_path_may_be_slower_but_not_astray(path, expected):
    found = track(jnp.asarray(0.3 + path, jnp.float32), READ)
    names = [("motion", shapes.MOTIONS), ("direction", shapes.DIRECTIONS)]
    said = tuple(of[found[name]] for name, of in names if found[name] != -1)
    assert said == (expected or ())


@pytest.mark.parametrize(
    ("travel", "sway", "expected"),
    [
        ([-1, 0], [0, -1], ("zigzag", "north")),
        ([-1, 0], [0, 0.6], ("zigzag", "north")),
        ([-1, 0], [0, 0.4], ("straight", "north")),
        ([-1, 0], [1, 0], None),
        ([-1, 1], [0, 1], None),
        ([0, 0], [0, 1], None),
    ],
)
def test_a_zigzag_sways_across_its_way(travel, sway, expected):
    wave = 1 - 2 * np.abs(4 * LINE % 2 - 1)
    test_a_path_may_be_slower_but_not_astray(3 / 8 * LINE * travel + 1 / 16 * wave * sway, expected)


def test_clips_that_are_too_small_or_too_short_are_refused():
    key, pair = jax.random.key(0), CODES[:2].reshape(1, 2, 5)
    with pytest.raises(ValueError, match="size is 15; it must be at least 16"):
        shapes.draw_moving(key, CODES, size=15)
    with pytest.raises(ValueError, match="num_frames is 3; it must be at least 4"):
        shapes.draw_moving(key, CODES, num_frames=3)
    for size in (30, 33):
        with pytest.raises(ValueError, match=f"size is {size}; it must be even and at least 32"):
            shapes.draw_moving(key, pair, size=size)
        with pytest.raises(ValueError, match=f"size is {size}; it must be even and at least 32"):
            shapes.read_places(jnp.zeros((1, 8, size, size, 3)))
    with pytest.raises(ValueError, match="size is 15; it must be at least 16"):
        shapes.read_attributes(jnp.zeros((1, 8, 15, 15, 3)))
    with pytest.raises(ValueError, match="num_frames is 3; it must be at least 4"):
        shapes.read_attributes(jnp.zeros((1, 3, 16, 16, 3)))
    with pytest.raises(ValueError, match="choose train or test, and 1 or 2"):
        shapes.moving_scenes(num_shapes=3)
