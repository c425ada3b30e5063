"""The VAE where everything is known: linear-Gaussian, and its own limits."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from scipy import stats

from gan_jax import losses
from gan_jax.games import Weights, descent_step
from gan_jax.nets import ConvDecoder, ConvEncoder, MLPEncoder, MLPGenerator
from gan_jax.systems import VAE, Gaussian, iwae, latents
from tests.systems.linear_gaussian import (
    BATCH,
    DIM,
    LATENTS,
    LOG_P,
    PRECISION,
    B,
    C,
    W,
    X,
    build,
    exact_weights,
)

KEY = jax.random.key(0)
NUM = 20_000


def within(values, expected, axis=0):
    """Means within four standard errors."""
    error = np.std(values, axis=axis) / np.shape(values)[axis] ** 0.5
    assert np.all(np.abs(np.mean(values, axis=axis) - expected) < 4 * error + 1e-6)


def test_the_bound_is_the_log_likelihood_at_the_exact_posterior():
    """Not in the mean only: there every importance weight is p(x)."""
    log_weights = jax.jit(lambda: build().log_weights(KEY, exact_weights(), BATCH, 50))()
    np.testing.assert_allclose(log_weights, np.broadcast_to(LOG_P, (50, 8)), rtol=1e-4)


@pytest.mark.parametrize("kl", ["closed", "sampled"])
def test_the_gap_elsewhere_is_the_divergence_from_the_posterior(kl):
    shift = 0.2
    weights = exact_weights(shift)
    posterior = jax.jit(build().encode)(weights, BATCH)
    exact = Gaussian(posterior.mean - shift, posterior.log_variance)
    gap = jax.jit(losses.gaussian_kl)(*posterior, *exact)
    np.testing.assert_allclose(gap, np.sum(PRECISION) * shift**2 / 2, rtol=1e-4)
    model = build(kl=kl, num_samples=50)
    bound = jax.jit(jax.vmap(lambda key: losses.elbo(*model.bound(key, weights, BATCH, posterior))))
    bounds = bound(jax.random.split(KEY, NUM // 50))
    within(bounds, LOG_P - gap)


def test_in_the_mean_the_bound_is_less_than_minus_the_entropy_by_two_divergences():
    """E log p = -H(p_data) - KL(p_data‖p), and E KL(q‖p(z|x)) is what the bound lacks besides."""
    shift, num = 0.5, 4_000
    mean, covariance = B + 0.3, np.diag([0.5, 1.0, 2.0, 0.8])
    data = stats.multivariate_normal(mean, covariance)
    precision = np.linalg.inv(W @ W.T + C * np.eye(DIM))
    ratio = precision @ covariance
    distance = 0.3**2 * precision.sum()
    kl = (np.trace(ratio) - DIM - np.linalg.slogdet(ratio)[1] + distance) / 2
    gap = np.sum(PRECISION) * shift**2 / 2
    x = data.rvs(num, np.random.default_rng(2)).astype(np.float32)
    weights, model, batch = exact_weights(shift), build(kl="closed"), {"point": jnp.asarray(x)}
    posterior = jax.jit(model.encode)(weights, batch)
    bounds = losses.elbo(*jax.jit(model.bound)(KEY, weights, batch, posterior))
    within(bounds, -data.entropy() - kl - gap)


def test_latents_are_the_mean_and_as_many_deviations_as_the_noise():
    gaussian = Gaussian(jnp.array([1.0, -2.0, 0.5]), jnp.log(jnp.array([4.0, 0.25, 1.0])))
    noise = latents.draw(KEY, Gaussian(jnp.zeros(3), jnp.zeros(3)))
    np.testing.assert_allclose(noise, jax.random.normal(KEY, (3,)))
    drawn, back = jax.vjp(partial(latents.draw, KEY), gaussian)
    np.testing.assert_allclose(drawn, gaussian.mean + np.array([2, 0.5, 1]) * noise, rtol=1e-6)
    (slope,) = back(jnp.ones(3))
    np.testing.assert_allclose(slope.mean, 1)
    np.testing.assert_allclose(slope.log_variance, np.array([2, 0.5, 1]) * noise / 2, rtol=1e-6)


@pytest.mark.slow
def test_the_importance_weighted_bound_rises_to_the_log_likelihood():
    weights = build().log_weights(KEY, exact_weights(0.4), BATCH, NUM)
    bounds = [jnp.mean(losses.iwae(weights.reshape(k, -1, 8))) for k in (1, 2, 10, 1_000)]
    assert all(np.diff(bounds) > 0)
    assert bounds[-1] < np.mean(LOG_P) + 1e-4
    assert np.mean(LOG_P) - bounds[-1] < 0.02 < np.mean(LOG_P) - bounds[0]


@pytest.mark.parametrize("num_samples", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_it_is_constant_in_k_at_the_exact_posterior(num_samples):
    objective = jax.jit(iwae(build(), num_samples=num_samples))
    outcome = objective(weights=exact_weights(), batch=BATCH, key=KEY)
    np.testing.assert_allclose(outcome.metrics["bound"], np.mean(LOG_P), rtol=1e-5)
    np.testing.assert_allclose(outcome.metrics["effective_samples"], num_samples, rtol=1e-3)


def test_with_one_sample_it_is_the_vae_number_for_number():
    sampled, weighted = build(kl="sampled").objective, iwae(build(), num_samples=1)
    weights = exact_weights(0.4)

    def loss(objective):
        def at(params):
            return objective(weights=weights.replace(params=params), batch=BATCH, key=KEY).loss

        return jax.jit(jax.value_and_grad(at))(weights.params)

    chex.assert_trees_all_close(loss(sampled), loss(weighted), rtol=1e-5, atol=1e-5)


def test_the_gradient_is_that_of_the_paper():
    """Σ w̃ ∇ log w, by the Jacobian of the log-weights."""
    model, weights = build(), exact_weights(0.4)
    weighted = iwae(model, num_samples=5)

    def log_weights(params):
        return model.log_weights(KEY, weights.replace(params=params), BATCH, 5)

    def by_jacobian(params):
        normalised = jax.nn.softmax(log_weights(params), axis=0)
        return jax.tree.map(
            lambda jacobian: -jnp.einsum("kb,kb...->...", normalised, jacobian) / 8,
            jax.jacrev(log_weights)(params),
        )

    def loss(params):
        return weighted(weights=weights.replace(params=params), batch=BATCH, key=KEY).loss

    gradient, expected = jax.jit(lambda p: (jax.grad(loss)(p), by_jacobian(p)))(weights.params)
    chex.assert_trees_all_close(gradient, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 4.0])
def test_beta_weighs_the_divergence_and_the_metrics_stay_those_of_the_bound(beta):
    outcome = jax.jit(build(beta=beta).objective)(weights=exact_weights(0.4), batch=BATCH, key=KEY)
    m = outcome.metrics
    np.testing.assert_allclose(outcome.loss, beta * m["kl"] - m["log_likelihood"], rtol=1e-6)
    np.testing.assert_allclose(m["elbo"], m["log_likelihood"] - m["kl"], rtol=1e-6)


def test_samples_have_the_moments_of_the_model():
    weights = exact_weights()
    samples = np.asarray(jax.jit(build().sample, static_argnums=2)(KEY, weights, NUM))
    kernel = np.asarray(weights.params["decoder"]["Dense_0"]["kernel"])
    bias = np.asarray(weights.params["decoder"]["Dense_0"]["bias"])
    within(samples, bias)
    np.testing.assert_allclose(np.cov(samples.T), kernel.T @ kernel, atol=0.06)


def test_draws_have_the_noise_of_the_likelihood_besides():
    """N(b, W W' + cI)."""
    draws = np.asarray(jax.jit(build().draw, static_argnums=2)(KEY, exact_weights(), NUM))
    within(draws, B)
    centred = draws - B
    products = centred[:, :, None] * centred[:, None, :]
    within(products, W @ W.T + C * np.eye(DIM))
    noise = draws - jax.jit(build().sample, static_argnums=2)(KEY, exact_weights(), NUM)
    within(noise[:, :, None] * noise[:, None, :], C * np.eye(DIM))


@pytest.mark.slow
def test_the_density_of_a_model_of_networks_is_that_of_its_draws():
    """By importance weights on a grid: it sums to 1, and to the draws' share on either side."""
    model = VAE(
        encoder=MLPEncoder(4, widths=(8,)),
        decoder=MLPGenerator((2,), widths=(8,)),
        likelihood=losses.gaussian(0.25),
        latent_dim=2,
        field="point",
    )
    state = model.init(KEY, {"point": jnp.zeros((1, 2))}, optimizer=optax.sgd(0.1))
    params = state.player.weights.params
    encoder = jax.tree.map(jnp.zeros_like, params["encoder"])  # q is the prior
    weights = Weights(params={**params, "encoder": encoder})
    side, step = np.linspace(-8, 8, 81, retstep=True)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    batch = {"point": jnp.asarray(grid, jnp.float32)}
    log_weights = jax.jit(lambda: model.log_weights(KEY, weights, batch, 1_000))()
    shares = np.exp(losses.iwae(log_weights)) * step**2
    assert np.sum(shares) == pytest.approx(1, abs=0.02)
    drawn = np.asarray(model.draw(KEY, weights, NUM))
    middle = np.median(drawn[:, 0]) + 0.5
    expected = np.sum(shares[grid[:, 0] < middle])
    assert 0.55 < expected < 0.95
    assert np.mean(drawn[:, 0] < middle) == pytest.approx(expected, abs=0.06)


def test_the_bound_of_a_minibatch_times_n_over_m_is_in_the_mean_that_of_all_data():
    """Of 8 examples 3 are drawn: (N/M) Σ L. Kingma & Welling 2014, equation (8)."""
    shift, size = 0.2, 3
    gap = np.sum(PRECISION) * shift**2 / 2
    weights = exact_weights(shift)

    def estimate(key):
        key_rows, key_bound = jax.random.split(key)
        rows = jax.random.choice(key_rows, len(X), (size,), replace=False)
        batch = {"point": BATCH["point"][rows]}
        return -len(X) * build().objective(weights=weights, batch=batch, key=key_bound).loss

    estimates = jax.jit(jax.vmap(estimate))(jax.random.split(KEY, NUM))
    within(estimates, np.sum(LOG_P - gap))


def test_reparameterised_and_score_function_gradients_agree_in_the_mean():
    """∇_μ E_q log p(x|z), by z = μ + σε, and by log p(x|z) ∇ log q(z): the first varies less."""
    model, weights = build(), exact_weights()
    posterior = model.encode(weights, BATCH)
    likelihood = losses.gaussian(0.3)

    def log_likelihood(z):
        return likelihood.log_prob(BATCH["point"], model.decode(weights, z))

    def drawn(key):
        noise = jax.random.normal(key, posterior.mean.shape)
        std = jnp.exp(posterior.log_variance / 2)
        z = posterior.mean + std * noise
        path = jax.grad(lambda z: jnp.sum(log_likelihood(z)))(z)
        return path, log_likelihood(z)[:, None] * noise / std

    path, score = jax.jit(jax.vmap(drawn))(jax.random.split(KEY, NUM))
    error = np.std(score, axis=0) / NUM**0.5
    assert np.all(np.abs(np.mean(path, axis=0) - np.mean(score, axis=0)) < 5 * error)
    assert np.all(np.var(score, axis=0) > 5 * np.var(path, axis=0))


@pytest.mark.slow
def test_it_learns_a_model_that_is_known():
    """From samples of the model, its log-likelihood: the bound is tight for a linear encoder."""
    rng = np.random.default_rng(1)
    weights = exact_weights().params["decoder"]["Dense_0"]
    z, noise = rng.normal(size=(4_000, LATENTS)), rng.normal(size=(4_000, DIM)) * 0.3**0.5
    kernel, bias = np.asarray(weights["kernel"]), np.asarray(weights["bias"])
    x = jnp.asarray(z @ kernel + bias + noise, jnp.float32)
    model, optimizer = build(), optax.adam(optax.cosine_decay_schedule(0.05, 600))
    state = model.init(KEY, BATCH, optimizer=optimizer)

    @jax.jit
    def run(state):
        def step(state, key):
            return descent_step(
                key, state, {"point": x}, objective=model.objective, optimizer=optimizer
            )

        return jax.lax.scan(step, state, jax.random.split(KEY, 600))

    state, metrics = run(state)
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * np.cov(x.T))[1]
    assert abs(np.mean(metrics["elbo"][-50:]) + entropy) < 0.05


