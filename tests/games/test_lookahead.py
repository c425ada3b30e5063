"""Lookahead, once and nested."""

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
    exponential_average,
    exponential_average_memory,
    get_params,
    init,
    lookahead,
    lookahead_memory,
    rates,
    simultaneous_step,
)
from gan_jax.games.analysis import trajectory
from gan_jax.games.toy import bilinear

KEY = jax.random.key(0)
RATE = 0.1
SGD = Optimizers(generator=optax.sgd(RATE), discriminator=optax.sgd(RATE))
PLAIN = partial(simultaneous_step, game=bilinear(), optimizers=SGD)
MATRIX = np.array([[1, -RATE], [RATE, 1]])


def start():
    return init(
        generator=Weights(params=jnp.array(1.0)),
        discriminator=Weights(params=jnp.array(0.5)),
        optimizers=SGD,
    )


def path(step, state, num_steps):
    points = [np.array(get_params(state))]
    step = jax.jit(step)
    for _ in range(num_steps):
        state, _ = step(KEY, state, {})
        points.append(np.array(get_params(state)))
    return points


def test_every_interval_both_players_go_back_part_of_the_way():
    interval, rate = 3, 0.25
    points = path(lookahead(PLAIN, interval=interval, rate=rate), lookahead_memory(start()), 7)
    slow = z = np.array([1.0, 0.5])
    for t, point in enumerate(points):
        np.testing.assert_allclose(point, z, rtol=1e-5)
        z = MATRIX @ z
        if (t + 1) % interval == 0:
            slow = z = slow + rate * (z - slow)


def test_nested_lookahead_starts_the_inner_slow_players_again_where_the_outer_ones_are():
    inner, outer = 2, 3  # at the third step the outer ones go back alone
    step = lookahead(lookahead(PLAIN, interval=inner, rate=0.5), interval=outer, rate=0.25)
    points = path(step, lookahead_memory(lookahead_memory(start())), 8)
    slow = slowest = z = np.array([1.0, 0.5])
    for t, point in enumerate(points):
        np.testing.assert_allclose(point, z, rtol=1e-5)
        z = MATRIX @ z
        if (t + 1) % inner == 0:
            slow = z = slow + 0.5 * (z - slow)
        if (t + 1) % outer == 0:
            slow = slowest = z = slowest + 0.25 * (z - slowest)


def test_the_factors_of_lookahead_once_and_nested_are_those_of_their_matrices():
    """(1 - a) I + a Mᵏ every k steps; nested (1 - a) I + a ((1 - a) I + a Mᵏ)ⁿ every n k."""
    alpha, identity, power = 0.3, np.eye(2), np.linalg.matrix_power
    sgd = Optimizers(generator=optax.sgd(alpha), discriminator=optax.sgd(alpha))
    plain = partial(simultaneous_step, game=bilinear(), optimizers=sgd)
    once = lookahead(plain, interval=5, rate=0.5)
    nested = lookahead(exponential_average(once, decay=0.9), interval=20, rate=0.5)
    block = (identity + power(np.array([[1, -alpha], [alpha, 1]]), 5)) / 2
    whole = (identity + power(block, 4)) / 2
    rotation = rates.simultaneous(alpha)
    of_block = rates.lookahead(rotation, 5, 0.5)
    cases = (
        (once, lookahead_memory(start()), block, 5, 0.96564, of_block),
        (
            nested,
            lookahead_memory(exponential_average_memory(lookahead_memory(start()))),
            whole,
            20,
            0.93439,
            rates.lookahead(of_block, 4, 0.5),
        ),
    )
    for step, state, matrix, period, factor, of_rates in cases:
        moved, _, _ = trajectory(KEY, state, {}, step=step, num_steps=3 * period)
        expected = power(matrix, 3) @ np.array([1.0, 0.5])
        np.testing.assert_allclose(np.array(get_params(moved)), expected, rtol=2e-4)
        radius = np.max(np.abs(np.linalg.eigvals(matrix)))
        np.testing.assert_allclose(radius ** (1 / period), factor, atol=5e-6)
        np.testing.assert_allclose(rates.radius(of_rates), radius, rtol=1e-12)


def test_an_average_inside_goes_on_where_the_outer_lookahead_goes_back():
    averaging = exponential_average(lookahead(PLAIN, interval=2, rate=0.5), decay=0.9)
    states = []
    for step in (averaging, lookahead(averaging, interval=2, rate=0.5)):
        inside = exponential_average_memory(lookahead_memory(start()))
        state = inside if step is averaging else lookahead_memory(inside)
        for _ in range(2):
            state, _ = step(KEY, state, {})
        states.append(state)
    alone, within = states[0].memory, states[1].memory.memory
    chex.assert_trees_all_equal(within.generator, alone.generator)
    chex.assert_trees_all_equal(within.memory.generator, get_params(states[1]).generator)
    assert np.all(within.memory.generator != alone.memory.generator)


def test_with_rate_1_it_is_the_step_itself():
    state = lookahead_memory(start())
    moved, metrics = lookahead(PLAIN, interval=1, rate=1.0)(KEY, state, {})
    plain, expected = PLAIN(KEY, start(), {})
    chex.assert_trees_all_close(get_params(moved), get_params(plain), rtol=1e-6)
    chex.assert_trees_all_equal(metrics, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": 0, "rate": 0.5}, "interval is 0"),
        ({"interval": 5, "rate": 0.0}, r"rate is 0.0; it must be in \(0, 1\]"),
        ({"interval": 5, "rate": 1.5}, "rate is 1.5"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        lookahead(PLAIN, **options)
