"""The ways of playing, by the names that experiments take as flags."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, get_args

import optax

from gan_jax.games import (
    Game,
    GameState,
    Optimizers,
    alternating_step,
    competitive_step,
    consensus_step,
    extragradient_step,
    lookahead,
    lookahead_memory,
    past_extragradient_memory,
    past_extragradient_step,
    simultaneous_step,
    symplectic_step,
    unrolled_step,
)
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
    optimizers: Optimizers
    remember: Callable[[GameState], GameState]


def choose(
    name: MethodName,
    game: Game,
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
    optimizers = Optimizers(generator=optimizer, discriminator=optimizer)
    play = partial(_step(name, learning_rate, weight, num_unrolled_steps), game=game)
    step: Step = partial(play, optimizers=optimizers)
    if name == "lookahead":
        step = lookahead(step, interval=INTERVAL, rate=RATE)
    memories = {"lookahead": lookahead_memory, "past_extragradient": past_extragradient_memory}
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
        "simultaneous": simultaneous_step,
        "alternating": alternating_step,
        "extragradient": extragradient_step,
        "past_extragradient": past_extragradient_step,
        "optimistic": simultaneous_step,
        "negative_momentum": alternating_step,
        "consensus": partial(consensus_step, weight=weight),
        "symplectic": partial(symplectic_step, weight=weight),
        "competitive": partial(competitive_step, learning_rate=learning_rate),
        "lookahead": simultaneous_step,
        "unrolled": partial(unrolled_step, num_unrolled_steps=num_unrolled_steps),
    }[name]