def test_convolutions_and_likelihoods_of_two_numbers_fit():
    model = VAE(
        encoder=ConvEncoder(6, width=4),
        decoder=ConvDecoder((8, 8, 6), width=4),
        likelihood=losses.discretized_logistic(),
        latent_dim=3,
    )
    batch = {"image": jnp.zeros((5, 8, 8, 3))}

    def made():
        weights = model.init(KEY, batch, optimizer=optax.sgd(0.1)).player.weights
        return (
            model.objective(weights=weights, batch=batch, key=KEY).loss,
            model.sample(KEY, weights, 7),
            model.log_weights(KEY, weights, batch, 3),
            model.decode(weights, jnp.zeros((2, 3, 3))),
        )

    shapes = [array.shape for array in jax.eval_shape(made)]
    assert shapes == [(), (7, 8, 8, 3), (3, 5), (2, 3, 8, 8, 6)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latent_dim": 0}, "latent_dim is 0; it must be an integer, at least 1"),
        ({"num_samples": 0}, "num_samples is 0; it must be an integer, at least 1"),
        ({"beta": -1.0}, "beta is -1.0; it must be finite, and not below 0"),
        ({"kl": "exact"}, "kl is 'exact'; it must be one of 'closed', 'sampled'"),
    ],
)
def test_bad_arguments_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        VAE(**build.keywords | change)


