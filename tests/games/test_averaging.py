"""Averages of both players along the run."""

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
    alternating_step,
    averaged,
    exponential_average,
    exponential_average_memory,
    init,
    simultaneous_step,
    uniform_average,
    uniform_average_memory,
)
from gan_jax.games.analysis import trajectory
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


@pytest.mark.parametrize("decay", [0.0, 0.7, 0.999])
def test_the_average_warms_up_by_polynomial_decay_and_is_then_exponential(decay):
    state = exponential_average_memory(start())
    step = jax.jit(exponential_average(PLAIN, decay=decay), donate_argnums=1)
    plain, plain_step, visited = start(), jax.jit(PLAIN), []
    for _ in range(40):
        state, _ = step(KEY, state, {})
        plain, _ = plain_step(KEY, plain, {})
        visited.append(np.asarray(plain.generator.weights.params, np.float64))
    times = np.arange(1, len(visited) + 1)
    until = min(len(visited), round(9 / (1 - decay) - 8))  # from here on d alone
    weights = np.prod(times[:, None] + np.arange(8), axis=1).astype(float)
    weights = weights[:until] / weights[:until].sum()
    expected = weights @ visited[:until]
    for at in visited[until:]:
        expected = decay * expected + (1 - decay) * at
    np.testing.assert_allclose(averaged(state).generator.params, expected, rtol=1e-5)
    assert float(averaged(state).generator.state["kept"]) == 7.0
    chex.assert_trees_all_close(state.generator, plain.generator, rtol=1e-6)
    chex.assert_trees_all_close(state.discriminator, plain.discriminator, rtol=1e-6)


def test_a_short_run_is_drawn_from_what_it_has_come_to():
    """Σ s w_s = 0.9 t + 0.1; with the decay of .999 alone the start would be 90 % of it."""

    def rising(key, state, batch):
        return jax.tree.map(lambda x: x + 1, state), {}

    step = exponential_average(rising, decay=0.999)
    end, _, _ = trajectory(KEY, exponential_average_memory(start()), {}, step=step, num_steps=100)
    gone = averaged(end).generator.params - start().generator.weights.params
    np.testing.assert_allclose(gone, 0.9 * 100 + 0.1, rtol=1e-5)


def test_the_uniform_average_is_the_mean_of_both_players_after_each_step():
    state = uniform_average_memory(start())
    step = jax.jit(uniform_average(PLAIN))
    visited = []
    for _ in range(5):
        state, _ = step(KEY, state, {})
        visited.append((state.generator.weights.params, state.discriminator.weights.params))
    at = averaged(state)
    means = np.mean(visited, axis=0)
    np.testing.assert_allclose(at.generator.params, means[0], rtol=1e-6)
    np.testing.assert_allclose(at.discriminator.params, means[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("step", "converges"), [(alternating_step, True), (simultaneous_step, False)]
)
def test_the_mean_of_alternating_play_converges_like_one_over_t(step, converges):
    """The ergodic mean of a closed ellipse goes to its centre; that of a spiral out does not."""
    step = uniform_average(partial(step, game=bilinear(), optimizers=SGD))
    scaled = []
    for num_steps in (500, 1_000, 2_000):
        end, _, _ = trajectory(
            KEY, uniform_average_memory(start()), {}, step=step, num_steps=num_steps
        )
        mean = averaged(end)
        params = mean.generator.params, mean.discriminator.params
        scaled.append(num_steps * np.linalg.norm(params))
    assert (max(scaled) < 60) == converges  # the sum of a rotation's points is bounded


def test_state_is_copied_from_the_generator_as_it_is_now():
    def moving(key, state, batch):
        state, metrics = PLAIN(key, state, batch)
        weights = state.generator.weights
        weights = weights.replace(state={"kept": weights.state["kept"] + 1})
        return state.replace(generator=state.generator.replace(weights=weights)), metrics

    step = exponential_average(moving, decay=0.9)
    state, _ = step(KEY, exponential_average_memory(start()), {})
    assert float(averaged(state).generator.state["kept"]) == 8.0


def test_averages_nest():
    step = exponential_average(exponential_average(PLAIN, decay=0.05), decay=0.9)
    state, visited = exponential_average_memory(exponential_average_memory(start())), []
    for _ in range(2):
        state, _ = step(KEY, state, {})
        visited.append(state.generator.weights.params)
    outer, inner = state.memory.generator.params, state.memory.memory.generator.params
    np.testing.assert_allclose(outer, 0.1 * visited[0] + 0.9 * visited[1], rtol=1e-6)
    np.testing.assert_allclose(inner, 0.05 * visited[0] + 0.95 * visited[1], rtol=1e-6)


@pytest.mark.parametrize("wrap", [partial(exponential_average, decay=0.999), uniform_average])
def test_averages_of_coarse_params_move_and_can_be_scanned(wrap):
    coarse = jax.tree.map(lambda x: x.astype(jnp.bfloat16), start().generator.weights.params)
    state = init(
        generator=Weights(params=coarse), discriminator=Weights(params=coarse), optimizers=SGD
    )
    state = uniform_average_memory(state)
    end, _, _ = trajectory(KEY, state, {}, step=wrap(PLAIN), num_steps=3)
    assert end.memory.generator.params.dtype == jnp.float32
    assert (end.memory.generator.params != coarse).all()


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"in \[0, 1\)"):
        exponential_average(PLAIN, decay=decay)
