"""Two-player games and their dynamics: knows nothing of images, networks or GANs."""

from gan_jax.games.averaging import (
    Average,
    averaged,
    exponential_average,
    exponential_average_memory,
)
from gan_jax.games.core import (
    Game,
    GameState,
    Gradients,
    Optimizers,
    Outcome,
    Player,
    PlayerOutcome,
    Weights,
    init,
    vector_field,
)
from gan_jax.games.descent import DescentState, Objective, descent_step, init_descent
from gan_jax.games.steps import (
    alternating_step,
    discriminator_step,
    generator_step,
    simultaneous_step,
)
from gan_jax.games.transforms import clip_params

__all__ = [
    "Average",
    "DescentState",
    "Game",
    "GameState",
    "Gradients",
    "Objective",
    "Optimizers",
    "Outcome",
    "Player",
    "PlayerOutcome",
    "Weights",
    "alternating_step",
    "averaged",
    "clip_params",
    "descent_step",
    "discriminator_step",
    "exponential_average",
    "exponential_average_memory",
    "generator_step",
    "init",
    "init_descent",
    "simultaneous_step",
    "vector_field",
]
