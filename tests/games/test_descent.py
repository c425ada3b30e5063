"""One player alone."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import PlayerOutcome, Weights, descent_step, init_descent
from gan_jax.games.core import init_player

KEY = jax.random.key(0)


def objective(*, weights, batch, key):
    error = weights.params - jnp.mean(batch["point"])
    return PlayerOutcome(error**2 / 2, {"seen": weights.state["seen"] + 1}, {"error": error})


def test_descent_follows_the_closed_form():
    optimizer, rate = optax.sgd(0.1), 0.1
    weights = Weights(params=jnp.array(5.0), state={"seen": jnp.array(0)})
    state = init_descent(weights=weights, optimizer=optimizer)
    batch = {"point": jnp.array([1.0, 3.0])}
    step = jax.jit(partial(descent_step, objective=objective, optimizer=optimizer))
    for t in range(10):
        state, metrics = step(KEY, state, batch)
        distance = 3 * (1 - rate) ** t
        np.testing.assert_allclose(metrics["error"], distance, rtol=1e-5)
        np.testing.assert_allclose(metrics["loss"], distance**2 / 2, rtol=1e-5)
        np.testing.assert_allclose(metrics["update_norm"], rate * distance, rtol=1e-5)
    np.testing.assert_allclose(state.player.weights.params, 2 + 3 * 0.9**10, rtol=1e-6)
    assert (int(state.step), int(state.player.weights.state["seen"])) == (10, 10)


def test_over_several_devices_metrics_may_be_numbers_of_python_and_each_has_its_key():
    def reporting(*, key, **arguments):
        metrics = {"rate": 0.1, "num": 3, "draw": jax.random.normal(key)}
        return objective(key=key, **arguments)._replace(metrics=metrics)

    weights = Weights(params=jnp.array(5.0), state={"seen": jnp.array(0)})
    state = init_descent(weights=weights, optimizer=optax.sgd(0.1))
    step = partial(descent_step, objective=reporting, optimizer=optax.sgd(0.1), axis_name="device")
    mapped = jax.vmap(step, in_axes=(None, None, 0), out_axes=None, axis_name="device")
    _, metrics = mapped(KEY, state, {"point": jnp.array([[1.0], [3.0]])})
    np.testing.assert_allclose(metrics["rate"], 0.1, rtol=1e-6)
    assert metrics["num"] == 3
    draws = [jax.random.normal(jax.random.fold_in(KEY, device)) for device in range(2)]
    np.testing.assert_allclose(metrics["draw"], np.mean(draws), rtol=1e-6)


def test_a_loss_that_is_no_scalar_is_refused():
    def each(*, weights, batch, key):
        return PlayerOutcome(weights.params - batch["point"])

    state = init_descent(weights=Weights(params=jnp.array(5.0)), optimizer=optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"The player's loss has shape \(2,\); a loss is a scalar"):
        descent_step(KEY, state, {"point": jnp.ones(2)}, objective=each, optimizer=optax.sgd(0.1))


def test_params_that_cannot_be_trained_are_refused():
    with pytest.raises(TypeError, match=r"player's params are int(32|64)"):
        init_descent(weights=Weights(params=jnp.arange(3)), optimizer=optax.sgd(0.1))
    unchecked = inspect.unwrap(init_player)
    with pytest.raises(TypeError, match="give its parameters as Weights"):
        unchecked(jnp.ones(3), optax.sgd(0.1))
