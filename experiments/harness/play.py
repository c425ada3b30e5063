"""The options of experiments that play a GAN, and the game that they describe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import jax.numpy as jnp
import optax

from experiments.harness.bounds import Count, Decay, Rate, Size
from experiments.harness.options import Dtype, Evaluate, Result, RunOptions
from gan_jax import games, losses
from gan_jax.errors import Refusal
from gan_jax.systems import ADDA, GAN, TFGAN, CycleGAN, StyleGAN2
from gan_jax.training import first_batch
from gan_jax.training.compile import Parallel
from gan_jax.typing import Batch, Feed, Step

LOSSES = {
    "minimax": losses.minimax,
    "non_saturating": losses.non_saturating,
    "maximum_likelihood": losses.maximum_likelihood,
    "wasserstein": losses.wasserstein,
    "hinge": losses.hinge,
    "least_squares": losses.least_squares,
}
LossName = Literal[
    "minimax", "non_saturating", "maximum_likelihood", "wasserstein", "hinge", "least_squares"
]

Update = Literal["simultaneous", "alternating"]

TwoPlayers: TypeAlias = GAN | ADDA | CycleGAN | StyleGAN2 | TFGAN


@dataclass(frozen=True, kw_only=True)
class MovesOptions(RunOptions):
    """How often the discriminator moves in a step, each time on a batch of its own."""

    num_discriminator_steps: Count
    """Moves of each discriminator in a step."""
    batch_size: Size
    """Real points, and as many fakes, in each move."""

    @property
    def examples_per_step(self) -> int:
        return self.batch_size * self.num_discriminator_steps

    def alternating(self, system: TwoPlayers, optimizers: games.Optimizers) -> Step:
        """A step in which the discriminator moves as often as is chosen, and then the generator."""
        return partial(
            games.alternating_step,
            game=system.game,
            optimizers=optimizers,
            num_discriminator_steps=self.num_discriminator_steps,
            axis_name=self.axis_name,
        )


@dataclass(frozen=True, kw_only=True)
class GameOptions(MovesOptions):
    """How the game is played, and for how long."""

    update: Update = "alternating"
    """Both players move from the same point, or the discriminator first."""
    num_discriminator_steps: Count = 1
    """Moves of the discriminator in each step, each on a batch of its own (alternating only)."""
    loss: LossName = "non_saturating"
    """The adversarial loss."""
    batch_size: Size
    """Real examples in each move of the discriminator."""
    learning_rate: Rate
    """Adam's, for both players; beta1 is 0.5."""
    generator_learning_rate: Rate | None = None
    """The generator's, where it is another."""
    discriminator_learning_rate: Rate | None = None
    """The discriminator's, where it is another."""
    average_decay: Decay
    """Decay of the generator's moving average, which the samples are drawn from."""
    dtype: Dtype = "float32"
    """What the networks compute in; weights and losses stay float32."""
    parallel: Parallel = "jit"
    """All devices by sharded jit, all devices by pmap, or one device."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.update == "simultaneous" and self.num_discriminator_steps != 1:
            raise Refusal(
                f"--num-discriminator-steps is {self.num_discriminator_steps}, but in a "
                "simultaneous update both players move once: choose 1, or --update alternating."
            )

    @property
    def network_dtype(self) -> jnp.dtype:
        return jnp.dtype(self.dtype)

    def schedule(self, rate: float, num_moves: int) -> optax.ScalarOrSchedule:
        """The learning rate of a player who begins with this one, and moves so often in a step."""
        return rate

    def each(self, optimizer: Callable[[Any], optax.GradientTransformation]) -> games.Optimizers:
        """An optimiser for each player, at the player's own learning rate."""
        generator = self.generator_learning_rate or self.learning_rate
        discriminator = self.discriminator_learning_rate or self.learning_rate
        return games.Optimizers(
            generator=optimizer(self.schedule(generator, 1)),
            discriminator=optimizer(self.schedule(discriminator, self.num_discriminator_steps)),
        )

    def optimizers(self) -> games.Optimizers:
        return self.each(partial(optax.adam, b1=0.5))

    def update_step(self, system: TwoPlayers) -> Step:
        """One step of the game, in the order that is chosen."""
        optimizers = self.optimizers()
        if self.update == "alternating":
            return self.alternating(system, optimizers)
        told = {"optimizers": optimizers, "axis_name": self.axis_name}
        return partial(games.simultaneous_step, game=system.game, **told)

    def step(self, system: TwoPlayers) -> Step:
        """The update, with the generator's moving average kept beside it."""
        return games.exponential_average(self.update_step(system), decay=self.average_decay)

    def start(self, system: GAN | CycleGAN | StyleGAN2 | TFGAN, batch: Batch) -> games.GameState:
        """Both players as they are drawn."""
        return system.init(self.key("init"), batch, optimizers=self.optimizers())

    def play(
        self,
        system: GAN | CycleGAN | StyleGAN2 | TFGAN,
        feed: Feed,
        evaluate: Evaluate,
        *,
        workdir: Path,
        fresh: bool,
        unit: str = "images",
        label_names: Sequence[str] | None = None,
    ) -> Result:
        """Train, from the start or from where the run in `workdir` was stopped."""
        state = self.start(system, first_batch(feed))
        return self.train(
            self.step(system),
            games.exponential_average_memory(state),
            feed,
            evaluate,
            workdir=workdir,
            fresh=fresh,
            label_names=label_names,
            unit=unit,
        )
