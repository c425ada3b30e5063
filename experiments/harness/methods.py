"""The ways of playing, by the names that experiments take as flags."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, get_args

import optax

from gan_jax import games
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

MOMENTUM = -0.5
"""Of both players, in alternating play (Gidel et al. 2019)."""
INTERVAL, RATE = 5, 0.5
"""Lookahead's steps between two returns, and how much of the way it keeps."""


class Method(NamedTuple):
    """A way of playing one game: what `init` needs, what the state needs, and the step."""

    step: Step
    optimizers: games.Optimizers
    remember: Callable[[games.GameState], games.GameState]


def choose(
    name: MethodName,
    game: games.Game,
    *,
    learning_rate: float,
    rule: Literal["sgd", "adam"],
    weight: float,
    num_unrolled_steps: int,
) -> Method:
    """Play `game` by this method on plain gradient descent, or on Adam with beta1 = 0.5.

    `weight` is that of consensus and symplectic adjustment. Competitive descent on Adam is a
    preconditioned variant of the paper's.
    """
    optimizer = _optimizer(name, learning_rate, rule)
    optimizers = games.Optimizers(generator=optimizer, discriminator=optimizer)
    play = partial(_step(name, learning_rate, weight, num_unrolled_steps), game=game)
    step: Step = partial(play, optimizers=optimizers)
    if name == "lookahead":
        step = games.lookahead(step, interval=INTERVAL, rate=RATE)
    memories = {
        "lookahead": games.lookahead_memory,
        "past_extragradient": games.past_extragradient_memory,
    }
    return Method(step, optimizers, memories.get(name, lambda state: state))


def _optimizer(
    name: MethodName, learning_rate: float, rule: Literal["sgd", "adam"]
) -> optax.GradientTransformation:
    if rule == "sgd":
        if name == "optimistic":
            return optax.optimistic_gradient_descent(learning_rate)
        momentum = MOMENTUM if name == "negative_momentum" else None
        return optax.sgd(learning_rate, momentum=momentum)
    if name == "optimistic":
        return optax.optimistic_adam_v2(learning_rate, b1=0.5)
    b1 = MOMENTUM if name == "negative_momentum" else 0.5
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
