"""Progressive growing: what a step of networks that fade in is given (Karras et al. 2018)."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.games import GameState, Player
from gan_jax.nets.growing import share_of
from gan_jax.signals import from_laplacian_pyramid, laplacian_pyramid
from gan_jax.typing import Batch, KeyArray, Metrics, Scalar, Step


def growing(
    step: Step, level: Callable[[Scalar], Scalar], *, num_levels: int, field: str = "image"
) -> Step:
    """Take a step at the level ℓ = level(state.step), which both players' "fade" is told before.

    The real examples of `field` are `coarsened` to that level, as the generator's are. What is
    reached follows from the state, so a run that is resumed goes on where it was.
    """

    def growing_step(key: KeyArray, state: GameState, batch: Batch) -> tuple[GameState, Metrics]:
        reached = jnp.asarray(level(state.step), jnp.float32)

        def told(player: Player) -> Player:
            weights = player.weights
            fade = {**weights.state, "fade": {"level": reached}}
            return player.replace(weights=weights.replace(state=fade))

        state = state.replace(
            generator=told(state.generator), discriminator=told(state.discriminator)
        )
        real = coarsened(batch[field], reached, num_levels)
        return step(key, state, {**batch, field: real})

    return growing_step


def coarsened(
    x: Float[Array, "num height width channels"], level: Scalar, num_levels: int
) -> Float[Array, "num height width channels"]:
    """Examples as they are at a level ℓ of the levels 0, 1, ..., at the last of which all is there.

        x̃_k = (1 - α_k) up(x̃_{k-1}) + α_k x_k,  α_k = `share_of(k, ℓ)`

    for x_k, the means of x at level k: each band of a Laplacian pyramid is scaled by its α_k.

    Raises:
        ValueError: as `signals.laplacian_pyramid`.
    """
    bands = laplacian_pyramid(x, num_levels=num_levels)
    levels = range(num_levels - 1, -1, -1)
    return from_laplacian_pyramid(
        [share_of(at, level) * band for at, band in zip(levels, bands, strict=True)]
    )
