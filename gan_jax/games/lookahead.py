"""Lookahead for games: a slow pair of players that takes part of the way the fast pair went."""

import jax
import jax.numpy as jnp
from flax import struct

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.games.core import GameState, Gradients, check_memory, get_params, set_params
from gan_jax.typing import Params, PyTree, Step


class Lookahead(struct.PyTreeNode, kw_only=True):
    """Both slow players' params, and the memory of the step that is wrapped."""

    generator: Params
    discriminator: Params
    memory: PyTree


def lookahead(step: Step, *, interval: int, rate: float) -> Step:
    """After every k = `interval` steps, go back to `rate` a of the way that both players went.

    z ← z_slow + a (z - z_slow),  z_slow ← z, whenever `state.step` is a multiple of k, for both
    players' params at once. The optimisers' states and what is not trained go on as they are. It
    needs `state.memory` from `lookahead_memory`, and a step that counts. Nested lookahead is
    lookahead of lookahead. With rate 1 it is `step`.

    Chavdarova et al. 2021, Algorithm 1.

    Raises:
        ValueError: `interval` is below 1, or `rate` not in (0, 1].
    """
    check_bound(AT_LEAST_1, interval=interval)
    if not 0 < rate <= 1:
        raise Refusal(f"rate is {rate}; it must be above 0 and at most 1.")

    def lookahead_step(key, state, batch):
        check_memory(state, Lookahead, "lookahead_memory")
        slow = state.memory
        state, metrics = step(key, state.replace(memory=slow.memory), batch)
        due = state.step % interval == 0
        fast = get_params(state)
        kept = Gradients(generator=slow.generator, discriminator=slow.discriminator)
        back = jax.tree.map(lambda old, new: old + rate * (new - old), kept, fast)
        params = jax.tree.map(lambda x, y: jnp.where(due, x, y), back, fast)
        kept = jax.tree.map(lambda x, y: jnp.where(due, x, y), back, kept)
        memory = Lookahead(**kept._asdict(), memory=state.memory)
        return set_params(state, params).replace(memory=memory), metrics

    return lookahead_step


def lookahead_memory(state: GameState) -> GameState:
    """Start the slow players where the fast ones are, keeping the memory that there is."""
    slow = jax.tree.map(jnp.copy, get_params(state))
    return state.replace(memory=Lookahead(**slow._asdict(), memory=state.memory))
