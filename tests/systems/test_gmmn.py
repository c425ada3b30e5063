"""The moment matching network against its equation, and on data that it can match."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.games import descent_step
from gan_jax.nets import DCGANGenerator, MLPGenerator
from gan_jax.systems import gmmn

KEY = jax.random.key(0)
KERNEL = losses.gaussian_kernel([0.5, 1.0])


class Shifted(nn.Module):
    """The latents plus a parameter."""

    @nn.compact
    def __call__(self, z, *, train=False):
        return z + self.param("shift", nn.initializers.zeros, (1, 2))


def test_the_loss_is_the_discrepancy_of_flattened_examples():
    system = gmmn(generator=MLPGenerator((3, 4, 1), (8,)), kernel=KERNEL, latent_dim=2)
    state = system.init(KEY, optimizer=optax.sgd(0.1))
    images = jax.random.normal(KEY, (6, 3, 4, 1))
    outcome = system.objective(weights=state.player.weights, batch={"image": images}, key=KEY)
    generated = system.sample(KEY, state, 6)
    assert generated.shape == images.shape
    expected = losses.gmmn(generated.reshape(6, -1), images.reshape(6, -1), KERNEL)
    np.testing.assert_allclose(outcome.loss, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [None, 16])
def test_it_finds_the_place_of_the_data(chunk_size):
    """Latents are uniform on the square; so are the data, moved by (0.7, -0.3)."""
    system = gmmn(
        generator=Shifted(), kernel=KERNEL, latent_dim=2, field="point", chunk_size=chunk_size
    )
    optimizer = optax.adam(0.05)
    state = system.init(KEY, optimizer=optimizer)

    @jax.jit
    def step(key, state):
        points = jax.random.uniform(key, (64, 2), minval=-1.0) + jnp.array([[0.7, -0.3]])
        play = partial(descent_step, objective=system.objective, optimizer=optimizer)
        return play(jax.random.fold_in(key, 0), state, {"point": points})

    for key in jax.random.split(KEY, 100):
        state, metrics = step(key, state)
    assert np.isfinite(metrics["loss"])
    shift = state.player.weights.params["shift"]
    np.testing.assert_allclose(shift, [[0.7, -0.3]], atol=0.15)


def test_latents_are_needed():
    with pytest.raises(ValueError, match="latent_dim is 0; a generator needs at least 1 latent"):
        gmmn(generator=Shifted(), kernel=KERNEL, latent_dim=0)


def test_what_moment_matching_cannot_train_is_refused():
    keeps = gmmn(generator=DCGANGenerator(8, 1, 4), kernel=KERNEL, latent_dim=2)
    with pytest.raises(ValueError, match="The generator keeps batch_stats"):
        keeps.init(KEY, optimizer=optax.sgd(0.1))
    system = gmmn(generator=Shifted(), kernel=KERNEL, latent_dim=2)
    weights = system.init(KEY, optimizer=optax.sgd(0.1)).player.weights
    for image, words in [
        (jnp.ones((3, 2), jnp.uint8), "is uint8; scale it"),
        (jnp.ones((3, 4)), "examples of shape"),
    ]:
        with pytest.raises(ValueError, match=words):
            system.objective(weights=weights, batch={"image": image}, key=KEY)
