"""Mode coverage, by hand and at its known ceiling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import ring
from gan_jax.data.mixtures import sample
from gan_jax.metrics import mode_coverage

MEANS = jnp.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
measure = jax.jit(mode_coverage, static_argnames="std")


def test_an_example_by_hand():
    points = jnp.array([[0.0, 2.999], [0.0, 3.001], [10.0, -1.0], [9.0, 0.0], [5.0, 5.0]])
    coverage = measure(points, MEANS, std=1.0)
    assert int(coverage.modes) == 2
    np.testing.assert_allclose(coverage.high_quality, 3 / 5, rtol=1e-6)
    expected = 1 / 3 * np.log(1 / 3 * 3) + 2 / 3 * np.log(2 / 3 * 3)
    np.testing.assert_allclose(coverage.reverse_kl, expected, rtol=1e-6)


@pytest.mark.parametrize("num_covered", [1, 2, 3])
def test_equally_shared_modes_have_a_known_divergence(num_covered):
    coverage = measure(MEANS[:num_covered], MEANS, std=0.1)
    np.testing.assert_allclose(coverage.reverse_kl, np.log(3 / num_covered), atol=1e-6)


def test_a_sample_far_from_every_mode_has_no_divergence():
    coverage = measure(jnp.full((4, 2), 100.0), MEANS, std=0.1)
    assert (int(coverage.modes), float(coverage.high_quality)) == (0, 0.0)
    assert float(coverage.reverse_kl) == np.inf


def test_points_that_are_not_finite_are_of_low_quality():
    points = jnp.array([[0.0, 0.0], [jnp.nan, 0.0], [jnp.inf, 0.0], [10.0, 0.0]])
    coverage = measure(points, MEANS, std=1.0)
    assert (int(coverage.modes), float(coverage.high_quality)) == (2, 0.5)
    np.testing.assert_allclose(coverage.reverse_kl, np.log(3 / 2), rtol=1e-6)
    diverged = measure(jnp.full((4, 2), jnp.nan), MEANS, std=1.0)
    assert tuple(map(float, diverged)) == (0, 0, np.inf)


def test_a_perfect_sampler_meets_the_ceiling():
    mixture, num = ring(), 20_000
    points = jax.jit(sample, static_argnums=2)(jax.random.key(0), mixture, num)
    coverage = measure(points, mixture.means, std=mixture.std)
    ceiling = 1 - np.exp(-4.5)
    standard_error = np.sqrt(ceiling * (1 - ceiling) / num)
    assert abs(float(coverage.high_quality) - ceiling) < 4 * standard_error
    assert int(coverage.modes) == 8
    assert float(coverage.reverse_kl) < 1e-3
