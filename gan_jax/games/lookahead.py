"""Lookahead for games: a slow pair of players that takes part of the way the fast pair went."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool

from gan_jax.checks import AT_LEAST_1, PART, check_bound
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
    needs `state.memory` from `lookahead_memory`, and a step that counts. With rate 1 it is `step`.

    Nested lookahead is lookahead of lookahead: where the outer one goes back, the slow players of
    every one inside start again from there, as in the authors' code. So of a linear step M with k
    and K = n k it is (1 - b) I + b ((1 - a) I + a Mᵏ)ⁿ in every K steps.

    Chavdarova et al. 2021, Algorithm 1.

    Raises:
        ValueError: `interval` is below 1, or `rate` not in (0, 1].
    """
    check_bound(AT_LEAST_1, interval=interval)
    check_bound(PART, rate=rate)

    def lookahead_step(key, state, batch):
        check_memory(state, Lookahead, "lookahead_memory")
        slow = state.memory
        state, metrics = step(key, state.replace(memory=slow.memory), batch)
        due = state.step % interval == 0
        fast = get_params(state)
        kept = Gradients(generator=slow.generator, discriminator=slow.discriminator)
        back = jax.tree.map(lambda old, new: old + rate * (new - old), kept, fast)
        params, kept = _where(due, back, fast), _where(due, back, kept)
        inner = _started_again(state.memory, due, back)
        memory = Lookahead(**kept._asdict(), memory=inner)
        return set_params(state, params).replace(memory=memory), metrics

    return lookahead_step


def lookahead_memory(state: GameState) -> GameState:
    """Start the slow players where the fast ones are, keeping the memory that there is."""
    slow = jax.tree.map(jnp.copy, get_params(state))
    return state.replace(memory=Lookahead(**slow._asdict(), memory=state.memory))


def _started_again(memory: PyTree, due: Bool[Array, ""], at: Gradients) -> PyTree:
    """Let every slow pair in the memory of the steps inside start from here, where it is due.

    Nothing else that is remembered there changes: averages and past gradients go on.
    """

    def is_slow(part: PyTree) -> bool:
        return isinstance(part, Lookahead)

    def restart(part: PyTree) -> PyTree:
        if not is_slow(part):
            return part
        kept = Gradients(generator=part.generator, discriminator=part.discriminator)
        inner = _started_again(part.memory, due, at)
        return Lookahead(**_where(due, at, kept)._asdict(), memory=inner)

    return jax.tree.map(restart, memory, is_leaf=is_slow)


def _where(due: Bool[Array, ""], new: Gradients, old: Gradients) -> Gradients:
    return jax.tree.map(lambda x, y: jnp.where(due, x, y), new, old)
