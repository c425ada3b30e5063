"""The options of experiments whose learning rates fall.

When they do is not derived from --steps: a run that is made longer keeps its past.
"""

from dataclasses import dataclass

import optax

from experiments.harness.bounds import Count, CountOr0, Rate
from experiments.harness.options import RunOptions
from experiments.harness.play import GameOptions
from gan_jax.errors import Refusal


@dataclass(frozen=True, kw_only=True)
class CosineOptions(RunOptions):
    """Learning rates that fall along half a cosine to 0."""

    learning_rate: Rate
    """Adam's, lowered along half a cosine to nothing."""
    decay_steps: Count
    """How many steps that takes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps > self.decay_steps:
            raise Refusal(
                f"--steps is {self.steps}, but after {self.decay_steps} the learning rate is 0: "
                "raise --decay-steps in a new run."
            )

    def cosine(self, num_moves: int = 1) -> optax.Schedule:
        """The learning rate of an optimiser that updates so often in a step."""
        return optax.cosine_decay_schedule(self.learning_rate, num_moves * self.decay_steps)


@dataclass(frozen=True, kw_only=True)
class DecliningOptions(GameOptions):
    """A game in which both learning rates are constant, and then fall linearly to 0."""

    constant_steps: CountOr0
    """Steps at the full learning rate."""
    decay_steps: Count
    """Further steps, in which it falls to 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps > self.constant_steps + self.decay_steps:
            raise Refusal(
                f"--steps is {self.steps}, but after {self.constant_steps + self.decay_steps} the "
                "learning rate is 0: raise --constant-steps or --decay-steps in a new run, which "
                "may go on from this one by --continue-from."
            )

    def schedule(self, rate: float, num_moves: int) -> optax.Schedule:
        constant, falling = num_moves * self.constant_steps, num_moves * self.decay_steps
        return optax.linear_schedule(rate, 0.0, falling, constant)


@dataclass(frozen=True, kw_only=True)
class HalvingOptions(GameOptions):
    """A game in which both learning rates are halved at intervals."""

    halving_steps: Count
    """Steps after which both learning rates are halved, again and again."""

    def schedule(self, rate: float, num_moves: int) -> optax.Schedule:
        return optax.exponential_decay(rate, num_moves * self.halving_steps, 0.5, staircase=True)
