"""Measures by nearest neighbours, against their definitions and where they are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import metrics
from gan_jax.metrics import PRDC, density_coverage, neighbours, prdc, precision_recall

RNG = np.random.default_rng(0)
REAL = jnp.float32(RNG.normal(size=(40, 3)))
GENERATED = jnp.float32(RNG.normal(0.5, 1.5, size=(40, 3)))
X = np.random.RandomState(0).randn(300, 8)
Y = 1.2 * np.random.RandomState(1).randn(300, 8) + 0.3
GOLDEN = PRDC(220 / 300, 295 / 300, 776 / 1500, 241 / 300)  # prdc 0.2, k = 5


def by_definition(real, generated, k, k_density):
    """In float64, all distances at once."""

    def distances(a, b):
        return np.linalg.norm(np.float64(a)[:, None] - np.float64(b)[None], axis=-1)

    def reach(points, k):
        return np.sort(distances(points, points), axis=1)[:, k]

    between = distances(generated, real)
    open_balls = between < reach(real, k_density)
    return PRDC(
        precision=np.mean((between <= reach(real, k)).any(axis=1)),
        recall=np.mean((between <= reach(generated, k)[:, None]).any(axis=0)),
        density=open_balls.sum() / (k_density * len(generated)),
        coverage=np.mean(open_balls.any(axis=0)),
    )


def assert_equal(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("k", "k_density"), [(3, 5), (4, 2)])
def test_they_follow_the_definition(k, k_density):
    found = prdc(REAL, GENERATED, k=k, k_density=k_density)
    assert_equal(found, by_definition(REAL, GENERATED, k, k_density))
    assert 0 < found.precision < 1
    assert found.precision != found.recall


def test_the_values_of_the_reference_package():
    """Of NumPy's arrays too; and whatever the order of points."""
    assert_equal(prdc(X, Y, k=5), GOLDEN)
    order = np.random.default_rng(1).permutation(300)
    assert_equal(prdc(X[order], Y[order[::-1]], k=5), GOLDEN)


def test_they_are_the_same_in_blocks():
    """300 is no multiple of 64: the last block is filled up, and the fill is in no ball."""
    assert_equal(prdc(X, Y, k=5, chunk_size=64), GOLDEN)


def test_each_alone_gives_what_they_give_together():
    assert precision_recall(REAL, GENERATED) == prdc(REAL, GENERATED)[:2]
    assert density_coverage(REAL, GENERATED) == prdc(REAL, GENERATED)[2:]


def test_one_block_is_held_at_a_time_and_what_is_not_asked_for_is_not_computed():
    many = jax.ShapeDtypeStruct((2_000, 2), jnp.float32)
    both, alone = (
        function.lower(many, many, *numbers, 50).compile()
        for function, numbers in ((neighbours._prdc, (3, 5)), (neighbours._density_coverage, (5,)))
    )
    assert both.memory_analysis().temp_size_in_bytes < 4 * 2_000**2 / 5
    assert alone.cost_analysis()["flops"] < 0.75 * both.cost_analysis()["flops"]


def test_half_precision_is_widened():
    x, y = jnp.bfloat16(REAL), jnp.bfloat16(GENERATED)
    found = prdc(x, y)
    assert all(value.dtype == jnp.float32 for value in found)
    assert_equal(found, by_definition(x, y, 3, 5))


def test_swapping_the_sets_swaps_precision_and_recall():
    there, back = precision_recall(REAL, GENERATED), precision_recall(GENERATED, REAL)
    assert there == (back.recall, back.precision)
    assert there.precision != there.recall


def test_the_same_set_and_far_sets():
    precision, recall, _, coverage = prdc(REAL, REAL)
    assert precision == recall == coverage == 1
    assert prdc(REAL, REAL + 100) == (0, 0, 0, 0)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_density_of_a_set_in_itself_is_one(k):
    """In open balls; in closed ones it would be (k + 1)/k. No two distances of these are equal."""
    points = jnp.exp2(jnp.arange(8.0))[:, None]
    assert density_coverage(points, points, k=k) == (1, 1)


