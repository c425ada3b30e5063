"""Sliced distances against SciPy and in closed form; descriptors against the recipe."""

import math
import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from scipy import stats

from gan_jax.metrics import (
    laplacian_descriptors,
    laplacian_sliced_wasserstein,
    random_directions,
    sliced_wasserstein,
)
from gan_jax.signals import binomial_down, binomial_up, laplacian_pyramid
from tests.signals.waves import picture

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
X, Y = jnp.float32(RNG.normal(size=(2, 40, 5)) * np.array([[[1.0]], [[1.5]]]))
DIRECTIONS = random_directions(KEY, 5, 12)
measure = jax.jit(sliced_wasserstein, static_argnames="chunk_size")
describe = jax.jit(laplacian_descriptors, static_argnames="smallest")
compare = jax.jit(laplacian_sliced_wasserstein, static_argnames="smallest")


def by_scipy(x, y):
    x, y = np.float64(x), np.float64(y)
    return np.mean([stats.wasserstein_distance(x @ d, y @ d) for d in np.float64(DIRECTIONS).T])


@pytest.mark.parametrize("offset", [0, 5_000])
def test_it_is_the_mean_of_scipys_distances_along_the_directions(offset):
    x, y = X + offset, Y + offset
    expected, order = by_scipy(x, y), RNG.permutation(40)
    np.testing.assert_allclose(measure(x, y, DIRECTIONS), expected, rtol=1e-5)
    np.testing.assert_allclose(measure(x[order], y, DIRECTIONS), expected, rtol=1e-5)
    np.testing.assert_allclose(measure(x, y, DIRECTIONS, chunk_size=5), expected, rtol=1e-5)


def test_equal_sets_one_point_and_a_shift_along_a_known_direction():
    assert measure(X, X[::-1], DIRECTIONS) == 0
    assert measure(jnp.ones((1, 5)), jnp.zeros((1, 5)), jnp.eye(5)) == 1
    shift = jnp.array([[3.0, 4.0, 0, 0, 0]])
    np.testing.assert_allclose(measure(X, X + shift, jnp.eye(5)), 7 / 5, rtol=1e-5)


@pytest.mark.parametrize("dim", [3])
def test_a_shift_costs_its_length_times_the_mean_cosine(dim):
    directions = random_directions(KEY, dim, 20_000)
    np.testing.assert_allclose(jnp.linalg.norm(directions, axis=0), 1, rtol=1e-5)
    shift = jnp.arange(1.0, dim + 1)[None]
    cosine = math.gamma(dim / 2) / (math.sqrt(math.pi) * math.gamma((dim + 1) / 2))
    error = math.sqrt((1 / dim - cosine**2) / 20_000)
    found = measure(jnp.zeros((1, dim)), shift, directions, chunk_size=20_000)
    assert abs(found / jnp.linalg.norm(shift) - cosine) < 4 * error


IMAGES = np.stack([picture(phase, 32, 64) for phase in (0, 0.3, 0.9)])
REAL, OTHER = jnp.float32(IMAGES[:2]), jnp.float32(IMAGES[1:])


