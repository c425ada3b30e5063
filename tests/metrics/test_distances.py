"""Distances of points, and to their nearest neighbours."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics.distances import about, reach, smallest_of, squared_distances

POINTS = np.random.default_rng(0).normal(3, 1, (10, 5)).astype(np.float32)


def test_distances_do_not_depend_on_the_centre_and_what_fills_up_is_infinitely_far():
    exact = np.sum(np.square(np.float64(POINTS)[:, None] - np.float64(POINTS)[None]), axis=-1)
    for centre in (jnp.zeros(5), jnp.full(5, 3.0)):
        points = about(centre, jnp.asarray(POINTS), 4)
        found = squared_distances(points, points)
        np.testing.assert_allclose(found[:10, :10], exact, rtol=1e-4)
        assert (found[10:] == jnp.inf).all()
        assert (found[:, 10:] == jnp.inf).all()


def test_only_rounding_is_no_distance():
    """(1.001 - 1)² is some ten times what rounding makes of 1 and 1."""
    points = about(jnp.zeros(1), jnp.array([[1.0], [1.001], [1.0]]), 3)
    near, same = squared_distances(points, points)[0, 1:]
    np.testing.assert_allclose(near, 1e-6, rtol=0.3)
    assert same == 0


@pytest.mark.parametrize("num", [1, 3, 6])
def test_the_smallest_are_those_of_sorting_with_equal_ones(num):
    values = np.random.default_rng(1).integers(0, 4, (20, 6)).astype(np.float32)
    values[0, 2:] = np.inf
    found = smallest_of(jnp.asarray(values), num)
    np.testing.assert_array_equal(found, np.sort(values, axis=1)[:, :num].T)


def test_a_reach_is_the_distance_to_a_neighbour():
    points = about(jnp.zeros(1), jnp.array([[0.0], [1.0], [3.0]]), 2)
    first, second = reach(points, (1, 2), 2)
    np.testing.assert_array_equal(first, [1, 1, 4, -1])
    np.testing.assert_array_equal(second, [9, 4, 9, -1])