def test_the_coverage_of_two_sets_of_one_law():
    """The probability that none of m points is among the k nearest of n - 1 + m."""
    n, m, k, num = 40, 20, 3, 200
    keys = jax.random.split(jax.random.key(0), (num, 2))

    def draw(keys):
        real, generated = (
            jax.random.normal(key, (size, 2)) for key, size in zip(keys, (n, m), strict=True)
        )
        return density_coverage(real, generated, k=k)

    density, coverage = jax.jit(lambda keys: jax.lax.map(draw, keys))(keys)
    i = np.arange(1, k + 1)
    for found, expected in ((density, 1), (coverage, 1 - np.prod((n - i) / (m + n - i)))):
        assert abs(found.mean() - expected) < 4 * found.std() / num**0.5
        assert found.std() / num**0.5 < 0.02


def test_they_do_not_depend_on_where_the_origin_is():
    """A small spread far from the origin: features are rarely centred."""
    real, generated = REAL + 5_000.0, GENERATED + 5_000.0
    assert_equal(prdc(real, generated), by_definition(real, generated, 3, 5))


def test_a_constant_feature_changes_nothing():
    real, generated = (jnp.pad(x, ((0, 0), (0, 1)), constant_values=7.0) for x in (REAL, GENERATED))
    assert prdc(real, generated) == prdc(REAL, GENERATED)


def test_a_collapsed_generator_is_precise_and_recalls_one_point():
    """Its manifold is a ball of radius 0, which holds its own centre."""
    collapsed = jnp.asarray(np.tile(REAL[:1], (40, 1)))
    assert precision_recall(REAL, collapsed) == (1, np.float32(1 / len(REAL)))
    assert precision_recall(REAL, collapsed + 100) == (0, 0)


def test_copies_are_at_distance_zero():
    """Rounding alone would tell them apart: a point's third neighbour is its third copy."""
    points = jnp.float32(np.random.default_rng(2).normal(3, 1, (77, 64)))
    copies = jnp.tile(points[:13], (4, 1))
    assert_equal(precision_recall(points, copies), (1, 13 / 77))
    assert_equal(precision_recall(copies, points), (13 / 77, 1))


def test_points_that_are_all_equal_have_no_open_ball():
    same = jnp.ones_like(REAL)
    assert prdc(same, same) == (1, 1, 0, 0)


def test_one_generated_point_has_a_density_and_no_manifold():
    density, coverage = density_coverage(jnp.arange(8.0)[:, None], jnp.full((1, 1), 3.5), k=2)
    # Between 0 and 7 the second neighbour is at 1: 3.5 is in the balls of 3 and 4.
    assert_equal((density, coverage), (2 / 2, 2 / 8))
    with pytest.raises(ValueError, match="generated has 1 points; with k=3 it needs more than 3"):
        precision_recall(REAL, GENERATED[:1])


def test_a_set_needs_more_than_k_points():
    with pytest.raises(ValueError, match="generated has 3 points; with k=3 it needs more than 3"):
        precision_recall(REAL, GENERATED[:3])
    with pytest.raises(ValueError, match="real has 4 points; with k=4"):
        precision_recall(REAL[:4], GENERATED, k=4)
    with pytest.raises(ValueError, match="real has 5 points; with k=5"):
        density_coverage(REAL[:5], GENERATED)
    with pytest.raises(ValueError, match="real has 5 points; with k=5"):
        prdc(REAL[:5], GENERATED)


def test_under_jit_and_traced_nan_makes_all_nan():
    measure = jax.jit(metrics.prdc, static_argnames=("k", "k_density"))
    assert measure(REAL, GENERATED) == prdc(REAL, GENERATED)
    assert np.isnan(measure(REAL.at[0, 0].set(jnp.nan), GENERATED)).all()
    assert np.isnan(measure(REAL, GENERATED.at[0, 0].set(jnp.inf))).all()