def test_descriptors_are_standardised_patches_of_the_levels():
    """Of each level some patch is looked for among all that there are."""
    described = describe(KEY, REAL)
    levels = laplacian_pyramid(REAL, num_levels=2, down=binomial_down, up=binomial_up)
    for found, level in zip(described, levels, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(level[1], (7, 7), axis=(0, 1))
        windows = windows.transpose(0, 1, 3, 4, 2).reshape(-1, 49, 3)
        by_channel = np.asarray(found, np.float64).reshape(2, 128, 49, 3)
        np.testing.assert_allclose(by_channel.mean(axis=(0, 1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(by_channel.std(axis=(0, 1, 2)), 1, rtol=1e-5)
        for of_one in by_channel[1, :3]:
            centred = of_one - of_one.mean(axis=0)
            window = windows - windows.mean(axis=1, keepdims=True)
            cosine = np.einsum("ic,nic->nc", centred, window) / (
                np.linalg.norm(centred, axis=0) * np.linalg.norm(window, axis=1)
            )
            assert cosine.min(axis=1).max() > 0.999


@pytest.mark.parametrize(
    ("height", "width", "smallest", "num_levels"),
    [(64, 32, 16, 2), (28, 28, 7, 3), (48, 48, 16, 2), (12, 12, 16, 1)],
)
def test_levels_go_down_to_the_smallest(height, width, smallest, num_levels):
    images = jax.ShapeDtypeStruct((2, height, width, 1), jnp.uint8)
    found = jax.eval_shape(
        lambda images: laplacian_descriptors(KEY, images, smallest=smallest), images
    )
    assert len(found) == num_levels
    assert {(level.shape, level.dtype) for level in found} == {((256, 49), jnp.dtype(jnp.float32))}


def test_it_is_blind_to_gain_and_offset_of_a_channel_and_sees_the_rest():
    distances = compare(KEY, REAL, OTHER)
    assert distances.shape == (2,)
    changed = OTHER * jnp.array([0.5, 2, 1]).reshape(1, 1, 1, 3) + 30
    np.testing.assert_allclose(compare(KEY, REAL, changed), distances, atol=1e-5)
    np.testing.assert_allclose(compare(KEY, REAL, 0.3 * REAL - 7), 0, atol=1e-5)
    noisy = REAL + jax.random.normal(KEY, REAL.shape)
    fine, coarse = compare(KEY, REAL, noisy)
    assert fine > 10 * coarse
    assert np.all(distances > 10 * coarse)


def test_a_constant_has_descriptors_0_also_where_it_is_rounded():
    constant = jnp.full_like(REAL, 0.3)
    for level in describe(KEY, constant):
        np.testing.assert_array_equal(level, 0)
    assert np.all(compare(KEY, REAL, constant) > 0.1)


@pytest.mark.slow
def test_rows_over_devices_give_the_same():
    rows = NamedSharding(jax.make_mesh((4,), ("data",)), P("data"))
    split = [jax.device_put(z, rows) for z in (X, Y)]
    once = measure(X, Y, DIRECTIONS)
    np.testing.assert_allclose(sliced_wasserstein(*split, DIRECTIONS), once, rtol=1e-6)
    rows = NamedSharding(jax.make_mesh((2,), ("data",), (AxisType.Auto,)), P("data"))
    described = describe(KEY, jax.device_put(REAL, rows))
    for found, expected in zip(described, describe(KEY, REAL), strict=True):
        assert found.sharding.spec == P("data")
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_traced_numbers_that_are_not_finite_give_nan():
    for bad in (jnp.nan, jnp.inf):
        assert np.isnan(measure(X.at[3, 2].set(bad), Y, DIRECTIONS))
        assert np.isnan(measure(X, Y.at[3, 2].set(bad), DIRECTIONS))
        for seed in range(10):  # also where no patch holds the pixel
            found = describe(jax.random.key(seed), REAL.at[0, 0, 0, 0].set(bad))
            assert all(np.isnan(level).all() for level in found)


def test_half_precision_is_widened():
    x, y = X.astype(jnp.bfloat16), Y.astype(jnp.bfloat16)
    wide = measure(x.astype(jnp.float32), y.astype(jnp.float32), DIRECTIONS)
    assert measure(x, y, DIRECTIONS) == wide


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: sliced_wasserstein(X, Y[:3], DIRECTIONS),
            "x has 40 points, y has 3; leave out some of the larger set, so that both have equally "
            "many.",
        ),
        (
            lambda: sliced_wasserstein(X, Y, DIRECTIONS.T),
            "The directions have the shape (12, 5); give unit vectors of 5 features, one a column.",
        ),
        (
            lambda: sliced_wasserstein(X, Y, 2 * DIRECTIONS),
            "‖directions‖ holds 2.0; every number in it must be 1, up to rounding.",
        ),
        (lambda: sliced_wasserstein(X, Y * jnp.nan, DIRECTIONS), "y holds nan; every number in it"),
        (lambda: sliced_wasserstein(X, Y, DIRECTIONS, chunk_size=0), "chunk_size is 0; it must be"),
        (lambda: random_directions(KEY, 0, 3), "dim is 0; it must be an integer, at least 1."),
        (
            lambda: laplacian_sliced_wasserstein(KEY, IMAGES, IMAGES[:1]),
            "real has the shape (3, 32, 64, 3), generated has (1, 32, 64, 3); give both the same",
        ),
        (
            lambda: laplacian_descriptors(KEY, jnp.ones((1, 6, 9, 1))),
            "The images are 6 x 9; patches of 7 x 7 do not fit",
        ),
        (
            lambda: laplacian_descriptors(KEY, jnp.ones((1, 8, 8, 1)) * jnp.inf),
            "images holds inf; every number in it must be finite.",
        ),
    ],
)
def test_bad_input_is_refused(call, sentence, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        call()
