"""Playgrounds: nobody moves at the equilibrium, and play starts elsewhere."""

import jax
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.games import Weights, playgrounds, toy

ALL = {
    "bilinear": playgrounds.bilinear(),
    "dirac_gan": playgrounds.dirac_gan(losses.minimax()),
    "mixed": playgrounds.mixed(),
    "stochastic": playgrounds.stochastic(0),
}


def slopes(game, point):
    """Each player's gradient of its own loss."""

    def loss(x, y, player):
        generator, discriminator = Weights(params=x), Weights(params=y)
        outcome = game(
            generator=generator, discriminator=discriminator, batch={}, key=jax.random.key(0)
        )
        return outcome[player].loss

    return jax.jit(lambda x, y: [jax.grad(loss, argnums=p)(x, y, p) for p in (0, 1)])(*point)


@pytest.mark.parametrize("name", ALL)
def test_nobody_moves_at_the_equilibrium(name):
    game, start, equilibrium = ALL[name]
    if name == "stochastic":  # in the mean
        game = toy.stochastic_bilinear(*toy.random_terms(0))
    for slope in slopes(game, equilibrium):
        np.testing.assert_allclose(slope, 0, atol=1e-6)
    assert any(np.abs(slope).max() > 1e-3 for slope in slopes(game, start))


def test_noise_starts_at_distance_1():
    _, start, equilibrium = ALL["stochastic"]
    squares = [np.sum((a - b) ** 2) for a, b in zip(start, equilibrium, strict=True)]
    assert sum(squares) == pytest.approx(1, rel=1e-5)


def test_the_mixed_game_has_the_losses_that_its_docstring_says():
    game, start, _ = ALL["mixed"]
    (x,), (y,) = start
    found = slopes(game, start)
    np.testing.assert_allclose(np.ravel(found), [2 * x / 5 + y, y / 5 - x], rtol=1e-6)
