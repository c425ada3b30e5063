"""Optax transformations that games need and Optax lacks: they reshape one player's own move."""

import jax
import jax.numpy as jnp
import optax

from gan_jax.checks import POSITIVE, check_bound
from gan_jax.errors import Refusal


def clip_params(limit: float) -> optax.GradientTransformation:
    """Let a move end inside the box: θ' = clip(θ + u, -c, c), with c = `limit`.

    To be chained last: `optax.chain(optax.rmsprop(5e-5), clip_params(0.01))`. The clipping comes
    after the move as in the paper's algorithm (its code clips before), to one unit in the last
    place. A critic so clipped is Lipschitz, with a constant that depends on its layers.

    Arjovsky, Chintala & Bottou 2017, Algorithm 1.

    Raises:
        ValueError: `limit` is not positive and finite.
    """
    check_bound(POSITIVE, limit=limit)

    def update(updates, state, params=None):
        if params is None:
            raise Refusal("clip_params needs the params: call update(updates, state, params).")
        clipped = jax.tree.map(
            lambda update, param: jnp.clip(param + update, -limit, limit) - param, updates, params
        )
        return clipped, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
