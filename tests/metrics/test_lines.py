"""Distances of parallel lines, beside those of points on them."""

import numpy as np

from gan_jax import metrics


def test_the_distances_are_those_of_points_on_the_lines():
    thetas, y = np.array([-0.7, 0.0, 0.4]), np.linspace(0, 1, 6)
    zero, *lines = (np.stack([np.full_like(y, x), y], axis=1) for x in (0.0, *thetas))
    exact = metrics.between_parallel_lines(thetas)
    np.testing.assert_allclose(exact.wasserstein, [metrics.wasserstein(zero, x) for x in lines])
    masses = [np.eye(2)[0] if theta == 0 else np.eye(2)[1] for theta in thetas]
    np.testing.assert_allclose(
        exact.jensen_shannon, metrics.jensen_shannon_divergence(np.eye(2)[0], masses)
    )
    np.testing.assert_allclose(
        exact.total_variation, metrics.total_variation_distance(np.eye(2)[0], masses)
    )
    kl = metrics.kl_divergence(np.eye(2)[0], masses)
    np.testing.assert_array_equal(kl, np.where(thetas == 0, 0, np.inf))
