"""Symplectic gradient adjustment: turn the rotating part of the game towards its centre."""

import jax
import jax.numpy as jnp
import optax

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

ALIGNMENT = 0.1  # ε of Algorithm 1: which sign to take where the adjustment is nearly orthogonal


def symplectic_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    weight: float | Scalar,
    align: bool = True,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Move both players along v + λ Aᵀ v, with A = (H - Hᵀ)/2 and H the Jacobian of v.

    z' = z - η (v + λ Aᵀ v), for plain gradient descent. One product with H and one with its
    transpose, no matrix. λ is `weight`, with `align` times the sign of
    ⟨v, Hᵀv⟩ ⟨Aᵀv, Hᵀv⟩ / n + 1/10 for n params, so that the adjustment attracts to stable fixed
    points and repels from unstable ones. `grad_norm` is the norm of what the optimiser is given.
    With weight 0, and in a potential game (A = 0), it is `simultaneous_step`.

    Balduzzi et al. 2018, Algorithm 1.

    Raises:
        ValueError: `weight` is negative.
    """
    check_bound(NOT_NEGATIVE, weight=weight)
    field = field_at(key, state, batch, game=game, axis_name=axis_name)
    params = get_params(state)
    gradients, product, outcome = jax.linearize(field, params, has_aux=True)
    (transposed,) = jax.linear_transpose(product, params)(gradients)
    transposed = mean_over_devices(transposed, axis_name)
    adjustment = jax.tree.map(lambda t, p: (t - p) / 2, transposed, product(gradients))
    if align:
        alignment = optax.tree.vdot(gradients, transposed) * optax.tree.vdot(adjustment, transposed)
        weight = weight * jnp.sign(alignment / optax.tree.size(params) + ALIGNMENT)
    adjusted = jax.tree.map(lambda g, a: g + weight * a, gradients, adjustment)
    state, metrics = move_both(state, adjusted, outcome, optimizers=optimizers)
    return state.replace(step=state.step + 1), metrics
