"""Games whose trajectories are known exactly. They need no network and ignore their batch."""

import jax.numpy as jnp

from gan_jax.games.core import Game, Outcome, PlayerOutcome


def bilinear() -> Game:
    """min_x max_y ⟨x, y⟩: the generator holds x, the discriminator y, scalars or vectors.

    The vector field is (y, -x), its Jacobian's eigenvalues ±i. With learning rate α, simultaneous
    gradient descent multiplies ‖x‖² + ‖y‖² by exactly 1 + α² in each step; alternating descent
    (y first) conserves ‖x‖² + ‖y‖² + α⟨x, y⟩.
    """

    def game(*, generator, discriminator, batch, key):
        value = jnp.vdot(generator.params, discriminator.params)
        return Outcome(generator=PlayerOutcome(value), discriminator=PlayerOutcome(-value))

    return game


def dirac_gan(loss) -> Game:
    """The Dirac-GAN: data δ_0, generator δ_θ, discriminator D(x) = ψ x.

    L_D(θ, ψ) = real(ψ·0) + fake(ψ θ),  L_G(θ, ψ) = generator(ψ θ), with the three curves of an
    `AdversarialLoss`. Under `minimax` θ² + ψ² is conserved in continuous time, and the vector
    field's Jacobian at the equilibrium (0, 0) has the eigenvalues ±i/2; simultaneous gradient
    descent of step h expands there by √(1 + h²/4).

    Mescheder, Geiger & Nowozin 2018, definition 2.1 and section 2.
    """

    def game(*, generator, discriminator, batch, key):
        real_logit = discriminator.params * jnp.zeros_like(generator.params)
        fake_logit = discriminator.params * generator.params
        return Outcome(
            generator=PlayerOutcome(loss.generator(fake_logit)),
            discriminator=PlayerOutcome(loss.real(real_logit) + loss.fake(fake_logit)),
        )

    return game
