"""Estimates of log-likelihoods where the likelihood is known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_jax import losses
from gan_jax.metrics import (
    active_units,
    annealed_log_likelihood,
    bits_per_dimension,
    importance_log_likelihood,
    inference_gaps,
    log_likelihoods_in_parts,
    parzen_bandwidth,
    parzen_log_likelihood,
)
from gan_jax.metrics.annealing import sigmoid_schedule
from gan_jax.nets import MLPGenerator
from tests.systems.linear_gaussian import BATCH, LATENTS, LOG_P, C, build, exact_weights

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)


def test_importance_sampling_finds_the_likelihood():
    weights = exact_weights(shift=0.4)

    def log_weights(key, num):
        return build().log_weights(key, weights, BATCH, num)

    log_likelihood, effective_samples = map(
        np.asarray,
        importance_log_likelihood(KEY, log_weights, num_samples=5_000, chunk_size=100),
    )
    error = np.sqrt(1 / effective_samples - 1 / 5_000)
    assert np.all(np.abs(log_likelihood - LOG_P) < 4 * error)
    assert np.all(effective_samples < 5_000)


@pytest.mark.parametrize("chunk_size", [1, 6, 12])
def test_chunks_are_the_whole(chunk_size):
    """Weights as a function of the key alone, so that the whole can be written out."""

    def log_weights(key, num):
        return 300 * jax.random.normal(key, (num, 3))

    estimate = jax.jit(
        lambda key: importance_log_likelihood(
            key, log_weights, num_samples=12, chunk_size=chunk_size
        )
    )(KEY)

    @jax.jit
    def written_out(key):
        keys = jax.random.split(key, 12 // chunk_size)
        whole = jnp.concatenate([log_weights(key, chunk_size) for key in keys])
        return losses.iwae(whole), losses.effective_samples(whole)

    bound, effective_samples = written_out(KEY)
    np.testing.assert_allclose(estimate.log_likelihood, bound, rtol=1e-5)
    np.testing.assert_allclose(estimate.effective_samples, effective_samples, rtol=1e-2)


def test_large_weights_are_counted_as_exactly_as_small_ones():
    """In float32, 2 log Σ w - log Σ w² of log-weights near 10⁶ is off by whole numbers."""
    small = jax.random.normal(KEY, (12, 3))
    shifts = jnp.array([1e6, -1e6, 0.0])

    def log_weights(shift, key, num):
        return jnp.round(8 * small[:num]) / 8 + shift[None]  # exact, with the shift added

    def of(shift):
        weights = partial(log_weights, shift)
        return importance_log_likelihood(KEY, weights, num_samples=12, chunk_size=6)

    shifted, plain = jax.jit(of)(shifts), jax.jit(of)(jnp.zeros(3))
    np.testing.assert_array_equal(shifted.effective_samples, plain.effective_samples)
    expected = plain.log_likelihood + shifts
    np.testing.assert_allclose(shifted.log_likelihood, expected, rtol=1e-7)


def test_weights_of_nothing_count_nothing_and_what_is_no_number_stays():
    """Each column: all impossible; impossible at first; nan at first; nan at last; infinite."""
    inf, nan = np.inf, np.nan
    chunks = jnp.array([[-inf, -inf, nan, 0, 0], [-inf, 0, 0, nan, inf]], jnp.float32)

    second = jax.random.key_data(jax.random.split(KEY, 2)[1])

    def log_weights(key, num):
        return chunks[jnp.int32(jnp.all(jax.random.key_data(key) == second))][None]

    estimate = importance_log_likelihood(KEY, log_weights, num_samples=2, chunk_size=1)
    half = np.log(0.5, dtype=np.float32)
    np.testing.assert_allclose(estimate.log_likelihood, [-inf, half, nan, nan, inf], rtol=1e-6)
    assert estimate.effective_samples[1] == 1


def test_many_samples_take_the_memory_of_one_chunk():
    """5,000 samples of 10,000 latents each would be 200 MB for every example."""

    def log_weights(key, num):
        return jnp.sum(jax.random.normal(key, (num, 1, 10_000)), axis=-1)

    def memory(num_samples):
        run = jax.jit(
            lambda key: importance_log_likelihood(
                key, log_weights, num_samples=num_samples, chunk_size=50
            )
        )
        return run.lower(KEY).compile().memory_analysis().temp_size_in_bytes

    assert memory(5_000) < 2 * memory(50)


def test_the_effective_sample_size_counts():
    log_weights = np.zeros((7, 2), np.float32)
    log_weights[np.arange(7) != 3, 1] = -1e4
    counts = jax.jit(losses.effective_samples)(log_weights)
    np.testing.assert_allclose(counts, [7, 1], rtol=1e-6)
    thrice = losses.effective_samples(jnp.log(jnp.array([1.0, 3.0])))
    np.testing.assert_allclose(thrice, (1 + 3) ** 2 / (1 + 9), rtol=1e-6)


def test_annealing_finds_the_likelihood_without_an_encoder():
    weights, likelihood = exact_weights(), losses.gaussian(C)

    def log_likelihood(z):
        return likelihood.log_prob(BATCH["point"], build().decode(weights, z))

    estimate = jax.jit(
        lambda key: annealed_log_likelihood(
            key,
            log_likelihood,
            batch_size=8,
            latent_dim=LATENTS,
            num_chains=64,
            num_temperatures=150,
            num_leapfrog_steps=5,
        )
    )(KEY)
    values, effective_samples, acceptance = map(np.asarray, estimate)
    error = np.sqrt(1 / effective_samples - 1 / 64)
    assert np.all(np.abs(values - LOG_P) < 4 * error)
    assert np.all(effective_samples > 16)
    assert np.all((acceptance > 0.4) & (acceptance < 0.9))


@pytest.mark.slow
def test_annealing_scores_a_generator():
    """x = G(z) + √c ε with the two latents of a GAN's generator, by quadrature."""
    generator = MLPGenerator((2,), (8,), activation=jnp.tanh)
    params = generator.init(KEY, jnp.zeros((1, 1)))
    x = jnp.array([[0.3, -0.2], [1.0, 0.5]])
    likelihood = losses.gaussian(0.05)

    def log_likelihood(z):
        outputs = generator.apply(params, z.reshape(-1, 1)).reshape(*z.shape[:-1], 2)
        return likelihood.log_prob(x, outputs)

    at = jnp.linspace(-8, 8, 4_001)[:, None, None]
    density = jnp.exp(log_likelihood(jnp.broadcast_to(at, (4_001, 2, 1))))
    exact = np.log(np.trapezoid(density * stats.norm.pdf(at[:, 0]), at[:, 0, 0], axis=0))
    estimate = jax.jit(
        lambda key: annealed_log_likelihood(
            key,
            log_likelihood,
            batch_size=2,
            latent_dim=1,
            num_chains=200,
            num_temperatures=100,
            num_leapfrog_steps=5,
        )
    )(KEY)
    error = np.sqrt(1 / np.asarray(estimate.effective_samples))
    assert np.all(np.abs(estimate.log_likelihood - exact) < 4 * error)


