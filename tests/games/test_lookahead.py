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
    get_params,
    init,
    lookahead,
    lookahead_memory,
    simultaneous_step,
)
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


def test_nested_lookahead_is_lookahead_of_lookahead():
    inner, outer = 2, 4
    step = lookahead(lookahead(PLAIN, interval=inner, rate=0.5), interval=outer, rate=0.25)
    points = path(step, lookahead_memory(lookahead_memory(start())), 8)
    slow = slowest = z = np.array([1.0, 0.5])
    for t, point in enumerate(points):
        np.testing.assert_allclose(point, z, rtol=1e-5)
        z = MATRIX @ z
        if (t + 1) % inner == 0:
            slow = z = slow + 0.5 * (z - slow)
        if (t + 1) % outer == 0:
            slowest = z = slowest + 0.25 * (z - slowest)


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
        ({"interval": 5, "rate": 0.0}, "rate is 0.0"),
        ({"interval": 5, "rate": 1.5}, "rate is 1.5"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        lookahead(PLAIN, **options)
