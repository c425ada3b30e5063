"""The kernel distance, against a loop in float64 and where it is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.metrics import kernel_distance, kernel_distance_subsets

X = np.random.RandomState(0).randn(300, 8)
Y = 1.2 * np.random.RandomState(1).randn(300, 8) + 0.3
GOLDEN = 0.707869635759  # torch-fidelity 0.4.0, torchmetrics 1.9.0 and piq 0.8.0


def by_definition(x, y):
    """Pair by pair, in float64."""

    def mean(a, b, same):
        pairs = [
            (u @ v / len(u) + 1) ** 3
            for i, u in enumerate(a)
            for j, v in enumerate(b)
            if not (same and i == j)
        ]
        return np.mean(pairs)

    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return mean(x, x, True) - 2 * mean(x, y, False) + mean(y, y, True)


@pytest.mark.parametrize("chunk_size", [7, 1024])
def test_the_value_of_the_reference_packages(chunk_size):
    np.testing.assert_allclose(kernel_distance(X, Y, chunk_size=chunk_size), GOLDEN, rtol=1e-7)


def test_it_is_the_unbiased_discrepancy_of_the_cubic_kernel():
    x, y = jnp.float32(X), jnp.float32(Y)
    expected = losses.mmd2(x, y, losses.polynomial_kernel(3), unbiased=True)
    np.testing.assert_allclose(kernel_distance(x, y), expected, rtol=1e-5)


def test_small_differences_of_large_sums():
    """Of sets of one law, whose kernels are far larger than their distance."""
    x, y = np.float32(np.random.default_rng(0).normal(1, 1, (2, 40, 8)))
    expected = by_definition(x, y)
    assert abs(expected) < 0.3
    np.testing.assert_allclose(kernel_distance(x, y), expected, rtol=1e-4)


def test_the_order_of_points_does_not_count():
    order = np.random.default_rng(1).permutation(300)
    found = kernel_distance(X[order], Y[order[::-1]])
    np.testing.assert_allclose(found, kernel_distance(X, Y), rtol=1e-5)


def test_half_precision_is_widened():
    x, y = jnp.bfloat16(X[:40]), jnp.bfloat16(Y[:40])
    np.testing.assert_allclose(kernel_distance(x, y), by_definition(x, y), rtol=1e-5)


def test_a_set_and_itself_are_closer_than_two_of_one_law():
    """The pairs between the sets hold each point with itself; those within do not: negative."""
    assert kernel_distance(X, X) < 0
    constant = np.full((5, 3), 2.0)
    np.testing.assert_allclose(kernel_distance(constant, constant), 0, atol=1e-4)


def test_two_points_on_each_side_are_enough():
    x, y = X[:2], Y[:2]
    np.testing.assert_allclose(kernel_distance(x, y), by_definition(x, y), rtol=1e-6)
    with pytest.raises(ValueError, match="have 1 and 300 points; each needs at least 2"):
        kernel_distance(X[:1], Y)


def test_subsets_follow_the_loop():
    rng = np.random.default_rng(2)
    of_x, of_y = (np.stack([rng.permutation(300)[:size] for _ in range(4)]) for size in (40, 40))
    values = [by_definition(X[i], Y[j]) for i, j in zip(of_x, of_y, strict=True)]
    mean, std = kernel_distance_subsets(X, Y, indices_x=of_x, indices_y=of_y)
    np.testing.assert_allclose((mean, std), (np.mean(values), np.std(values)), rtol=1e-5)
    on_device = jax.tree.map(jnp.asarray, {"indices_x": of_x, "indices_y": of_y})
    assert kernel_distance_subsets(X, Y, **on_device, chunk_size=1024) == (mean, std)
