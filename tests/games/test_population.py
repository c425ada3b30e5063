"""A population plays as its members would alone."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.games import population

KEY = jax.random.key(0)
STATES = jnp.array([1.0, 5.0, 7.0])
POINTS = jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def step(key, state, batch):
    moved = state + jnp.sum(batch["point"]) + jax.random.normal(key)
    return moved, {"loss": state**2}


@pytest.mark.parametrize("batch_axis", [0, None])
def test_every_member_plays_by_a_key_of_its_own_and_metrics_are_means(batch_axis):
    own = batch_axis == 0
    batch = {"point": POINTS if own else POINTS[0]}
    moved, metrics = population(step, batch_axis=batch_axis)(KEY, STATES, batch)
    alone = [
        step(key, state, {"point": points if own else POINTS[0]})[0]
        for key, state, points in zip(jax.random.split(KEY, 3), STATES, POINTS, strict=True)
    ]
    np.testing.assert_allclose(moved, alone, rtol=1e-6)
    assert len(np.unique(moved - STATES)) == 3
    chex.assert_trees_all_close(metrics, {"loss": jnp.float32(75 / 3)})
