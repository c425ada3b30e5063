"""Precision and recall against the definition, and where they are known."""

import importlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import precision_recall

RNG = np.random.default_rng(0)
REAL = jnp.float32(RNG.normal(size=(40, 3)))
GENERATED = jnp.float32(RNG.normal(0.5, 1.5, size=(30, 3)))
measure = jax.jit(precision_recall, static_argnames="k")


def share_in_manifold(points, of, k):
    def inside(point):
        for centre in of:
            distances = sorted(np.linalg.norm(of - centre, axis=1))
            if np.linalg.norm(point - centre) <= distances[k]:
                return True
        return False

    return np.mean([inside(point) for point in points])


@pytest.mark.parametrize("k", [1, 3])
def test_it_follows_the_definition(k):
    precision, recall = measure(REAL, GENERATED, k=k)
    real, generated = np.asarray(REAL), np.asarray(GENERATED)
    np.testing.assert_allclose(precision, share_in_manifold(generated, real, k), rtol=1e-6)
    np.testing.assert_allclose(recall, share_in_manifold(real, generated, k), rtol=1e-6)
    assert 0 < precision < 1
    assert precision != recall


def test_it_is_the_same_in_blocks_and_holds_one_at_a_time(monkeypatch):
    """40 and 30 points are no multiples of 7: the last blocks are filled up."""
    whole = measure(REAL, GENERATED)
    file = importlib.import_module("gan_jax.metrics.precision_recall")
    monkeypatch.setattr(file, "BLOCK", 7)
    in_blocks = jax.jit(partial(precision_recall, k=3))
    assert in_blocks(REAL, GENERATED) == whole
    many = jax.ShapeDtypeStruct((1_000, 2), jnp.float32)
    memory = in_blocks.lower(many, many).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * 1_000**2 / 10


def test_swapping_the_sets_swaps_the_two():
    there, back = measure(REAL, GENERATED), measure(GENERATED, REAL)
    assert there == (back.recall, back.precision)


def test_the_same_set_and_far_sets():
    assert measure(REAL, REAL) == (1, 1)
    assert measure(REAL, REAL + 100) == (0, 0)


def test_it_does_not_depend_on_where_the_origin_is():
    """A small spread far from the origin: features are rarely centred, and generators collapse."""
    shift = 5_000.0
    real, generated = REAL + shift, GENERATED + shift
    precision, recall = measure(real, generated)
    real, generated = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    np.testing.assert_allclose(precision, share_in_manifold(generated, real, 3), rtol=1e-6)
    np.testing.assert_allclose(recall, share_in_manifold(real, generated, 3), rtol=1e-6)


def test_a_collapsed_generator_is_precise_and_recalls_one_point():
    """Its manifold is a ball of radius 0, which holds its own centre."""
    collapsed = jnp.asarray(np.tile(REAL[:1], (10, 1)))
    assert measure(REAL, collapsed) == (1, np.float32(1 / len(REAL)))
    assert measure(REAL, collapsed + 100) == (0, 0)


def test_a_set_needs_more_than_k_points():
    with pytest.raises(ValueError, match="40 and 3 points; with k=3 each needs more than 3"):
        precision_recall(REAL, jnp.ones((3, 3)))
    with pytest.raises(ValueError, match="4 and 30 points; with k=4"):
        precision_recall(REAL[:4], GENERATED, k=4)
