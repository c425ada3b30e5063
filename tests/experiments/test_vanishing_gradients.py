"""A generator's gradients, where they are known."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.vanishing_gradients import LOSSES, NUM_BATCHES, gradients
from gan_jax import games
from gan_jax.systems import GAN, networks


class Shift(nn.Module):
    """z + θ, where θ = 0."""

    @nn.compact
    def __call__(self, z, *, train=False):
        return z + self.param("theta", nn.initializers.zeros, (1, 2))


class Plane(nn.Module):
    """The logit w·x + b."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(1)(x)[:, 0]


AT_0 = games.init(
    generator=games.Weights(params={"theta": np.zeros((1, 2), np.float32)}),
    discriminator=games.Weights(params={"Dense_0": np.zeros(1, np.float32)}),
    optimizers=games.Optimizers(generator=optax.identity(), discriminator=optax.identity()),
)


def test_they_are_the_slopes_of_the_loss_at_the_discriminators_logits():
    """Of G = θ and D = w·x + b every gradient is the curve's slope at b, times w."""
    system = GAN(
        generator=Shift(),
        discriminator=Plane(),
        loss=LOSSES["minimax"],
        latents=lambda key, num: jnp.zeros((num, 2)),
        field="point",
    )
    batch = {"point": jnp.zeros((4, 2))}
    w, b = jnp.array([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]), jnp.array([0.0, -2.0, -9.0])
    several = games.Weights(params={"Dense_0": {"kernel": w[:, :, None], "bias": b[:, None]}})
    slopes = {"minimax": nn.sigmoid(b), "non_saturating": 1 - nn.sigmoid(b)}
    for name, loss in LOSSES.items():
        played = dataclasses.replace(system, loss=loss)
        norms, spreads, cosines = gradients(jax.random.key(1), AT_0, several, batch, played)
        np.testing.assert_allclose(norms, slopes[name] * np.array([5.0, 2.0, 1.0]), rtol=1e-5)
        np.testing.assert_allclose(spreads, 0, atol=1e-6)
        np.testing.assert_allclose(cosines, [0.6, 0.0, 1.0], atol=1e-6)


def test_their_spread_is_that_of_the_latents():
    """Where the curve is a²/2 and D = x_1, a batch of one z has the gradient (z_1, 0)."""
    system = GAN(
        generator=Shift(),
        discriminator=Plane(),
        loss=LOSSES["minimax"]._replace(generator=lambda a: a**2 / 2),
        latents=networks.normal(2),
        field="point",
    )
    batch = {"point": jnp.zeros((1, 2))}
    params = {"Dense_0": {"kernel": jnp.array([[[2.0], [0.0]]]), "bias": jnp.zeros((1, 1))}}
    (norm,), (spread,), _ = gradients(
        jax.random.key(1), AT_0, games.Weights(params=params), batch, system
    )
    # of 4 z_1 over 32 batches; E |z_1| = √(2/π)
    assert abs(spread / 4 - 1) < 3 / np.sqrt(2 * NUM_BATCHES)
    assert abs(norm / 4 - np.sqrt(2 / np.pi)) < 3 * 0.6 / np.sqrt(NUM_BATCHES)
