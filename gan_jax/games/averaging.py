"""Averages of the generator along the run, as a wrapper around any step."""

import jax
import jax.numpy as jnp
from flax import struct

from gan_jax.games.core import GameState, Weights
from gan_jax.typing import PyTree, Step


class Average(struct.PyTreeNode, kw_only=True):
    """The averaged generator, and the memory of the step that is wrapped."""

    generator: Weights
    memory: PyTree


def exponential_average(step: Step, *, decay: float) -> Step:
    """Keep θ̄' = decay θ̄ + (1 - decay) θ' beside the generator's params θ' after every step.

    What is not trained (batch statistics) is copied from the generator as it is. The average has
    no influence on the game. It needs `state.memory` from `exponential_average_memory`.

    Yazici et al. 2019, equation (3).

    Raises:
        ValueError: `decay` is not in [0, 1).
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay is {decay}; it must be at least 0 and below 1.")

    def averaging_step(key, state, batch):
        average = state.memory
        state, metrics = step(key, state.replace(memory=average.memory), batch)
        new = state.generator.weights
        params = jax.tree.map(
            lambda mean, param: decay * mean + (1 - decay) * param,
            average.generator.params,
            new.params,
        )
        average = Average(generator=new.replace(params=params), memory=state.memory)
        return state.replace(memory=average), metrics

    return averaging_step


def exponential_average_memory(state: GameState) -> GameState:
    """Start the average at the generator as it is now, keeping the memory that there is."""
    generator = jax.tree.map(jnp.copy, state.generator.weights)
    return state.replace(memory=Average(generator=generator, memory=state.memory))


def averaged(state: GameState) -> GameState:
    """The state with the averaged generator in place of the current one, to sample from."""
    return state.replace(generator=state.generator.replace(weights=state.memory.generator))
