"""Ways of playing: which player moves at which rate."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.harness.methods import choose
from gan_jax.games import toy

TOLD = {"rule": "adam", "weight": 1.0, "num_unrolled_steps": 1}


@pytest.mark.parametrize(("own", "expected"), [(None, 0.5), (0.125, 0.125)])
def test_a_discriminator_moves_at_a_rate_of_its_own(own, expected):
    told = {"learning_rate": 0.5, "discriminator_learning_rate": own, **TOLD}
    for player, rate in zip(
        choose("alternating", toy.bilinear, **told).optimizers, (0.5, expected), strict=True
    ):
        moved, _ = player.update(jnp.ones(()), player.init(jnp.zeros(())))
        np.testing.assert_allclose(moved, -rate, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "told", "expected"),
    [
        ("alternating", {}, 0.5),
        ("alternating", {"beta1": 0.8}, 0.8),
        ("optimistic", {"beta1": 0.8}, 0.8),
        ("negative_momentum", {"beta1": 0.8}, -0.5),
    ],
)
def test_adam_has_the_beta1_that_it_is_given(name, told, expected):
    """After one gradient g the mean of gradients is (1 - beta1) g."""
    optimizers = choose(name, toy.bilinear, learning_rate=0.5, **told, **TOLD).optimizers
    for player in optimizers:
        _, state = player.update(jnp.ones(()), player.init(jnp.zeros(())))
        np.testing.assert_allclose(optax.tree.get(state, "mu"), 1 - expected, rtol=1e-5)


def test_competitive_descent_has_one_rate():
    told = {"learning_rate": 0.5, "discriminator_learning_rate": 0.125, **TOLD}
    with pytest.raises(ValueError, match=r"--discriminator-learning-rate is 0\.125, but compet"):
        choose("competitive", toy.bilinear, **told)
