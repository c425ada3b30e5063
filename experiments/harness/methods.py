"""The ways of playing, by the names that experiments take as flags."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, get_args

import jax
import numpy as np
import optax

from experiments.harness.bounds import CountOr0, Rate, Weight
from experiments.harness.options import RunOptions
from gan_jax import games
from gan_jax.errors import Refusal
from gan_jax.typing import Step

MethodName = Literal[
    "simultaneous",
    "alternating",
    "extragradient",
    "past_extragradient",
    "optimistic",
    "negative_momentum",
    "consensus",
    "symplectic",
    "competitive",
    "lookahead",
    "unrolled",
]
METHODS: tuple[MethodName, ...] = get_args(MethodName)

BETA1 = 0.5
"""Adam's, where none is given."""
MOMENTUM = -0.5
"""Of both players, in alternating play (Gidel et al. 2019)."""
INTERVAL, RATE = 5, 0.5
"""Lookahead's steps between two returns, and how much of the way it keeps."""


class Method(NamedTuple):
    """A way of playing one game: what `init` needs, what the state needs, and the step.

    `period`: after how many steps it does again what it has done.
    """

    step: Step
    optimizers: games.Optimizers
    remember: Callable[[games.GameState], games.GameState]
    period: int

    def start(self, point: games.Gradients) -> games.GameState:
        """Set up players who hold these params."""
        generator, discriminator = (games.Weights(params=params) for params in point)
        state = games.init(
            generator=generator, discriminator=discriminator, optimizers=self.optimizers
        )
        return self.remember(state)

    def path(self, point: games.Gradients, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Play from a point of the plane: both players' number after each step, the start first."""
        x, y = _path(self.start(point), self.step, num_steps)
        return np.ravel(x), np.ravel(y)

    def convergence_factor(self, equilibrium: games.Gradients) -> float:
        key, state = jax.random.key(0), self.start(equilibrium)
        return games.convergence_factor(key, state, {}, step=self.step, period=self.period)


@partial(jax.jit, static_argnums=(1, 2))
def _path(state: games.GameState, step: Step, num_steps: int) -> games.Gradients:
    return games.analysis.trajectory(jax.random.key(0), state, {}, step=step, num_steps=num_steps)[
        1
    ]


Rule = Literal["sgd", "adam"]


@dataclass(frozen=True, kw_only=True)
class MethodOptions(RunOptions):
    """How a method plays."""

    learning_rate: Rate
    """Of both players."""
    weight: Weight
    """Of consensus and of symplectic adjustment."""
    num_unrolled_steps: CountOr0 = 5
    """Moves of the discriminator that an unrolled generator foresees."""

    def choose(
        self,
        name: MethodName,
        game: games.Game,
        rule: Rule,
        discriminator_learning_rate: float | None = None,
        beta1: float = BETA1,
    ) -> Method:
        return choose(
            name,
            game,
            learning_rate=self.learning_rate,
            discriminator_learning_rate=discriminator_learning_rate,
            rule=rule,
            weight=self.weight,
            num_unrolled_steps=self.num_unrolled_steps,
            beta1=beta1,
        )

    def rotating_factors(self, singular_value: float) -> dict[str, float]:
        """The papers' factors per step of all methods on σ x y, by plain gradient descent."""
        return games.rates.factors(
            self.learning_rate,
            singular_value,
            weight=self.weight,
            momentum=MOMENTUM,
            num_unrolled_steps=self.num_unrolled_steps,
            interval=INTERVAL,
            rate=RATE,
        )


def choose(
    name: MethodName,
    game: games.Game,
    *,
    learning_rate: float,
    discriminator_learning_rate: float | None = None,
    rule: Rule,
    weight: float,
    num_unrolled_steps: int,
    beta1: float = BETA1,
) -> Method:
    """Play `game` by this method on plain gradient descent, or on Adam.

    `learning_rate` is both players', or the generator's where the discriminator has another.
    `weight` is that of consensus and symplectic adjustment. Competitive descent on Adam is a
    preconditioned variant of the paper's.
    """
    own_rate = discriminator_learning_rate or learning_rate
    if name == "competitive" and own_rate != learning_rate:
        raise Refusal(
            f"--discriminator-learning-rate is {own_rate}, but competitive "
            f"descent has one rate for both players, {learning_rate}: leave it out."
        )
    optimizers = games.Optimizers(
        generator=_optimizer(name, learning_rate, rule, beta1),
        discriminator=_optimizer(name, own_rate, rule, beta1),
    )
    play = partial(_step(name, learning_rate, weight, num_unrolled_steps), game=game)
    step: Step = partial(play, optimizers=optimizers)
    if name == "lookahead":
        step = games.lookahead(step, interval=INTERVAL, rate=RATE)
    memories = {
        "lookahead": games.lookahead_memory,
        "past_extragradient": games.past_extragradient_memory,
    }
    period = INTERVAL if name == "lookahead" else 1
    return Method(step, optimizers, memories.get(name, lambda state: state), period)


def _optimizer(
    name: MethodName, learning_rate: float, rule: Rule, beta1: float
) -> optax.GradientTransformation:
    if rule == "sgd":
        if name == "optimistic":
            return optax.optimistic_gradient_descent(learning_rate)
        momentum = MOMENTUM if name == "negative_momentum" else None
        return optax.sgd(learning_rate, momentum=momentum)
    if name == "optimistic":
        return optax.optimistic_adam_v2(learning_rate, b1=beta1)
    b1 = MOMENTUM if name == "negative_momentum" else beta1
    return optax.adam(learning_rate, b1=b1, eps_root=1e-8 if name == "unrolled" else 0.0)


def _step(
    name: MethodName, learning_rate: float, weight: float, num_unrolled_steps: int
) -> Callable:
    return {
        "simultaneous": games.simultaneous_step,
        "alternating": games.alternating_step,
        "extragradient": games.extragradient_step,
        "past_extragradient": games.past_extragradient_step,
        "optimistic": games.simultaneous_step,
        "negative_momentum": games.alternating_step,
        "consensus": partial(games.consensus_step, weight=weight),
        "symplectic": partial(games.symplectic_step, weight=weight),
        "competitive": partial(games.competitive_step, learning_rate=learning_rate),
        "lookahead": games.simultaneous_step,
        "unrolled": partial(games.unrolled_step, num_unrolled_steps=num_unrolled_steps),
    }[name]
