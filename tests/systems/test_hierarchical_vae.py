"""Several stochastic layers: a chain of scalars whose marginal and posterior are known."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from gan_jax import losses
from gan_jax.games import Weights
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import HierarchicalVAE
from tests.systems.linear_gaussian import BATCH, DIM, LATENTS, C, build, exact_weights

KEY = jax.random.key(0)
A, S = (0.8, 1.5, -0.7), (0.4, 0.9, 0.3)  # h_l = A_l h_{l+1} + √S_l ε, with x for h_0
X = np.linspace(-2, 2, 5)


def dense(slope, bias_of_mean=0.0, log_variance=None):
    """Params of a linear map from one number to a mean, or to a mean and a log-variance."""
    kernel, bias = [slope], [bias_of_mean]
    if log_variance is not None:
        kernel, bias = [slope, 0.0], [bias_of_mean, log_variance]
    return {"Dense_0": {"kernel": jnp.array([kernel]), "bias": jnp.array(bias)}}


def chain(num_layers):
    """The model, its exact posterior, and log p(x): variances are composed from the top."""
    variances = [1.0]
    for a, s in zip(A[:num_layers][::-1], S[:num_layers][::-1], strict=True):
        variances.insert(0, a**2 * variances[0] + s)
    params = {}
    for layer in range(num_layers):
        slope = A[layer] * variances[layer + 1] / variances[layer]
        left = variances[layer + 1] * S[layer] / variances[layer]
        log_variance = math.log(S[layer]) if layer else None
        params[f"encoder_{layer}"] = dense(slope, log_variance=math.log(left))
        params[f"decoder_{layer}"] = dense(A[layer], log_variance=log_variance)
    model = HierarchicalVAE(
        encoders=[MLPEncoder(2, widths=())] * num_layers,
        decoders=[MLPGenerator((1 + (layer > 0),), widths=()) for layer in range(num_layers)],
        likelihood=losses.gaussian(S[0]),
        latent_dims=[1] * num_layers,
        field="point",
    )
    return model, Weights(params=params), stats.norm(0, variances[0] ** 0.5).logpdf(X)


BATCH_OF_SCALARS = {"point": jnp.asarray(X[:, None], jnp.float32)}


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_at_the_exact_posterior_every_weight_is_the_closed_form_marginal(num_layers):
    model, weights, log_p = chain(num_layers)
    log_weights = jax.jit(model.log_weights, static_argnums=3)(KEY, weights, BATCH_OF_SCALARS, 20)
    np.testing.assert_allclose(log_weights, np.broadcast_to(log_p, (20, 5)), rtol=2e-4, atol=2e-5)


@pytest.mark.slow
def test_the_bound_rises_to_the_marginal_elsewhere():
    model, weights, log_p = chain(2)
    weights.params["encoder_1"] = dense(0.0, 0.0, 0.0)  # q(h2|h1) is the prior
    log_weights = model.log_weights(KEY, weights, BATCH_OF_SCALARS, 20_000)
    bounds = [np.mean(losses.iwae(log_weights.reshape(k, -1, 5))) for k in (1, 5, 100)]
    assert all(np.diff(bounds) > 0)
    assert np.mean(log_p) - bounds[0] > 0.2
    assert abs(np.mean(log_p) - bounds[-1]) < 0.02


def test_a_top_layer_that_says_nothing_adds_nothing():
    one, weights_of_one, _ = chain(1)
    two, _, _ = chain(2)
    silent = dense(0.0, 0.0, 0.0)
    params = {**weights_of_one.params, "encoder_1": silent, "decoder_1": silent}
    found, expected = (
        jax.jit(model.log_weights, static_argnums=3)(KEY, weights, BATCH_OF_SCALARS, 9)
        for model, weights in ((two, Weights(params=params)), (one, weights_of_one))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_samples", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_one_layer_is_the_vae_number_for_number(num_samples):
    vae = build(kl="sampled", num_samples=num_samples)
    one = HierarchicalVAE(
        encoders=[MLPEncoder(2 * LATENTS, widths=())],
        decoders=[MLPGenerator((DIM,), widths=())],
        likelihood=losses.gaussian(C),
        latent_dims=[LATENTS],
        num_samples=num_samples,
        field="point",
    )
    params = exact_weights(0.4).params
    listed = Weights(params={f"{name}_0": values for name, values in params.items()})

    def numbers(model, weights):
        @jax.jit
        def of(weights):
            loss = model.objective(weights=weights, batch=BATCH, key=KEY).loss
            return loss, model.log_weights(KEY, weights, BATCH, 3)

        return of(weights)

    of_vae, of_one = numbers(vae, Weights(params=params)), numbers(one, listed)
    np.testing.assert_allclose(of_one[0], of_vae[0], rtol=1e-6)
    np.testing.assert_array_equal(of_one[1], of_vae[1])
    chex.assert_trees_all_equal(
        one.encode(listed, BATCH, key=KEY)[0], vae.encode(Weights(params=params), BATCH)
    )


def test_samples_have_the_variance_of_the_marginal():
    model, weights, _ = chain(3)
    means = np.asarray(jax.jit(model.sample, static_argnums=2)(KEY, weights, 20_000))
    variance = (A[0] * A[1] * A[2]) ** 2 + (A[0] * A[1]) ** 2 * S[2] + A[0] ** 2 * S[1]
    np.testing.assert_allclose(np.var(means), variance, rtol=0.05)


def test_what_is_generated_of_the_top_is_the_mean_of_the_chain():
    model, weights, _ = chain(3)
    top = model.latents(KEY, 5)
    np.testing.assert_allclose(model.generate(weights, top), A[0] * A[1] * A[2] * top, rtol=1e-5)


def test_layers_of_any_size_are_drawn():
    model = HierarchicalVAE(
        encoders=[MLPEncoder(10, (6,)), MLPEncoder(4, (6,))],
        decoders=[MLPGenerator((4, 4, 1), (6,)), MLPGenerator((10,), (6,))],
        likelihood=losses.bernoulli(),
        latent_dims=[5, 2],
    )
    batch = {"image": jnp.ones((3, 4, 4, 1))}

    def made():
        weights = model.init(KEY, batch, optimizer=optax.sgd(0.1)).player.weights
        return model.encode(weights, batch), model.sample(KEY, weights, 7)

    gaussians, samples = jax.eval_shape(made)
    assert [g.mean.shape for g in gaussians] == [(3, 5), (3, 2)]
    assert samples.shape == (7, 4, 4, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latent_dims": [1]}, "There are 2 encoders, 2 decoders and 1 latent_dims; give one of"),
        ({"encoders": [], "decoders": [], "latent_dims": []}, "There are 0 encoders"),
        ({"latent_dims": [1, 0]}, r"latent_dims\[1\] is 0; it must be an integer, at least 1"),
        ({"num_samples": 0}, "num_samples is 0; it must be an integer, at least 1"),
    ],
)
def test_bad_arguments_are_refused(change, words):
    fine = {
        "encoders": [MLPEncoder(2)] * 2,
        "decoders": [MLPGenerator((1,)), MLPGenerator((2,))],
        "latent_dims": [1, 1],
    }
    with pytest.raises(ValueError, match=words):
        HierarchicalVAE(likelihood=losses.gaussian(1.0), **fine | change)


def test_layers_that_do_not_fit_are_refused_at_the_start():
    model = HierarchicalVAE(
        encoders=[MLPEncoder(2), MLPEncoder(2)],
        decoders=[MLPGenerator((1,)), MLPGenerator((3,))],
        likelihood=losses.gaussian(1.0),
        latent_dims=[1, 1],
    )
    with pytest.raises(ValueError, match=r"decoder of layer 1 gives \(3,\) numbers"):
        model.init(KEY, {"image": jnp.ones((2, 1))}, optimizer=optax.sgd(0.1))
