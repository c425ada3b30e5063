"""Extragradient: look one step ahead, then move from where one stood with what was seen there."""

import jax
import jax.numpy as jnp
from flax import struct

from gan_jax.errors import Refusal
from gan_jax.games.core import (
    Game,
    GameState,
    Gradients,
    Optimizers,
    Outcome,
    PlayerOutcome,
    check_memory,
    get_params,
    set_params,
    vector_field,
)
from gan_jax.games.steps import move_both, split_batch
from gan_jax.typing import Batch, KeyArray, Metrics, Params, Scalar


def extragradient_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    independent_samples: bool = False,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Extrapolate both players, and move them from the old point by the gradients at the new one.

    z̃ = z - η v(z),  z' = z - η v(z̃), for plain gradient descent and z both players' params.

    Both halves are steps of the optimisers, whose states advance twice (Extra-Adam; a schedule of
    learning rates, too, runs through two of its steps). What is kept but not trained (batch
    statistics) and the metrics are those of the second half alone. By default both halves play on
    the same sample; with `independent_samples` the batch holds 2·B examples, every second one for
    the extrapolation, and each half has a key of its own.

    Gidel et al. 2019, equations (9) and (10), and Algorithm 4 (Extra-Adam).

    Raises:
        ValueError: the samples are to be independent and the batch's size is odd.
    """
    if independent_samples:
        key_ahead, key = jax.random.split(key)
        batches = split_batch(batch, 2, "independent_samples")
        batch_ahead, batch = (jax.tree.map(lambda leaf, i=i: leaf[i], batches) for i in (0, 1))
    else:
        key_ahead, batch_ahead = key, batch
    gradients, outcome = vector_field(key_ahead, state, batch_ahead, game=game, axis_name=axis_name)
    losses = outcome.generator.loss, outcome.discriminator.loss
    state, ahead = _extrapolate(state, gradients, losses, optimizers)
    gradients, outcome = vector_field(key, ahead, batch, game=game, axis_name=axis_name)
    state, metrics = move_both(state, gradients, outcome, optimizers=optimizers)
    return state.replace(step=state.step + 1), metrics


class PastGradients(struct.PyTreeNode, kw_only=True):
    """Both players' gradients at the point that the last step looked ahead to."""

    generator: Params
    discriminator: Params


def past_extragradient_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Extragradient at the price of one gradient: extrapolate by the gradients of the last step.

    z̃_t = z_t - η v(z̃_{t-1}),  z_{t+1} = z_t - η v(z̃_t), for plain gradient descent, and z̃_0 = z_0.

    The points z̃ follow optimistic gradient descent, z̃_{t+1} = z̃_t - 2η v(z̃_t) + η v(z̃_{t-1}).
    As in `extragradient_step`, the optimisers' states advance in both halves, at first by a
    gradient of zero; one that asks for the loss is told inf where it extrapolates. It needs
    `state.memory` from `past_extragradient_memory`.

    Popov 1980; Gidel et al. 2019, section 3.1.2.
    """
    check_memory(state, PastGradients, "past_extragradient_memory")
    past = state.memory
    gradients = Gradients(generator=past.generator, discriminator=past.discriminator)
    unknown = jnp.array(jnp.inf)
    state, ahead = _extrapolate(state, gradients, (unknown, unknown), optimizers)
    gradients, outcome = vector_field(key, ahead, batch, game=game, axis_name=axis_name)
    state, metrics = move_both(state, gradients, outcome, optimizers=optimizers)
    memory = PastGradients(**gradients._asdict())
    return state.replace(step=state.step + 1, memory=memory), metrics


def past_extragradient_memory(state: GameState) -> GameState:
    """Start with past gradients of zero: the first step extrapolates nowhere.

    Raises:
        ValueError: the state has a memory already; that of a wrapper goes around this one.
    """
    if state.memory is not None:
        raise Refusal(
            "The state has a memory already: call past_extragradient_memory first, and then the "
            "memory functions of what is wrapped around the step."
        )
    zeros = jax.tree.map(jnp.zeros_like, get_params(state))
    return state.replace(memory=PastGradients(**zeros._asdict()))


def _extrapolate(
    state: GameState, gradients: Gradients, losses: tuple[Scalar, Scalar], optimizers: Optimizers
) -> tuple[GameState, GameState]:
    """The state where it stands and where it looks, both with the optimisers' states advanced."""
    outcome = Outcome(*map(PlayerOutcome, losses))
    ahead, _ = move_both(state, gradients, outcome, optimizers=optimizers)
    return set_params(ahead, get_params(state)), ahead