def test_networks_that_do_not_fit_are_refused_at_the_start():
    words = r"encoder gives \(4,\) numbers for each example; 3 latents need \(6,\)"
    with pytest.raises(ValueError, match=words):
        build(latent_dim=3).init(KEY, BATCH, optimizer=optax.sgd(0.1))


def test_examples_of_another_shape_are_refused_when_played():
    batch = {"point": jnp.zeros((2, 7))}
    with pytest.raises(ValueError, match=r"shape \(7,\), the decoder makes \(4,\)"):
        build().objective(weights=exact_weights(), batch=batch, key=KEY)


def test_a_batch_that_is_sharded_is_gathered_nowhere():
    objective = iwae(build(), num_samples=5)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    sharded, whole = (
        NamedSharding(mesh, spec) for spec in (PartitionSpec("data"), PartitionSpec())
    )
    batch, weights = jax.device_put(BATCH, sharded), jax.device_put(exact_weights(0.4), whole)

    def loss(weights, batch):
        return objective(weights=weights, batch=batch, key=KEY).loss

    compiled = jax.jit(jax.value_and_grad(loss, allow_int=True)).lower(weights, batch).compile()
    assert "all-gather" not in compiled.as_text()
    value, _ = compiled(weights, batch)
    np.testing.assert_allclose(value, loss(exact_weights(0.4), BATCH), rtol=1e-5)
