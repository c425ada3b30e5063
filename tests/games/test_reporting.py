import jax
import jax.numpy as jnp
import pytest

from gan_jax.games import reporting


def test_a_step_reports_more_of_the_state_that_it_ends_in():
    def step(key, state, batch):
        return state + batch["x"], {"loss": state}

    more = reporting(step, double=lambda state: 2 * state, half=lambda state: state / 2)
    state, metrics = more(jax.random.key(0), jnp.float32(1.0), {"x": 3.0})
    assert state == 4
    assert metrics == {"loss": 1, "double": 8, "half": 2}
    with pytest.raises(ValueError, match=r"metric both has shape \(2,\)"):
        reporting(step, both=lambda state: jnp.stack([state, state]))(
            jax.random.key(0), jnp.float32(1.0), {"x": 3.0}
        )
