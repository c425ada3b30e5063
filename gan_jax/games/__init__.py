"""Two-player games and their dynamics: knows nothing of images, networks or GANs."""

from gan_jax.games import analysis, playgrounds, rates, toy
from gan_jax.games.averaging import (
    Average,
    averaged,
    exponential_average,
    exponential_average_memory,
    uniform_average,
    uniform_average_memory,
)
from gan_jax.games.competitive import competitive_step
from gan_jax.games.consensus import consensus_step
from gan_jax.games.convergence import convergence_factor
from gan_jax.games.core import (
    Game,
    GameState,
    Gradients,
    Optimizers,
    Outcome,
    Player,
    PlayerOutcome,
    Weights,
    get_params,
    init,
    set_params,
    vector_field,
)
from gan_jax.games.counted import counted
from gan_jax.games.descent import DescentState, Objective, descent_step, init_descent
from gan_jax.games.every import every
from gan_jax.games.extragradient import (
    PastGradients,
    extragradient_step,
    past_extragradient_memory,
    past_extragradient_step,
)
from gan_jax.games.gradients import GradientStatistics, gradient_statistics
from gan_jax.games.lookahead import Lookahead, lookahead, lookahead_memory
from gan_jax.games.population import population
from gan_jax.games.reporting import reporting
from gan_jax.games.rows import init_rows, rows_step
from gan_jax.games.steps import (
    alternating_step,
    discriminator_step,
    generator_step,
    simultaneous_step,
)
from gan_jax.games.symplectic import symplectic_step
from gan_jax.games.together import together
from gan_jax.games.transforms import clip_params
from gan_jax.games.unrolled import unrolled_step

__all__ = [
    "Average",
    "DescentState",
    "Game",
    "GameState",
    "GradientStatistics",
    "Gradients",
    "Lookahead",
    "Objective",
    "Optimizers",
    "Outcome",
    "PastGradients",
    "Player",
    "PlayerOutcome",
    "Weights",
    "alternating_step",
    "analysis",
    "averaged",
    "clip_params",
    "competitive_step",
    "consensus_step",
    "convergence_factor",
    "counted",
    "descent_step",
    "discriminator_step",
    "every",
    "exponential_average",
    "exponential_average_memory",
    "extragradient_step",
    "generator_step",
    "get_params",
    "gradient_statistics",
    "init",
    "init_descent",
    "init_rows",
    "lookahead",
    "lookahead_memory",
    "past_extragradient_memory",
    "past_extragradient_step",
    "playgrounds",
    "population",
    "rates",
    "reporting",
    "rows_step",
    "set_params",
    "simultaneous_step",
    "symplectic_step",
    "together",
    "toy",
    "uniform_average",
    "uniform_average_memory",
    "unrolled_step",
    "vector_field",
]
