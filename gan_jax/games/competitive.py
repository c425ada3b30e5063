"""Competitive gradient descent: each player answers what the opponent is about to do."""

from collections.abc import Callable

import jax
from jax.flatten_util import ravel_pytree

from gan_jax.checks import AT_LEAST_1, NOT_NEGATIVE, POSITIVE, check_bound
from gan_jax.games.core import (
    Game,
    GameState,
    Gradients,
    Optimizers,
    get_params,
    own_gradient,
    set_params,
    vector_field,
)
from gan_jax.games.krylov import solve
from gan_jax.games.steps import move_both
from gan_jax.typing import Batch, KeyArray, Metrics, Params, Scalar


def competitive_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    learning_rate: float | Scalar,
    zero_sum: bool = False,
    tolerance: float = 1e-5,
    max_iterations: int = 100,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Move both players to the Nash equilibrium of the game's bilinear model around this point.

    With f and g the generator's and the discriminator's loss and η = `learning_rate`,

        Δθ = -η (I - η² D²_θψ f D²_ψθ g)⁻¹ (∇_θ f - η D²_θψ f ∇_ψ g),
        Δψ = -η (∇_ψ g + D²_ψθ g Δθ).

    The optimisers are given -Δ/η: with plain gradient descent of the same learning rate the move is
    Δ, as in the paper; any other makes it a preconditioned variant. Of the second derivatives only
    products with vectors are computed. The system is solved to the relative residual `tolerance`,
    by conjugate gradients where the game is declared `zero_sum` and the system therefore symmetric
    and positive definite, else by BiCGStab. It suffices that D²_θψ (f + g) = 0: minimax and
    Wasserstein losses, also with a penalty on real examples, not with one on fakes. The metrics say
    what it took: `solver/residual`, `solver/iterations`, and `solver/converged`, which is False
    where `max_iterations` or a breakdown came first; the move is then that of the last iterate.

    `grad_norm` is the norm of what the optimiser is given. With learning rate 0 it is
    `simultaneous_step`.

    Schäfer & Anandkumar 2019, equation (3) and Algorithm 1.

    Raises:
        ValueError: `learning_rate` is negative, or `tolerance` or `max_iterations` not positive.
    """
    check_bound(NOT_NEGATIVE, learning_rate=learning_rate)
    check_bound(POSITIVE, tolerance=tolerance)
    check_bound(AT_LEAST_1, max_iterations=max_iterations)
    gradients, outcome = vector_field(key, state, batch, game=game, axis_name=axis_name)
    generator, theta = ravel_pytree(gradients.generator)
    discriminator, psi = ravel_pytree(gradients.discriminator)
    mixed_generator, mixed_discriminator = _mixed_products(
        key, state, batch, game=game, axis_name=axis_name
    )

    def answer_of_generator(direction):
        """η D²_θψ f times a direction of ψ, as flat vectors."""
        return learning_rate * ravel_pytree(mixed_generator(psi(direction)))[0]

    def answer_of_discriminator(direction):
        """η D²_ψθ g times a direction of θ, as flat vectors."""
        return learning_rate * ravel_pytree(mixed_discriminator(theta(direction)))[0]

    direction, report = solve(
        lambda u: u - answer_of_generator(answer_of_discriminator(u)),
        generator - answer_of_generator(discriminator),
        positive_definite=zero_sum,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    moves = Gradients(
        generator=theta(direction),
        discriminator=psi(discriminator - answer_of_discriminator(direction)),
    )
    state, metrics = move_both(state, moves, outcome, optimizers=optimizers)
    reported = {f"solver/{name}": value for name, value in report._asdict().items()}
    return state.replace(step=state.step + 1), metrics | reported


def _mixed_products(
    key: KeyArray, state: GameState, batch: Batch, *, game: Game, axis_name: str | None
) -> tuple[Callable[[Params], Params], Callable[[Params], Params]]:
    """The products D²_θψ f · Δψ, as a function of Δψ, and D²_ψθ g · Δθ, as one of Δθ."""
    params = get_params(state)

    def of_generator(discriminator):
        at = set_params(state, params._replace(discriminator=discriminator))
        return own_gradient("generator", key, at, batch, game=game, axis_name=axis_name)[0]

    def of_discriminator(generator):
        at = set_params(state, params._replace(generator=generator))
        return own_gradient("discriminator", key, at, batch, game=game, axis_name=axis_name)[0]

    _, mixed_generator = jax.linearize(of_generator, params.discriminator)
    _, mixed_discriminator = jax.linearize(of_discriminator, params.generator)
    return mixed_generator, mixed_discriminator
