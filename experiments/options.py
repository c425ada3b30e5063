"""The flags that experiments have in common, and the step and the run that they describe."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax
import optax

from gan_jax import data, losses
from gan_jax.errors import Refusal
from gan_jax.games import (
    GameState,
    Optimizers,
    alternating_step,
    exponential_average,
    exponential_average_memory,
    simultaneous_step,
)
from gan_jax.systems import GAN
from gan_jax.training import Hook, Schedule, process_rows, train
from gan_jax.training.compile import AXIS, Parallel
from gan_jax.typing import Batch, Feed, KeyArray, Metrics, PyTree, Step

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


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How long a run is, and when it comes back to Python."""

    MAY_BE_0: ClassVar[frozenset[str]] = frozenset()
    """The counts that may be 0."""
    steps: int
    """Where the run ends; a run that is resumed may be given more."""
    seed: int = 0
    """Seed of the weights, the order of the data and the latents."""
    steps_per_dispatch: int
    """Steps that are compiled into one program, and averaged in one line of the log."""
    evaluate_every: int
    """Steps between two evaluations; a multiple of steps_per_dispatch."""
    checkpoint_every: int
    """Steps between two checkpoints; a multiple of steps_per_dispatch."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            flag = name.replace("_", "-")
            if name.endswith("learning_rate") and not 0 < value < math.inf:
                raise Refusal(f"--{flag} is {value}; it must be positive and finite.")
            if name.endswith("weight") and not 0 <= value < math.inf:
                raise Refusal(f"--{flag} is {value}; it must be finite, and not below 0.")
            least = 0 if name in self.MAY_BE_0 else 1
            for count in value if type(value) is tuple else (value,):
                if type(count) is int and name != "seed" and count < least:  # all others count
                    raise Refusal(f"--{flag} is {count}; it must be at least {least}.")
        if not 0 <= self.seed < 2**32:
            raise Refusal(f"--seed is {self.seed}; it must lie between 0 and 2^32 - 1.")

    def keys(self, num: int) -> KeyArray:
        """Independent keys: for the run itself, the weights, and whatever else is drawn."""
        return jax.random.split(jax.random.key(self.seed), num)

    def feed(self, dataset: data.Dataset, batch_size: int) -> Feed:
        """The batches that this process reads of the dataset."""
        if batch_size > len(dataset):
            raise Refusal(
                f"A step takes {batch_size} examples, but the dataset has {len(dataset)}: lower "
                "--batch-size, or --num-discriminator-steps where there is one."
            )
        rows = process_rows(batch_size)
        return data.feed(dataset, batch_size=batch_size, seed=self.seed, rows=rows)

    def image_feed(
        self,
        dataset: data.Dataset,
        batch_size: int,
        scale: Callable[[jax.Array], jax.Array],
    ) -> Feed:
        """The images alone of such batches, from bytes to numbers by `scale`."""
        stored = self.feed(dataset, batch_size)

        def read(resident: PyTree, item: PyTree) -> Batch:
            return {"image": scale(stored.read(resident, item)["image"])}

        return stored._replace(read=read)

    def train(
        self,
        step: Step,
        state: PyTree,
        feed: Feed,
        evaluate: Callable[[int, Any], Mapping[str, Any]],
        *,
        key: KeyArray,
        workdir: Path,
        fresh: bool,
        batch_size: int = 1,
        parallel: Parallel = "none",
        **shown: Any,
    ) -> PyTree:
        """Train from the start, or from where the run in `workdir` was stopped."""
        return train(
            step,
            state,
            feed,
            key=key,
            schedule=Schedule(self.steps, self.steps_per_dispatch, self.checkpoint_every),
            batch_size=batch_size,
            workdir=workdir,
            config=asdict(self),
            fresh=fresh,
            parallel=parallel,
            hooks=[Hook(self.evaluate_every, evaluate)],
            **shown,
        )


def together(steps: Mapping[str, Step]) -> Step:
    """Make one step of several models that see the same examples; the state is a dict of theirs."""

    def step(key: KeyArray, state: dict[str, Any], batch: Batch) -> tuple[dict, Metrics]:
        moved, found = {}, {}
        for name, descend in steps.items():
            moved[name], metrics = descend(key, state[name], batch)
            found |= {f"{name}/{metric}": value for metric, value in metrics.items()}
        return moved, found

    return step


@dataclass(frozen=True, kw_only=True)
class GameOptions(RunOptions):
    """How the game is played, and for how long."""

    update: Literal["simultaneous", "alternating"] = "alternating"
    """Both players move from the same point, or the discriminator first."""
    num_discriminator_steps: int = 1
    """Moves of the discriminator in each step, each on a batch of its own (alternating only)."""
    loss: LossName = "non_saturating"
    """The adversarial loss."""
    batch_size: int
    """Real examples in each move of the discriminator."""
    learning_rate: float
    """Adam's, for both players; beta1 is 0.5."""
    average_decay: float
    """Decay of the generator's moving average, which the samples are drawn from."""
    parallel: Parallel = "jit"
    """All devices by sharded jit, all devices by pmap, or one device."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.update == "simultaneous" and self.num_discriminator_steps != 1:
            raise Refusal(
                f"--num-discriminator-steps is {self.num_discriminator_steps}, but in a "
                "simultaneous update both players move once: choose 1, or --update alternating."
            )
        if not 0 <= self.average_decay < 1:
            raise Refusal(f"--average-decay is {self.average_decay}; it must be in [0, 1).")

    @property
    def examples_per_step(self) -> int:
        return self.batch_size * self.num_discriminator_steps

    @property
    def axis_name(self) -> str | None:
        """The axis over which the step must average by itself: pmap's."""
        return AXIS if self.parallel == "pmap" else None

    def optimizers(self) -> Optimizers:
        adam = optax.adam(self.learning_rate, b1=0.5)
        return Optimizers(generator=adam, discriminator=adam)

    def step(self, system: GAN) -> Step:
        """The update, with the generator's moving average kept beside it."""
        chosen = simultaneous_step
        if self.update == "alternating":
            chosen = partial(alternating_step, num_discriminator_steps=self.num_discriminator_steps)
        step = partial(
            chosen, game=system.game, optimizers=self.optimizers(), axis_name=self.axis_name
        )
        return exponential_average(step, decay=self.average_decay)

    def play(
        self,
        system: GAN,
        feed: Feed,
        evaluate: Callable[[int, GameState], Mapping[str, Any]],
        *,
        key_run: KeyArray,
        key_init: KeyArray,
        workdir: Path,
        fresh: bool,
        unit: str = "images",
    ) -> GameState:
        """Train, from the start or from where the run in `workdir` was stopped."""
        return self.train(
            self.step(system),
            exponential_average_memory(system.init(key_init, optimizers=self.optimizers())),
            feed,
            evaluate,
            key=key_run,
            workdir=workdir,
            fresh=fresh,
            batch_size=self.examples_per_step,
            parallel=self.parallel,
            unit=unit,
        )
