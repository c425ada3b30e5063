"""Retrieval against sorting by hand, and where it is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import precision_at, retrieval_accuracy

RNG = np.random.default_rng(0)
QUERIES, CANDIDATES = (jnp.float32(RNG.normal(size=(num, 4))) for num in (7, 30))
OF_QUERIES, OF_CANDIDATES = (jnp.asarray(RNG.integers(0, 3, num)) for num in (7, 30))
GIVEN = (QUERIES, CANDIDATES, OF_QUERIES, OF_CANDIDATES)


def by_hand(num):
    shares = []
    for query, label in zip(np.float64(QUERIES), OF_QUERIES, strict=True):
        order = sorted(range(30), key=lambda j: -np.float64(CANDIDATES[j]) @ query)
        shares.append(np.mean([OF_CANDIDATES[j] == label for j in order[:num]]))
    return np.mean(shares)


@pytest.mark.parametrize("num", [4, 30])
def test_it_is_the_share_of_right_ones_among_the_best(num):
    expected = by_hand(num)
    assert 0 < expected < 1
    np.testing.assert_allclose(precision_at(*GIVEN, num=num), expected, rtol=1e-6)
    in_numpy = map(np.asarray, GIVEN)
    np.testing.assert_allclose(precision_at(*in_numpy, num=num), expected, rtol=1e-6)


def test_accuracy_is_that_of_the_best_one():
    best = np.argmax(np.float64(QUERIES) @ np.float64(CANDIDATES).T, axis=1)
    expected = np.mean(np.asarray(OF_CANDIDATES)[best] == OF_QUERIES)
    np.testing.assert_allclose(retrieval_accuracy(*GIVEN), expected, rtol=1e-6)


def test_scores_are_inner_products_and_among_equals_the_first_counts():
    """A long candidate outdoes one of the query's own direction."""
    query = jnp.array([[1.0, 0.0]])
    for candidates, first in (([[1, 0], [3, 3]], 1), ([[1, 5], [1, -5]], 0), ([[2, 0], [1, 0]], 0)):
        for label in (0, 1):
            found = retrieval_accuracy(
                query, jnp.float32(jnp.array(candidates)), jnp.array([label]), jnp.arange(2)
            )
            assert found == (label == first)


def test_half_precision_is_widened():
    """257 and 256.5, equal where sums are of bfloat16."""
    query = jnp.ones((1, 2), jnp.bfloat16)
    candidates = jnp.array([[256, 0.5], [256, 1]], jnp.bfloat16)
    assert retrieval_accuracy(query, candidates, jnp.array([1]), jnp.arange(2)) == 1


def test_what_is_traced_and_not_finite_has_no_share():
    queries, candidates, *labels = GIVEN
    accuracy = jax.jit(lambda q, c: retrieval_accuracy(q, c, *labels))
    assert np.isnan(accuracy(queries.at[0, 0].set(jnp.nan), candidates))
    assert np.isnan(accuracy(queries, candidates.at[0, 0].set(jnp.inf)))
    assert accuracy(queries, candidates) == retrieval_accuracy(*GIVEN)
