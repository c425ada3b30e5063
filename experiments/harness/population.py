"""The options of experiments that play a game from many seeds at once."""

from collections.abc import Callable
from dataclasses import dataclass

import jax

from experiments.harness.bounds import Several
from experiments.harness.options import RunOptions
from gan_jax.typing import KeyArray, PyTree


@dataclass(frozen=True, kw_only=True)
class PopulationOptions(RunOptions):
    """How many play; a step of each, on data of its own, is one step of the run."""

    num_seeds: Several
    """Runs of each game, alike but for their seeds, all at once."""

    @property
    def examples_per_step(self) -> int:
        return self.num_seeds

    def members(self, init: Callable[[KeyArray], PyTree]) -> PyTree:
        """Start every member, by a key of its own."""
        return jax.vmap(init)(jax.random.split(self.key("init"), self.num_seeds))
