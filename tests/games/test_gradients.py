"""The spread of a gradient, where its draws are known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import Optimizers, Outcome, PlayerOutcome, Weights, gradient_statistics, init

KEY = jax.random.key(0)
STILL = Optimizers(generator=optax.identity(), discriminator=optax.identity())
STATE = init(
    generator=Weights(params={"b": jnp.ones(2), "a": jnp.ones(1)}),
    discriminator=Weights(params=jnp.ones(2)),
    optimizers=STILL,
)


def drawn(key):
    return jax.random.normal(key, (3,)) + jnp.array([10.0, 0.0, 0.0])


def game(*, generator, discriminator, batch, key):
    """Losses ξ·θ and 2 ξ_1 ψ_1: gradients are ξ and 2 (ξ_1, 0)."""
    theta = jnp.concatenate([generator.params["a"], generator.params["b"]])
    xi = batch["scale"] * drawn(key)
    of_discriminator = 2 * xi[0] * discriminator.params[0]
    return Outcome(PlayerOutcome(xi @ theta), PlayerOutcome(of_discriminator))


def test_each_player_has_its_own_and_a_draw_has_a_key_of_its_own():
    xi = 3 * np.stack([drawn(key) for key in jax.random.split(KEY, 8)])
    both = xi, np.stack([2 * xi[:, 0], 0 * xi[:, 0]], axis=1)
    for player, gradients in zip(("generator", "discriminator"), both, strict=True):
        found = gradient_statistics(
            player, KEY, STATE, {"scale": jnp.float32(3)}, game=game, num_draws=8
        )
        np.testing.assert_allclose(found.norm, np.mean(np.linalg.norm(gradients, axis=1)), 1e-5)
        np.testing.assert_allclose(found.mean, gradients.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(found.spread**2, np.trace(np.cov(gradients.T, ddof=0)), 1e-5)


def test_one_draw_has_no_spread():
    with pytest.raises(ValueError, match="num_draws"):
        gradient_statistics("generator", KEY, STATE, {"scale": 1.0}, game=game, num_draws=1)