def test_temperatures_rise_from_0_to_1_and_are_symmetric():
    temperatures = np.asarray(jax.jit(sigmoid_schedule, static_argnums=0)(10))
    assert temperatures.shape == (11,)
    assert (temperatures[0], temperatures[-1]) == (0, 1)
    assert np.all(np.diff(temperatures) > 0)
    np.testing.assert_allclose(temperatures + temperatures[::-1], 1, rtol=1e-5)
    at = 1 / (1 + np.exp(-4 * np.linspace(-1, 1, 11)))
    np.testing.assert_allclose(temperatures[1], (at[1] - at[0]) / (at[-1] - at[0]), rtol=1e-5)


def test_a_parzen_estimate_on_one_sample_is_a_gaussian():
    x, sample = RNG.normal(size=(5, 3)), RNG.normal(size=(1, 3))
    log_density = parzen_log_likelihood(jnp.asarray(x), jnp.asarray(sample), 0.7, chunk_size=2)
    expected = stats.multivariate_normal(sample[0], 0.49 * np.eye(3)).logpdf(x)
    np.testing.assert_allclose(log_density, expected, rtol=1e-5)


def test_a_parzen_estimate_is_scipy_s_and_finds_the_density():
    samples = RNG.normal(size=(20_000, 1))
    x = np.linspace(-2, 2, 9)[:, None]
    log_density = parzen_log_likelihood(jnp.asarray(x), jnp.asarray(samples), 0.2)
    kde = stats.gaussian_kde(samples.T, bw_method=0.2 / samples.std(ddof=1))
    np.testing.assert_allclose(log_density, kde.logpdf(x.T), rtol=1e-4)
    exact = stats.norm(0, 1.04**0.5).logpdf(x[:, 0])
    error = 1 / np.sqrt(20_000 * 0.2 * 2 * np.sqrt(np.pi) * np.exp(exact))
    assert np.all(np.abs(log_density - exact) < 4 * error)


