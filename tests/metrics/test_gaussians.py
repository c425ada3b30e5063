"""Gaussians on a grid: masses, f-divergences and their bounds."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_jax import losses, metrics

GRID = np.linspace(-8, 8, 161)
MASSES = metrics.normals_on_grid(GRID, [0.0, 1.0, -0.5], [1.0, 0.5, 2.0])
P, Q = MASSES[0], MASSES[1:]


def test_every_gaussian_has_its_own_mean_and_deviation():
    np.testing.assert_allclose(MASSES.sum(axis=1), 1)
    means = MASSES @ GRID
    np.testing.assert_allclose(means, [0.0, 1.0, -0.5], atol=1e-3)
    squares = (MASSES * (GRID - means[:, None]) ** 2).sum(axis=1)
    np.testing.assert_allclose(np.sqrt(squares), [1.0, 0.5, 2.0], rtol=1e-2)


def test_f_divergences_are_taken_in_float64():
    """KL(p ‖ q) of a far narrow Gaussian is large, and lost in float32 where q underflows."""
    far = metrics.normals_on_grid(GRID, [5.0], [0.3])[0]
    found = metrics.f_divergence(losses.fdivergence.kl(), P, np.stack([far, Q[0]]))
    expected = [metrics.kl_divergence(P, far), metrics.kl_divergence(P, Q[0])]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.dtype == np.float64


@pytest.mark.parametrize("row", [losses.fdivergence.kl(), losses.fdivergence.jensen_shannon()])
def test_the_best_critic_s_bound_is_the_divergence_and_others_are_below(row):
    """The best v has g_f(v) = f'(p/q): log(p/q) + 1 for KL, and log(p/q) under Jensen-Shannon."""
    shift = float(losses.threshold(row))
    best = jnp.asarray(np.log(P / Q[1]) + shift, jnp.float32)
    exact = metrics.f_divergence(row, P, Q[1])
    outputs = jnp.stack([best, best + 0.3])
    bound, below = metrics.f_gan_bound(losses.f_gan(row), outputs, P, np.stack([Q[1], Q[1]]))
    assert bound == pytest.approx(float(exact), rel=1e-4)
    assert below < bound - 1e-3


def test_the_overlap_of_two_gaussians_is_the_integral_of_the_root_of_their_product():
    grid = np.linspace(-12, 12, 20_001)
    means, deviations = np.array([[0.3, -1.0], [2.0, -0.2]]), np.array([[0.5, 1.5], [2.0, 1.0]])
    densities = stats.norm.pdf(grid, means[..., None], deviations[..., None])
    expected = np.prod(np.sum(np.sqrt(densities[0] * densities[1]), axis=-1) * (grid[1] - grid[0]))
    given = [jnp.float32(x) for x in (means[0], 2 * np.log(deviations[0]))]
    other = [jnp.float32(x) for x in (means[1], 2 * np.log(deviations[1]))]
    np.testing.assert_allclose(metrics.gaussian_overlap(*given, *other), expected, rtol=1e-5)
    np.testing.assert_allclose(metrics.gaussian_overlap(*given, *given), 1, rtol=1e-6)
    far = [given[0] + 100, given[1]]
    assert metrics.gaussian_overlap(*given, *far) == 0
