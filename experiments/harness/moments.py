"""The weights of some moments of a run, kept in its state: what a picture over time is drawn of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from experiments.harness.options import RunOptions
from gan_jax.errors import Refusal
from gan_jax.games import GameState
from gan_jax.typing import Batch, KeyArray, PyTree, Step


@dataclass(frozen=True, kw_only=True)
class MomentOptions(RunOptions):
    """A run that remembers moments."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.continue_from is not None:
            raise Refusal(
                f"--continue-from is {self.continue_from}, but a run remembers moments "
                "from its first step on: leave it out; more --steps go on in the same --workdir."
            )


Kept = Callable[[GameState], PyTree]
"""What of a state is kept."""


def start(state: GameState, steps: Sequence[int], kept: Kept) -> GameState:
    """Give the state a memory: a place for each of the steps and one for the newest, all as now."""
    places = jax.tree.map(lambda x: jnp.stack([x] * (len(steps) + 1)), kept(state))
    return state.replace(memory=places)


def remembering(step: Step, steps: Sequence[int], kept: Kept) -> Step:
    """Keep what there is after each of these steps, which rise, and after the newest, in memory."""

    def remember(key: KeyArray, state: GameState, batch: Batch) -> tuple[GameState, Any]:
        moved, metrics = step(key, state, batch)
        place = jnp.searchsorted(jnp.array(steps), moved.step)
        memory = jax.tree.map(lambda x, now: x.at[place].set(now), state.memory, kept(moved))
        return moved.replace(memory=memory), metrics

    return remember


def so_far(state: GameState, steps: Sequence[int]) -> tuple[list[int], PyTree]:
    """The steps that there have been, with the newest, and what was kept of each."""
    now = int(state.step)
    been = [*(step for step in steps if step < now), now]
    return been, jax.tree.map(lambda x: x[: len(been)], state.memory)
