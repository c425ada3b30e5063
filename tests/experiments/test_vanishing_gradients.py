"""A generator's gradients, where they are known."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import vanishing_gradients
from experiments.vanishing_gradients import LOSSES, NUM_BATCHES, gradients
from gan_jax import games, plots
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


SYSTEM = GAN(
    generator=Shift(),
    discriminator=Plane(),
    loss=LOSSES["minimax"],
    latents=lambda key, num: jnp.zeros((num, 2)),
    field="point",
)
BATCH = {"point": np.zeros((4, 2), np.float32)}
W, B = np.float32([[3, 4], [0, 2], [1, 0]]), np.float32([0, -2, -9])
SEVERAL = games.Weights(params={"Dense_0": {"kernel": W[:, :, None], "bias": B[:, None]}})
TOWARDS_0 = 1 / (1 + np.exp(-B))
NORMS = {
    "minimax": TOWARDS_0 * np.array([5.0, 2.0, 1.0]),
    "non_saturating": (1 - TOWARDS_0) * np.array([5.0, 2.0, 1.0]),
}
COSINES = [0.6, 0.0, 1.0]


def test_they_are_the_slopes_of_the_loss_at_the_discriminators_logits():
    """Of G = θ and D = w·x + b every gradient is the curve's slope at b, times w."""
    for name, loss in LOSSES.items():
        played = dataclasses.replace(SYSTEM, loss=loss)
        norms, spreads, cosines = gradients(jax.random.key(1), AT_0, SEVERAL, BATCH, played)
        np.testing.assert_allclose(norms, NORMS[name], rtol=1e-5)
        np.testing.assert_allclose(spreads, 0, atol=1e-6)
        np.testing.assert_allclose(cosines, COSINES, atol=1e-6)


def test_they_are_drawn_by_the_moves_of_the_discriminator_under_their_names(monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "curves", lambda **told: drawn.append(told))
    monkeypatch.setattr(plots, "image_grid", lambda images: None)
    so_far = [1, 10, 100], SEVERAL
    monkeypatch.setattr(vanishing_gradients.moments, "so_far", lambda state, shown: so_far)
    config = vanishing_gradients.Config()
    evaluate = vanishing_gradients.evaluator(config, SYSTEM, BATCH)
    metrics = evaluate(jax.random.key(0), AT_0.replace(memory=0)).metrics
    sizes, cosines = drawn
    assert sizes["x"].tolist() == cosines["x"].tolist() == [1, 10, 100]
    for name, norms in NORMS.items():
        np.testing.assert_allclose(sizes["curves"][f"{name}, norm"], norms, rtol=1e-5)
        spread = sizes["curves"][f"{name}, spread over batches"]
        np.testing.assert_allclose(spread, 0, atol=1e-6)
        np.testing.assert_allclose(cosines["curves"][name], COSINES, atol=1e-6)
        np.testing.assert_allclose(metrics[f"{name}/1/norm"], norms[0], rtol=1e-5)
        np.testing.assert_allclose(metrics[f"{name}/norm"], norms[2], rtol=1e-5)
        np.testing.assert_allclose(metrics[f"{name}/10/cosine"], 0, atol=1e-6)


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
