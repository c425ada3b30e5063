"""What options of all runs come to."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import density_ratio, vae
from gan_jax.games import PlayerOutcome, Weights, init_descent
from gan_jax.training.compile import AXIS


@pytest.mark.parametrize("moves", [1, 3])
def test_a_rate_falls_along_half_a_cosine_of_as_many_moves(moves):
    rate = density_ratio.Config(learning_rate=0.5, decay_steps=6, steps=6).cosine(moves)
    np.testing.assert_allclose(
        [rate(moves * step) for step in (0, 2, 3, 6)], [0.5, 0.375, 0.25, 0], atol=1e-7
    )


def test_steps_at_a_rate_of_0_are_refused():
    with pytest.raises(ValueError, match="--steps is 7, but after 6 the learning rate is 0"):
        density_ratio.Config(decay_steps=6, steps=7)


@pytest.mark.parametrize(("parallel", "moved"), [("pmap", [-1.5, -1.5]), ("none", [-1.0, -2.0])])
def test_a_step_down_an_objective_is_averaged_over_devices_where_it_must_be(parallel, moved):
    def objective(*, weights, batch, key):
        return PlayerOutcome(weights.params * batch["slope"])

    sgd = optax.sgd(0.5)
    step = vae.Config(parallel=parallel).descent(objective, sgd)
    state = init_descent(weights=Weights(params=jnp.float32(0)), optimizer=sgd)
    mapped = jax.vmap(step, in_axes=(None, None, 0), axis_name=AXIS)
    after, _ = mapped(jax.random.key(0), state, {"slope": jnp.array([2.0, 4.0])})
    np.testing.assert_allclose(after.player.weights.params, moved)
