"""Unrolled GANs: the generator foresees how the discriminator will answer."""

from functools import partial

import jax

from gan_jax.checks import AT_LEAST_0, check_bound
from gan_jax.games.core import (
    Game,
    GameState,
    Optimizers,
    Outcome,
    Player,
    Weights,
    across_devices,
    check_optimizers,
    check_scalar,
)
from gan_jax.games.steps import move, simultaneous_step
from gan_jax.typing import Batch, KeyArray, Metrics


def unrolled_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    num_unrolled_steps: int,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Move both players at once, the generator against the discriminator's K-th next move.

    θ' = θ - η ∇_θ L_G(θ, ψ^K(θ)),  ψ' = ψ - η ∇_ψ L_D(θ, ψ), with ψ^0 = ψ and
    ψ^{k+1} = ψ^k - η ∇_ψ L_D(θ, ψ^k), for plain gradient descent and K = `num_unrolled_steps`.

    The K moves are those of the discriminator's own optimiser, from its present state and on the
    same sample; the gradient goes through all of them, which are computed again on the way back
    rather than kept. Through Adam it is nan where a gradient is 0, unless the square root is kept
    from 0: `optax.adam(rate, eps_root=1e-8)`. The generator's metrics are those of the game against
    ψ^K. With K = 0 it is `simultaneous_step`.

    Metz et al. 2017, equations (4) to (7).

    Raises:
        ValueError: K is negative.
    """
    check_bound(AT_LEAST_0, num_unrolled_steps=num_unrolled_steps)
    check_optimizers(optimizers)

    def foreseeing(*, generator: Weights, discriminator: Weights, batch, key) -> Outcome:
        @partial(jax.checkpoint, prevent_cse=False)
        def turn(player: Player, _):
            def loss(params):
                weights = player.weights.replace(params=params)
                outcome = game(generator=generator, discriminator=weights, batch=batch, key=key)
                check_scalar(outcome.discriminator.loss, "discriminator")
                return outcome.discriminator.loss, outcome.discriminator

            gradient, outcome = jax.grad(loss, has_aux=True)(player.weights.params)
            gradient, outcome = across_devices(gradient, outcome, axis_name)
            return move(player, gradient, outcome, optimizer=optimizers.discriminator)[0], None

        present = game(generator=generator, discriminator=discriminator, batch=batch, key=key)
        player = state.discriminator.replace(weights=discriminator)
        player, _ = jax.lax.scan(turn, player, length=num_unrolled_steps)
        future = game(generator=generator, discriminator=player.weights, batch=batch, key=key)
        return present._replace(generator=future.generator)

    return simultaneous_step(
        key, state, batch, game=foreseeing, optimizers=optimizers, axis_name=axis_name
    )