def test_the_bandwidth_is_the_likeliest_on_held_out_data():
    samples, held_out = RNG.normal(size=(2, 300, 2))
    assert parzen_bandwidth(jnp.asarray(held_out), jnp.asarray(samples), [0.01, 0.3, 5.0]) == 0.3


def test_uniform_levels_cost_their_bits():
    nats = np.array([5 * np.log(256), 5 * np.log(2)], np.float32)
    np.testing.assert_allclose(bits_per_dimension(nats, 5), [8, 1], rtol=1e-6)
    with pytest.raises(ValueError, match="num_dimensions is 0; it must be an integer, at least 1"):
        bits_per_dimension(nats, 0)


def test_a_unit_is_active_where_its_mean_varies_over_examples():
    means = np.zeros((100, 3))
    means[:, 1] = RNG.normal(size=100)
    means[:, 2] = 0.05 * RNG.choice([-1, 1], size=100)  # variance 0.0025
    assert active_units(jnp.asarray(means)).tolist() == [False, True, False]
    assert active_units(jnp.asarray(means), threshold=0.002).tolist() == [False, True, True]
    assert not active_units(jnp.array([[-0.09], [0.09]]))  # 0.0081, and not twice that


def test_parts_are_drawn_apart():
    def log_weights(key, part, num):
        return jax.random.normal(key, (num, len(part["x"])))

    first, second = log_likelihoods_in_parts(
        KEY, log_weights, {"x": np.zeros(2)}, num_samples=1, part_size=1, chunk_size=1
    )
    assert first != second


def test_gaps_add_up():
    gaps = inference_gaps(
        log_likelihood=jnp.array([-1.0, -2.0]),
        best_bound=jnp.array([-1.5, -2.5]),
        amortised_bound=jnp.array([-3.5, -2.5]),
    )
    assert (float(gaps.approximation), float(gaps.amortisation)) == (0.5, 1.0)


def unused(*arguments):
    raise AssertionError


@pytest.mark.parametrize(
    ("num_samples", "chunk_size", "sentence"),
    [
        (10, 3, "num_samples is 10 and chunk_size 3; the first must be a multiple of the second"),
        (0, 1, "num_samples is 0; it must be an integer, at least 1"),
        (10, 0, "chunk_size is 0; it must be an integer, at least 1"),
    ],
)
def test_counts_that_do_not_divide_are_refused(num_samples, chunk_size, sentence):
    with pytest.raises(ValueError, match=sentence):
        importance_log_likelihood(KEY, unused, num_samples=num_samples, chunk_size=chunk_size)


def test_other_bad_input_is_refused():
    with pytest.raises(ValueError, match="num_chains is 0; it must be an integer, at least 1"):
        annealed_log_likelihood(KEY, unused, batch_size=1, latent_dim=1, num_chains=0)
    with pytest.raises(ValueError, match=r"step_size is 0\.0; it must be positive and finite"):
        annealed_log_likelihood(KEY, unused, batch_size=1, latent_dim=1, step_size=0.0)
    with pytest.raises(ValueError, match=r"bandwidth is 0\.0; it must be positive and finite"):
        parzen_log_likelihood(jnp.zeros((1, 1)), jnp.zeros((1, 1)), 0.0)
