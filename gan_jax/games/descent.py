"""One player alone: gradient descent on an objective, through the same runtime as a game."""

from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Int32

from gan_jax.games.core import (
    Player,
    PlayerOutcome,
    Weights,
    across_devices,
    check_scalar,
    device_key,
    init_player,
)
from gan_jax.games.steps import move
from gan_jax.typing import Batch, KeyArray, Metrics, Params


class DescentState(struct.PyTreeNode, kw_only=True):
    """One player between two steps."""

    step: Int32[Array, ""]
    player: Player


@runtime_checkable
class Objective(Protocol):
    """One pure function from a player's weights to its loss."""

    def __call__(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome: ...


def init_descent(*, weights: Weights, optimizer: optax.GradientTransformation) -> DescentState:
    """Set up one player at step 0. Copies and raises as `init` does for a game."""
    return DescentState(step=jnp.zeros((), jnp.int32), player=init_player(weights, optimizer))


def descent_step(
    key: KeyArray,
    state: DescentState,
    batch: Batch,
    *,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    axis_name: str | None = None,
) -> tuple[DescentState, Metrics]:
    """Move one player down its objective: θ' = θ - η ∇_θ L(θ). Metrics as in a game, unprefixed.

    Raises:
        ValueError: the loss is no scalar.
    """
    key = device_key(key, axis_name)
    gradient, outcome = descent_gradient(key, state.player.weights, batch, objective=objective)
    gradient, outcome = across_devices(gradient, outcome, axis_name)
    player, metrics = move(state.player, gradient, outcome, optimizer=optimizer)
    return state.replace(step=state.step + 1, player=player), metrics


def descent_gradient(
    key: KeyArray, weights: Weights, batch: Batch, *, objective: Objective
) -> tuple[Params, PlayerOutcome]:
    """The gradient of an objective with respect to its params, and what else it reports."""

    def loss(params):
        outcome = objective(weights=weights.replace(params=params), batch=batch, key=key)
        check_scalar(outcome.loss, "player")
        return outcome.loss, outcome

    return jax.grad(loss, has_aux=True)(weights.params)
