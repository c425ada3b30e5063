"""How fast play nears an equilibrium, by its own linearisation."""

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.games.analysis import spectral_radius
from gan_jax.games.core import GameState
from gan_jax.typing import Batch, KeyArray, Step


def convergence_factor(
    key: KeyArray, state: GameState, batch: Batch, *, step: Step, period: int = 1
) -> float:
    """The factor per step by which distances to the equilibrium at `state` change in the long run.

    ρ^(1/k), ρ the spectral radius of k = `period` steps together: give a method that does something
    every k steps (lookahead) its k. It is taken after one period at the equilibrium, where methods
    that start specially have started.

    Raises:
        ValueError: `period` is below 1.
    """
    check_bound(AT_LEAST_1, period=period)

    def block(key, state, batch):
        metrics = {}
        for _ in range(period):
            state, metrics = step(key, state, batch)
        return state, metrics

    state, _ = block(key, state, batch)
    return spectral_radius(key, state, batch, step=block) ** (1 / period)
