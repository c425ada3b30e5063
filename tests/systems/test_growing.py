"""Growing: what both players and the real examples are told of the level."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax import games
from gan_jax.games import Optimizers, Weights
from gan_jax.signals import mean_down, nearest_up
from gan_jax.systems import growing
from gan_jax.systems.growing import coarsened

X = jax.random.normal(jax.random.key(0), (2, 8, 4, 1))


def test_real_examples_are_coarsened_to_the_level():
    small = mean_down(X)
    expected = {
        0: nearest_up(nearest_up(mean_down(small))),
        1: nearest_up(small),
        1.25: 0.75 * nearest_up(small) + 0.25 * X,
        2: X,
    }
    for level, value in expected.items():
        found = coarsened(X, jnp.float32(level), 3)
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)


def test_a_step_tells_both_players_the_level_of_the_states_step():
    sgd = optax.sgd(0.1)
    weights = Weights(
        params=jnp.ones(2), state={"fade": {"level": jnp.float32(2)}, "other": jnp.ones(3)}
    )
    state = games.init(
        generator=weights, discriminator=weights, optimizers=Optimizers(sgd, sgd)
    ).replace(step=jnp.array(3))

    def step(key, state, batch):
        return state, {"seen": batch["x"], "pitch": batch["pitch"]}

    grown = growing(step, lambda step: step / 2, num_levels=3, field="x")
    after, metrics = jax.jit(grown)(jax.random.key(0), state, {"x": X, "pitch": jnp.ones(2)})
    for player in (after.generator, after.discriminator):
        assert float(player.weights.state["fade"]["level"]) == 1.5
        assert player.weights.state["other"].shape == (3,)
    np.testing.assert_allclose(metrics["seen"], coarsened(X, jnp.float32(1.5), 3), rtol=1e-6)
    assert metrics["pitch"].shape == (2,)
