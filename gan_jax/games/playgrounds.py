"""Small games whose equilibrium is known, each with a point to start from."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from gan_jax.games import toy
from gan_jax.games.core import Game, Gradients

POTENTIAL = np.array([[0.4, 0.0], [0.0, 0.2]])
ROTATION = np.array([[0.0, 1.0], [-1.0, 0.0]])


class Playground(NamedTuple):
    """A game, where play starts, and where its equilibrium is."""

    game: Game
    start: Gradients
    equilibrium: Gradients


def bilinear() -> Playground:
    """⟨x, y⟩, all rotation, from (1, ½)."""
    return Playground(toy.bilinear(), _point(1.0, 0.5), _point(0.0, 0.0))


def dirac_gan(loss) -> Playground:
    """The Dirac-GAN from (0.01, 0.005), near its equilibrium.

    There it is σ x y to first order; σ = ½ under the `minimax` loss.
    """
    return Playground(toy.dirac_gan(loss), _point(1e-2, 5e-3), _point(0.0, 0.0))


def mixed() -> Playground:
    """Losses x²/5 + xy and y²/10 - xy, part potential and part rotation, from (1, ½)."""
    game = toy.quadratic(potential=POTENTIAL, hamiltonian=ROTATION)
    return Playground(game, _point([1.0], [0.5]), _point([0.0], [0.0]))


def stochastic(seed: int) -> Playground:
    """Random terms around ⟨x, y⟩, one a round; the start is at distance 1 from the equilibrium."""
    terms = toy.random_terms(seed)
    at = toy.stochastic_bilinear_equilibrium(*terms)
    aside = 1 / np.sqrt(2 * at.generator.size)
    start = Gradients(at.generator + aside, at.discriminator - aside)
    return Playground(toy.stochastic_bilinear(*terms, num_samples=1), start, at)


def _point(x: float | list[float], y: float | list[float]) -> Gradients:
    return Gradients(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
