"""Consensus optimisation: both players also descend the length of the vector field."""

import jax

from gan_jax.checks import NOT_NEGATIVE, check_bound
from gan_jax.games.core import (
    Game,
    GameState,
    Optimizers,
    field_at,
    get_params,
    mean_over_devices,
)
from gan_jax.games.steps import move_both
from gan_jax.typing import Batch, KeyArray, Metrics, Scalar


def consensus_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    weight: float | Scalar,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Move both players along v + γ ∇½‖v‖², with the vector field v(z) and γ = `weight`.

    z' = z - η (v + γ Hᵀ v), for plain gradient descent and H the Jacobian of v: one product with
    its transpose, no matrix. `grad_norm` is the norm of what the optimiser is given. With weight 0
    it is `simultaneous_step`.

    Mescheder, Nowozin & Geiger 2017, Algorithm 2 (their v is -v here).

    Raises:
        ValueError: `weight` is negative.
    """
    check_bound(NOT_NEGATIVE, weight=weight)
    field = field_at(key, state, batch, game=game, axis_name=axis_name)
    gradients, transposed, outcome = jax.vjp(field, get_params(state), has_aux=True)
    (pull,) = mean_over_devices(transposed(gradients), axis_name)
    adjusted = jax.tree.map(lambda g, h: g + weight * h, gradients, pull)
    state, metrics = move_both(state, adjusted, outcome, optimizers=optimizers)
    return state.replace(step=state.step + 1), metrics
