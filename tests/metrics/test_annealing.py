"""Annealed importance sampling where it has few temperatures, and its moves one by one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_jax.metrics import annealed_log_likelihood
from gan_jax.metrics.annealing import hamiltonian_move

KEY = jax.random.key(0)
X = jnp.array([-1.0, 0.5, 2.0])
annealed = partial(annealed_log_likelihood, batch_size=3, latent_dim=1)


def normal(variance, z):
    return -((X[None] - z[..., 0]) ** 2 / variance + jnp.log(2 * jnp.pi * variance)) / 2


def test_the_mean_weight_is_unbiased_with_few_temperatures_too():
    """z ~ N(0, 1), x|z ~ N(z, 1/4): a weight belongs to the latents before their move."""
    log_likelihood = partial(normal, 0.25)
    values, effective_samples, _ = jax.jit(
        partial(annealed, log_likelihood=log_likelihood, num_chains=512, num_temperatures=5)
    )(KEY)
    error = np.sqrt(1 / effective_samples - 1 / 512)
    assert np.all(error < 0.1)
    assert np.all(np.abs(values - stats.norm(0, 1.25**0.5).logpdf(X)) < 4 * error)


def test_the_acceptance_is_that_of_the_second_half():
    """A posterior of deviation 1/45, on which steps of 0.1 are unstable from β = 1/5 on."""
    log_likelihood = partial(normal, 1 / 2_000)
    _, _, acceptance = jax.jit(
        partial(annealed, log_likelihood=log_likelihood, num_chains=8, num_temperatures=4)
    )(KEY)
    np.testing.assert_allclose(acceptance, 0, atol=1e-3)


def move(energy, size, steps, num):
    start = jnp.zeros((num, 1, 1))
    return jax.jit(partial(hamiltonian_move, energy=energy, num_leapfrog_steps=steps))(
        KEY, start, size=jnp.full((1, 1, 1), size)
    )


def test_leapfrog_steps_keep_the_energy_to_second_order():
    """Of a harmonic oscillator; with half a kick less it would be to the first."""
    _, probability = move(lambda z: jnp.sum((z - 1) ** 2, axis=-1) / 2, 0.1, 7, 1_000)
    assert np.min(probability) > 0.99


def test_acceptance_does_not_look_at_the_momentum():
    """Of proposals that are as likely as not, as many go up as down."""
    there, probability = move(lambda z: jnp.log(2.0) * (z[..., 0] != 0), 1.0, 1, 1_000)
    np.testing.assert_allclose(probability, 0.5, rtol=1e-6)
    for share, num in ((np.mean(there != 0), 1_000), (np.mean(there[there != 0] > 0), 500)):
        assert abs(share - 0.5) < 4 * 0.5 / num**0.5


def test_where_the_energy_is_no_number_nothing_moves():
    there, probability = move(lambda z: jnp.where(z[..., 0] == 0, 0, jnp.nan), 1.0, 1, 10)
    np.testing.assert_array_equal(probability, 0)
    np.testing.assert_array_equal(there, 0)


@pytest.mark.slow
def test_no_key_is_used_twice():
    with jax.debug_key_reuse(True):
        annealed(KEY, partial(normal, 1.0), num_chains=1, num_temperatures=1)
