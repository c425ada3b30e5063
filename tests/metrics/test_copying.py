"""Distances to the nearest example against SciPy, and the test of copying against its own."""

import math
import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from scipy import stats
from scipy.spatial import distance

from gan_jax.metrics import data_copying, nearest_distances

RNG = np.random.default_rng(0)
POINTS, EXAMPLES = (jnp.float32(RNG.normal(size=(num, 3))) for num in (44, 30))
measure = jax.jit(nearest_distances, static_argnames="chunk_size")


@pytest.mark.parametrize(("offset", "chunk_size"), [(0, 1024), (0, 1), (5_000, 7)])
def test_distances_are_scipys_in_chunks_and_far_from_the_origin(offset, chunk_size):
    points, examples = POINTS + offset, EXAMPLES + offset
    expected = distance.cdist(np.float64(points), np.float64(examples)).min(axis=1)
    found = measure(points, examples, chunk_size=chunk_size)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    order = RNG.permutation(30)
    found = measure(points, examples[order], chunk_size=chunk_size)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_copies_are_at_0_and_near_copies_as_near_as_they_are():
    """In 784 dimensions a difference of squares would leave about 0.01 of a distance of 0."""
    examples = jnp.float32(RNG.uniform(0, 1, (50, 784)))
    np.testing.assert_array_equal(measure(examples[::-1], examples), 0)
    moved = np.asarray(examples) + np.float32(1e-4 * RNG.normal(size=(50, 784)))
    expected = np.linalg.norm(np.float64(moved) - np.float64(examples), axis=1)
    np.testing.assert_allclose(measure(jnp.asarray(moved), examples), expected, rtol=1e-5)
    assert nearest_distances(jnp.ones((1, 1)), jnp.zeros((1, 1))).tolist() == [1]


def test_it_holds_one_chunk_at_a_time():
    many = jax.ShapeDtypeStruct((2_000, 2), jnp.float32)
    memory = measure.lower(many, many, chunk_size=50).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * 2_000**2 / 10


def test_rows_over_devices_stay_there_and_give_the_same():
    rows = NamedSharding(jax.make_mesh((4,), ("data",)), P("data"))
    found = nearest_distances(jax.device_put(POINTS, rows), EXAMPLES, chunk_size=8)
    np.testing.assert_array_equal(found, measure(POINTS, EXAMPLES))
    assert len(found.sharding.device_set) == 4


def test_what_is_traced_and_not_finite_is_nan_and_half_precision_is_widened():
    spoiled = measure(POINTS.at[3, 0].set(jnp.inf), EXAMPLES)
    assert np.isnan(spoiled).nonzero()[0].tolist() == [3]
    assert np.isnan(measure(POINTS, EXAMPLES.at[0, 0].set(jnp.nan))).all()
    half = POINTS.astype(jnp.bfloat16)
    np.testing.assert_array_equal(
        measure(half, EXAMPLES), measure(half.astype(jnp.float32), EXAMPLES)
    )


@pytest.mark.parametrize("step", [None, 0.5], ids=["distinct", "tied"])
def test_the_score_is_that_of_mann_and_whitney(step):
    generated, held_out = RNG.exponential(size=30), RNG.exponential(1.5, size=20)
    if step:
        generated, held_out = (np.floor(d / step) * step for d in (generated, held_out))
    nearer, z = data_copying(generated, held_out)
    pairs = generated[:, None], held_out[None]
    expected = np.mean(np.less(*pairs)) + np.mean(np.equal(*pairs)) / 2
    np.testing.assert_allclose(nearer, expected, rtol=1e-12)
    p_value = stats.mannwhitneyu(
        generated, held_out, alternative="less", method="asymptotic", use_continuity=False
    ).pvalue
    np.testing.assert_allclose(stats.norm.cdf(z), p_value, rtol=1e-10)
    there, back = data_copying(held_out, generated)
    np.testing.assert_allclose([there, back], [1 - nearer, -z], rtol=1e-10)


def test_copies_are_nearer_than_what_is_held_out_and_garbage_farther():
    training, held_out, fresh = (RNG.normal(size=(200, 4)) for _ in range(3))
    beside = measure(jnp.float32(held_out), jnp.float32(training))
    copies, honest, garbage = (
        data_copying(measure(jnp.float32(points), jnp.float32(training)), beside)
        for points in (training, fresh, 5 * fresh)
    )
    assert copies.nearer == 1
    assert copies.z < -15
    assert abs(honest.nearer - 0.5) < 4 * math.sqrt(401 / 12) / 200
    assert abs(honest.z) < 4
    assert garbage.z > 10


def test_equal_distances_and_single_ones():
    assert data_copying([1.0, 1.0], [1.0]) == (0.5, 0)
    assert data_copying([0.0], [0.0]) == (0.5, 0)
    assert data_copying([0.0], [1.0]) == (1, -1)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: nearest_distances(POINTS, EXAMPLES[:, :2]),
            "The points of points have 3 features, those of examples 2; give both the same",
        ),
        (lambda: nearest_distances(POINTS * jnp.nan, EXAMPLES), "points holds nan; every number"),
        (lambda: nearest_distances(POINTS, EXAMPLES[:0]), "examples has the shape (0, 3); give it"),
        (lambda: nearest_distances(POINTS, EXAMPLES, chunk_size=0), "chunk_size is 0; it must be"),
        (lambda: data_copying([-1.0], [1.0]), "generated holds -1.0; every number in it must be"),
        (
            lambda: data_copying([1.0], []),
            "held_out has the shape (0,); give at least one distance, along one axis.",
        ),
        (lambda: data_copying(1.0, [1.0]), "generated has the shape (); give at least one"),
    ],
)
def test_bad_input_is_refused(call, sentence, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        call()
