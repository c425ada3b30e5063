"""What is kept of a run's moments."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.harness import moments
from gan_jax import games

STEPS = (0, 20, 100)


@pytest.mark.parametrize(("num", "been"), [(15, [0, 15]), (20, [0, 20]), (120, [0, 20, 100, 120])])
def test_the_weights_are_kept_at_these_steps_and_at_the_newest(num, been):
    """Of a player that is where the step says."""

    def step(key, state, batch):
        player = state.generator.replace(weights=games.Weights(params=state.step + jnp.ones(2)))
        return state.replace(step=state.step + 1, generator=player), {}

    def kept(state):
        return state.generator.weights

    still = optax.identity()
    weights = games.Weights(params=jnp.zeros(2))
    state = games.init(
        generator=weights,
        discriminator=weights,
        optimizers=games.Optimizers(generator=still, discriminator=still),
    )
    play = moments.remembering(step, STEPS, kept)
    state = moments.start(state, STEPS, kept)
    state = jax.lax.fori_loop(0, num, lambda _, state: play(None, state, None)[0], state)
    steps, past = moments.so_far(state, STEPS)
    assert steps == been
    np.testing.assert_array_equal(past.params, np.stack([been, been], axis=1))
