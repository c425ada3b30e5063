"""The conditional VAE: where prior and posterior agree, and where the condition says nothing."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from gan_jax import losses
from gan_jax.games import Weights
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import CVAE
from tests.systems.linear_gaussian import BATCH, DIM, LATENTS, B, C, W, X, build, exact_weights

KEY = jax.random.key(0)
NUM_CONDITIONS = 3
CONDITION = jnp.full((8, NUM_CONDITIONS), 0.7)
CONDITIONED = {"condition": CONDITION, "target": BATCH["point"]}


def conditional(**changes):
    settings = {
        "encoder": MLPEncoder(2 * LATENTS, widths=()),
        "decoder": MLPGenerator((DIM,), widths=()),
        "likelihood": losses.gaussian(C),
        "latent_dim": LATENTS,
    }
    return CVAE(**settings | changes)


def beside(params, *, above, below):
    """The linear map that also sees a condition, without weight: rows above or below."""
    layer = params["Dense_0"]
    kernel = jnp.concatenate(
        [
            jnp.zeros((above, layer["kernel"].shape[1])),
            layer["kernel"],
            jnp.zeros((below, layer["kernel"].shape[1])),
        ]
    )
    return {"Dense_0": {"kernel": kernel, "bias": layer["bias"]}}


def weights_with(shift, **more):
    params = exact_weights(shift).params
    return Weights(
        params={
            "encoder": beside(params["encoder"], above=NUM_CONDITIONS, below=0),
            "decoder": beside(params["decoder"], above=0, below=NUM_CONDITIONS),
            **more,
        }
    )


def test_with_a_constant_condition_it_is_the_vae_number_for_number():
    model, vae = conditional(), build()
    of_vae = jax.jit(vae.objective)(weights=exact_weights(0.4), batch=BATCH, key=KEY)
    of_cvae = jax.jit(model.objective)(weights=weights_with(0.4), batch=CONDITIONED, key=KEY)
    np.testing.assert_allclose(of_cvae.loss, of_vae.loss, rtol=1e-5)
    np.testing.assert_allclose(of_cvae.metrics["kl"], of_vae.metrics["kl"], rtol=1e-5)
    estimate = partial(jax.jit, static_argnums=3)
    np.testing.assert_allclose(
        estimate(model.log_weights)(KEY, weights_with(0.4), CONDITIONED, 3),
        estimate(vae.log_weights)(KEY, exact_weights(0.4), BATCH, 3),
        rtol=1e-4,
    )


def prior_of_one_answer(mean, log_variance):
    kernel = jnp.zeros((NUM_CONDITIONS, 2 * LATENTS))
    bias = jnp.concatenate([jnp.full(LATENTS, mean), jnp.full(LATENTS, log_variance)])
    return {"Dense_0": {"kernel": kernel, "bias": bias}}


def test_what_is_generated_is_the_decoders_mean_at_the_prior_moved_by_the_latents():
    model = conditional(prior=MLPEncoder(2 * LATENTS, widths=()))
    weights = weights_with(0.4, prior=prior_of_one_answer(0.5, -1.0))
    latents = jax.random.normal(KEY, (len(CONDITION), LATENTS))
    decoder = exact_weights(0.4).params["decoder"]["Dense_0"]
    moved = 0.5 + np.exp(-0.5) * np.asarray(latents)
    expected = moved @ np.asarray(decoder["kernel"]) + np.asarray(decoder["bias"])
    generated = model.generate(weights, latents, CONDITION)
    np.testing.assert_allclose(generated, expected, rtol=1e-5)
    assert model.latents(KEY, 3).shape == (3, LATENTS)


def test_the_divergence_is_zero_where_prior_and_posterior_agree_and_gsnn_is_the_bound():
    answer = prior_of_one_answer(0.5, -1.0)
    encoder = {
        "Dense_0": {
            "kernel": jnp.zeros((NUM_CONDITIONS + DIM, 4)),
            "bias": answer["Dense_0"]["bias"],
        }
    }
    weights = weights_with(0.0, prior=answer)
    weights = Weights(params=weights.params | {"encoder": encoder})
    model = conditional(prior=MLPEncoder(2 * LATENTS, widths=()), alpha=0.5, num_samples=5_000)
    metrics = jax.jit(model.objective)(weights=weights, batch=CONDITIONED, key=KEY).metrics
    assert float(metrics["kl"]) == 0
    np.testing.assert_allclose(metrics["gsnn"], metrics["elbo"], rtol=0.02)
    by_weights, by_likelihoods = (
        jax.jit(estimate, static_argnums=3)(KEY, weights, CONDITIONED, 20_000)
        for estimate in (model.log_weights, model.log_likelihoods)
    )
    np.testing.assert_allclose(by_weights.mean(axis=0), by_likelihoods.mean(axis=0), rtol=0.05)
    np.testing.assert_allclose(by_weights.std(axis=0), by_likelihoods.std(axis=0), rtol=0.1)


def test_both_estimates_find_the_conditional_likelihood():
    """y = Wz + b + √c ε with z ~ N(½, e⁻¹ I): a Gaussian."""
    answer = prior_of_one_answer(0.5, -1.0)
    model = conditional(prior=MLPEncoder(2 * LATENTS, widths=()))
    weights = weights_with(0.0, prior=answer)
    covariance = np.exp(-1) * W @ W.T + C * np.eye(DIM)
    exact = stats.multivariate_normal(B + W @ np.full(LATENTS, 0.5), covariance).logpdf(X)
    for estimate in (model.log_weights, model.log_likelihoods):
        estimated = jax.jit(estimate, static_argnums=3)(KEY, weights, CONDITIONED, 40_000)
        ratio = np.exp(np.asarray(estimated, np.float64) - exact)
        error = ratio.std(axis=0) / len(ratio) ** 0.5
        assert np.all(np.abs(ratio.mean(axis=0) - 1) < 4 * error)


@pytest.mark.parametrize(
    "alpha", [0.3, *(pytest.param(end, marks=pytest.mark.slow) for end in (0.0, 1.0))]
)
def test_the_hybrid_is_the_weighted_mean(alpha):
    model = conditional(prior=MLPEncoder(2 * LATENTS, (5,)), alpha=alpha)
    state = jax.jit(lambda: model.init(KEY, CONDITIONED, optimizer=optax.sgd(0.1)))()
    outcome = jax.jit(model.objective)(weights=state.player.weights, batch=CONDITIONED, key=KEY)
    gsnn = outcome.metrics.get("gsnn", 0.0)
    expected = alpha * outcome.metrics.get("elbo", 0.0) + (1 - alpha) * gsnn
    np.testing.assert_allclose(outcome.loss, -expected, rtol=1e-6)
    assert ("gsnn" in outcome.metrics, "elbo" in outcome.metrics) == (alpha < 1, alpha > 0)


@pytest.mark.slow
def test_alone_the_gsnn_does_not_train_the_encoder():
    model = conditional(prior=MLPEncoder(2 * LATENTS, (5,)), alpha=0.0)
    state = model.init(KEY, CONDITIONED, optimizer=optax.sgd(0.1))

    def loss(params):
        return model.objective(weights=Weights(params=params), batch=CONDITIONED, key=KEY).loss

    gradient = jax.grad(loss)(state.player.weights.params)
    assert optax.tree.norm(gradient["encoder"]) == 0
    assert optax.tree.norm(gradient["prior"]) > 0


def test_it_completes_what_is_left_open_in_any_shape():
    model = CVAE(
        encoder=MLPEncoder(6, (8,)),
        decoder=MLPGenerator((4, 2, 1), (8,)),
        prior=MLPEncoder(6, (8,)),
        likelihood=losses.bernoulli(),
        latent_dim=3,
        condition="seen",
        target="open",
    )
    batch = {"seen": jnp.ones((5, 2, 2)), "open": jnp.ones((5, 4, 2, 1))}

    def made():
        weights = model.init(KEY, batch, optimizer=optax.sgd(0.1)).player.weights
        return (
            model.objective(weights=weights, batch=batch, key=KEY).loss,
            model.sample(KEY, weights, 4, batch["seen"]),
            model.predict(weights, batch["seen"]),
            model.prior_of(weights, batch["seen"]).mean,
        )

    shapes = [array.shape for array in jax.eval_shape(made)]
    assert shapes == [(), (4, 5, 4, 2, 1), (5, 4, 2, 1), (5, 3)]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"alpha is 1.5; it must be in \[0, 1\]"):
        conditional(alpha=1.5)
    with pytest.raises(ValueError, match="latent_dim is 0; it must be an integer, at least 1"):
        conditional(latent_dim=0)
    with pytest.raises(ValueError, match=r"The prior gives \(3,\) numbers"):
        conditional(prior=MLPEncoder(3)).init(KEY, CONDITIONED, optimizer=optax.sgd(0.1))
