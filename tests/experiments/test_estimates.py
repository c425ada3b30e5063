"""What a discriminator and a critic estimate, where both are the best."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.estimates import critic_gap, jensen_shannon_bound
from gan_jax import metrics


def test_the_best_discriminator_estimates_the_divergence():
    """Two outcomes, as often among the points as they are probable."""
    p, q = np.array([0.75, 0.25]), np.array([0.25, 0.75])
    best = np.log(p / q)
    real, fake = (jnp.repeat(jnp.asarray(best), (4 * of).astype(int)) for of in (p, q))
    exact = metrics.jensen_shannon_divergence(p, q)
    assert float(jensen_shannon_bound(real, fake)) == pytest.approx(exact, rel=1e-5)
    far = jnp.full(3, 50.0)
    assert float(jensen_shannon_bound(far, -far)) == pytest.approx(np.log(2))
    assert float(jensen_shannon_bound(0 * far, 0 * far)) == pytest.approx(0, abs=1e-7)


def test_the_best_critic_estimates_the_distance_with_its_sign():
    real, fake = jnp.array([0.0, 1.0]), jnp.array([2.0, 5.0])
    assert float(critic_gap(-real, -fake)) == metrics.wasserstein_1d(real, fake) == 3
