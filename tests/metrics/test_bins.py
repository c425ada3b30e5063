"""Different bins against SciPy's tests of proportions, and where they are known."""

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
from scipy.spatial import distance

from gan_jax.metrics import bin_counts, different_bins

RNG = np.random.default_rng(0)
count = jax.jit(bin_counts)


def test_each_bin_is_scipys_test_of_two_proportions():
    real, generated = (
        RNG.multinomial(500, [0.1] * 10),
        RNG.multinomial(300, [0.02] * 5 + [0.18] * 5),
    )
    number, p_values, jensen_shannon = different_bins(real, generated)
    expected = [
        stats.chi2_contingency([[a, 500 - a], [b, 300 - b]], correction=False).pvalue
        for a, b in zip(real, generated, strict=True)
    ]
    np.testing.assert_allclose(p_values, expected, rtol=1e-8)
    assert number == np.sum(np.array(expected) < 0.05)
    assert 5 <= number < 10
    shares = real / 500, generated / 300
    mixed = sum(shares) / 2
    half = [stats.entropy(share, mixed) / 2 for share in shares]
    np.testing.assert_allclose(jensen_shannon, sum(half), rtol=1e-10)


def test_equal_and_disjoint_sets_and_bins_that_do_not_count():
    number, p_values, jensen_shannon = different_bins([7, 0, 3], [14, 0, 6])
    assert (number, p_values.tolist(), jensen_shannon) == (0, [1, 1, 1], 0)
    number, p_values, jensen_shannon = different_bins([50, 0, 0], [0, 50, 0])
    assert number == 2
    assert p_values[2] == 1
    np.testing.assert_allclose(jensen_shannon, math.log(2))
    assert different_bins([5], [3]) == (0, np.ones(1), 0)


def test_of_one_distribution_one_bin_in_twenty_differs():
    draws = RNG.multinomial(2_000, np.full(50, 0.02), size=(2, 200))
    numbers = [different_bins(a, b).number for a, b in zip(*draws, strict=True)]
    error = math.sqrt(0.05 * 0.95 / (50 * 200))
    assert abs(np.mean(numbers) / 50 - 0.05) < 5 * error


POINTS, CENTRES = jnp.float32(RNG.normal(size=(60, 3))), jnp.float32(RNG.normal(size=(7, 3)))


@pytest.mark.parametrize("offset", [0, 1_000])
def test_points_are_counted_at_their_nearest_centres(offset):
    points, centres = POINTS + offset, CENTRES + offset
    nearest = distance.cdist(np.float64(points), np.float64(centres)).argmin(axis=1)
    expected = np.bincount(nearest, minlength=7)
    np.testing.assert_array_equal(count(points, centres), expected)
    order = RNG.permutation(60)
    np.testing.assert_array_equal(count(points[order], centres), expected)


def test_rows_over_devices_give_the_same_and_half_precision_is_counted():
    rows = NamedSharding(jax.make_mesh((4,), ("data",), (AxisType.Auto,)), P("data"))
    expected = count(POINTS, CENTRES)
    np.testing.assert_array_equal(count(jax.device_put(POINTS, rows), CENTRES), expected)
    assert np.sum(count(POINTS.astype(jnp.bfloat16), CENTRES)) == 60
    assert bin_counts(POINTS[:1], CENTRES[:1]).tolist() == [1]


def test_a_traced_point_that_is_not_finite_is_in_no_bin():
    assert np.sum(count(POINTS.at[3, 0].set(jnp.nan).at[4, 1].set(jnp.inf), CENTRES)) == 58
    assert np.sum(count(POINTS, CENTRES.at[0, 0].set(jnp.nan))) == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: different_bins([1, 2], [1, 2, 3]),
            "counts_real has the shape (2,), counts_generated has (3,); give both the same shape.",
        ),
        (
            lambda: different_bins([0.5, 0.5], [1, 2]),
            "counts_real holds 0.5; every number in it must be a whole number, at least 0.",
        ),
        (lambda: different_bins([1, 2], [1, np.nan]), "counts_generated holds nan; every number"),
        (lambda: different_bins([1, 2], [-1, 2]), "counts_generated holds -1; every number in it"),
        (
            lambda: different_bins([1, 2], [0, 0]),
            "The counts have the shape (2,) and sum to 3 and 0; give one number for each bin, of "
            "at least one point in each set.",
        ),
        (lambda: different_bins([[1]], [[1]]), "The counts have the shape (1, 1) and sum to 1 and"),
        (lambda: bin_counts(POINTS, CENTRES[:, :2]), "The points of points have 3 features, those"),
        (lambda: bin_counts(POINTS * jnp.nan, CENTRES), "points holds nan; every number in it"),
    ],
)
def test_bad_input_is_refused(call, sentence, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        call()
