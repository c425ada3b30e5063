"""The autoencoder: linear, it is principal component analysis."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import descent_step
from gan_jax.nets import ConvDecoder, ConvEncoder, MLPEncoder, MLPGenerator
from gan_jax.systems import Autoencoder

KEY = jax.random.key(0)
DIM, LATENTS = 5, 2


def linear(**changes):
    settings = {
        "encoder": MLPEncoder(LATENTS, widths=()),
        "decoder": MLPGenerator((DIM,), widths=()),
        "latent_dim": LATENTS,
        "field": "point",
    }
    return Autoencoder(**settings | changes)


def test_a_linear_one_finds_the_principal_subspace():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    x = rng.normal(size=(500, DIM)) * [3.0, 2.0, 0.7, 0.4, 0.2] @ basis.T + 1.0
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    batch = {"point": jnp.asarray(x, jnp.float32)}
    system = linear()
    optimizer = optax.adam(optax.cosine_decay_schedule(0.05, 1_500))
    state = system.init(KEY, batch, optimizer=optimizer)

    @jax.jit
    def run(state):
        def step(state, key):
            return descent_step(key, state, batch, objective=system.objective, optimizer=optimizer)

        return jax.lax.scan(step, state, jax.random.split(KEY, 1_500))

    state, metrics = run(state)
    np.testing.assert_allclose(metrics["loss"][-1], values[:-LATENTS].sum(), rtol=1e-3)
    kernel = np.asarray(state.player.weights.params["decoder"]["Dense_0"]["kernel"])
    spanned = np.linalg.qr(kernel.T)[0]
    leading = vectors[:, -LATENTS:]
    np.testing.assert_allclose(np.abs(np.linalg.det(spanned.T @ leading)), 1, atol=1e-3)


@pytest.mark.slow
def test_the_loss_is_the_squared_distance_of_what_it_decodes():
    system = Autoencoder(
        encoder=ConvEncoder(3, width=2), decoder=ConvDecoder((8, 8, 1), width=2), latent_dim=3
    )
    images = jax.random.uniform(KEY, (4, 8, 8, 1))
    batch = {"image": images}
    weights = system.init(KEY, batch, optimizer=optax.sgd(0.1)).player.weights
    codes = system.encode(weights, batch)
    assert codes.shape == (4, 3)
    decoded = system.decode(weights, codes)
    expected = np.mean(np.sum(np.square(images - decoded), axis=(1, 2, 3)))
    outcome = system.objective(weights=weights, batch=batch, key=KEY)
    np.testing.assert_allclose(outcome.loss, expected, rtol=1e-5)
    assert system.decode(weights, jnp.zeros((2, 5, 3))).shape == (2, 5, 8, 8, 1)


def test_bad_input_is_refused():
    batch = {"point": jnp.ones((3, DIM))}
    with pytest.raises(ValueError, match="latent_dim is 0; it must be an integer, at least 1"):
        linear(latent_dim=0)
    with pytest.raises(ValueError, match=r"The encoder gives \(2,\) numbers for each example"):
        linear(latent_dim=3).init(KEY, batch, optimizer=optax.sgd(0.1))
    system = linear()
    weights = system.init(KEY, batch, optimizer=optax.sgd(0.1)).player.weights
    with pytest.raises(ValueError, match=r"shape \(4,\), the decoder makes \(5,\): give the"):
        system.objective(weights=weights, batch={"point": jnp.ones((3, 4))}, key=KEY)
