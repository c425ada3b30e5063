"""Several models side by side: the same examples, and keys of their own."""

import jax
import jax.numpy as jnp

from gan_jax.games import together

KEY = jax.random.key(0)


def test_one_step_moves_several_models_on_the_same_examples_by_keys_of_their_own():
    keys = []

    def step_by(size):
        def step(key, state, batch):
            keys.append(key)
            return state + size * batch["image"], {"loss": jnp.float32(state)}

        return step

    step = together({"one": step_by(1.0), "two": step_by(2.0)})
    state, metrics = step(KEY, {"one": 1.0, "two": 5.0}, {"image": 3.0})
    assert state == {"one": 4.0, "two": 11.0}
    assert metrics == {"one/loss": 1.0, "two/loss": 5.0}
    assert keys[0] != keys[1]
