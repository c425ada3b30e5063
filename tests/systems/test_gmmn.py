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
from gan_jax.nets import MLPGenerator
from gan_jax.systems import GMMN, networks

KEY = jax.random.key(0)
KERNEL = losses.gaussian_kernel([0.5, 1.0])


class Shifted(nn.Module):
    """The latents plus a parameter."""

    @nn.compact
    def __call__(self, z, *, train=False):
        return z + self.param("shift", nn.initializers.zeros, (1, 2))


def test_the_loss_is_the_discrepancy_of_flattened_examples():
    system = GMMN(
        generator=MLPGenerator((3, 4, 1), (8,)), kernel=KERNEL, latents=networks.uniform(2)
    )
    images = jax.random.normal(KEY, (6, 3, 4, 1))
    batch = {"image": images}

    @jax.jit
    def played():
        weights = system.init(KEY, batch, optimizer=optax.sgd(0.1)).player.weights
        outcome = system.objective(weights=weights, batch=batch, key=KEY)
        return outcome.loss, system.sample(KEY, weights, 6)

    loss, generated = played()
    expected = losses.gmmn(generated.reshape(6, -1), images.reshape(6, -1), KERNEL)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [None, 16])
def test_it_finds_the_place_of_the_data(chunk_size):
    """Latents are uniform on the square; so are the data, moved by (0.7, -0.3)."""
    system = GMMN(
        generator=Shifted(),
        kernel=KERNEL,
        latents=networks.uniform(2),
        field="point",
        chunk_size=chunk_size,
    )
    optimizer = optax.adam(0.05)
    state = system.init(KEY, {"point": jnp.zeros((1, 2))}, optimizer=optimizer)

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
