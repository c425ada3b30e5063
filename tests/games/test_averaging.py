"""The generator's exponential average."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import (
    Optimizers,
    Weights,
    averaged,
    exponential_average,
    exponential_average_memory,
    init,
    simultaneous_step,
)
from gan_jax.games.toy import bilinear

KEY = jax.random.key(0)
SGD = Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
PLAIN = partial(simultaneous_step, game=bilinear(), optimizers=SGD)


def start():
    return init(
        generator=Weights(params=jnp.array([1.0, 2.0]), state={"kept": jnp.array(7.0)}),
        discriminator=Weights(params=jnp.array([0.5, -1.0])),
        optimizers=SGD,
    )


def test_the_average_is_the_weighted_sum_of_the_path():
    decay, state = 0.7, exponential_average_memory(start())
    step = jax.jit(exponential_average(PLAIN, decay=decay), donate_argnums=1)
    expected, plain = np.array([1.0, 2.0]), start()
    for _ in range(5):
        state, _ = step(KEY, state, {})
        plain, _ = PLAIN(KEY, plain, {})
        expected = decay * expected + (1 - decay) * plain.generator.weights.params
    np.testing.assert_allclose(averaged(state).generator.weights.params, expected, rtol=1e-6)
    assert float(averaged(state).generator.weights.state["kept"]) == 7.0
    chex.assert_trees_all_close(state.generator, plain.generator, rtol=1e-6)
    chex.assert_trees_all_close(averaged(state).discriminator, plain.discriminator, rtol=1e-6)


def test_state_is_copied_from_the_generator_as_it_is_now():
    def moving(key, state, batch):
        state, metrics = PLAIN(key, state, batch)
        weights = state.generator.weights
        weights = weights.replace(state={"kept": weights.state["kept"] + 1})
        return state.replace(generator=state.generator.replace(weights=weights)), metrics

    step = exponential_average(moving, decay=0.9)
    state, _ = step(KEY, exponential_average_memory(start()), {})
    assert float(averaged(state).generator.weights.state["kept"]) == 8.0


def test_averages_nest():
    fast, slow = 0.1, 0.9
    step = exponential_average(exponential_average(PLAIN, decay=fast), decay=slow)
    state, _ = step(KEY, exponential_average_memory(exponential_average_memory(start())), {})
    first, moved = np.array([1.0, 2.0]), state.generator.weights.params
    outer, inner = state.memory.generator.params, state.memory.memory.generator.params
    np.testing.assert_allclose(outer, slow * first + (1 - slow) * moved, rtol=1e-6)
    np.testing.assert_allclose(inner, fast * first + (1 - fast) * moved, rtol=1e-6)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        exponential_average(PLAIN, decay=decay)
