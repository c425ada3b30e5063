import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import clip_params

LIMIT = 0.01


def test_params_stay_in_the_box_and_moves_inside_it_are_untouched():
    params = {"a": jnp.array([0.0, 0.009, -0.009, 0.5]), "b": jnp.array(-0.2)}
    updates = {"a": jnp.array([0.004, 0.004, -0.004, 0.0]), "b": jnp.array(0.0)}
    clip = clip_params(LIMIT)
    clipped, _ = clip.update(updates, clip.init(params), params)
    moved = optax.apply_updates(params, clipped)
    np.testing.assert_allclose(moved["a"], [0.004, LIMIT, -LIMIT, LIMIT], rtol=1e-6)
    np.testing.assert_allclose(moved["b"], -LIMIT, rtol=1e-6)


def test_a_linear_critic_ends_in_the_corner():
    """sup over the box of ⟨w, Δ⟩ is c ‖Δ‖₁, at w = c sign(Δ)."""
    shift = jnp.array([3.0, -0.1, 0.7])
    optimizer = optax.chain(optax.rmsprop(5e-3), clip_params(LIMIT))
    w = jnp.zeros(3)
    state = optimizer.init(w)

    @jax.jit
    def step(w, state):
        updates, state = optimizer.update(jax.grad(lambda w: -w @ shift)(w), state, w)
        return optax.apply_updates(w, updates), state

    for _ in range(20):
        w, state = step(w, state)
        assert np.max(np.abs(w)) <= np.nextafter(np.float32(LIMIT), 1)
    np.testing.assert_allclose(w @ shift, LIMIT * jnp.sum(jnp.abs(shift)), rtol=1e-6)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_an_empty_box_is_refused(limit):
    with pytest.raises(ValueError, match=r"limit is .*; it must be positive and finite"):
        clip_params(limit)


def test_updates_without_params_are_refused():
    clip = clip_params(LIMIT)
    with pytest.raises(ValueError, match="clip_params needs the params"):
        clip.update(jnp.ones(2), clip.init(jnp.ones(2)))
