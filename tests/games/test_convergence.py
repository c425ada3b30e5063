"""The factor per step near an equilibrium, of methods that do something every few steps."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
import pytest

from gan_jax import games
from gan_jax.games import playgrounds, rates

SGD = games.Optimizers(generator=optax.sgd(0.3), discriminator=optax.sgd(0.3))
KEY = jax.random.key(0)
GAME, _, EQUILIBRIUM = playgrounds.bilinear()


def start():
    x, y = (games.Weights(params=params) for params in EQUILIBRIUM)
    return games.init(generator=x, discriminator=y, optimizers=SGD)


def test_the_factor_is_that_of_a_step_of_the_period():
    play = partial(games.simultaneous_step, game=GAME, optimizers=SGD)
    step = jax.jit(games.lookahead(play, interval=2, rate=0.5))
    state = games.lookahead_memory(start())
    exact = rates.radius(rates.lookahead(rates.simultaneous(0.3), 2, 0.5)) ** (1 / 2)
    found = games.convergence_factor(KEY, state, {}, step=step, period=2)
    assert found == pytest.approx(exact, rel=1e-5)
    assert exact < rates.radius(rates.simultaneous(0.3)) - 0.01


def test_a_method_that_starts_specially_has_started():
    def step(key, state, batch):
        factor = jnp.where(state.step > 0, 0.5, 3.0)
        moved = jax.tree.map(lambda z: factor * z, games.get_params(state))
        return games.set_params(state, moved).replace(step=state.step + 1), {}

    assert games.convergence_factor(KEY, start(), {}, step=step) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="period is 0"):
        games.convergence_factor(KEY, start(), {}, step=step, period=0)
