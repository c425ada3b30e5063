"""A player's gradient over draws of latents: its size, its spread and its mean."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_2, check_bound
from gan_jax.games.core import Game, GameState, PlayerName, own_gradient
from gan_jax.typing import Batch, KeyArray


class GradientStatistics(NamedTuple):
    """Of a gradient g, all params in one row: norm, E ‖g‖; spread, √E ‖g - E g‖²; mean, E g."""

    norm: Float[Array, ""]
    spread: Float[Array, ""]
    mean: Float[Array, " params"]


def gradient_statistics(
    player: PlayerName,
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    num_draws: int,
) -> GradientStatistics:
    """Means over draws of the game's key, by which latents come, at one point and on one batch.

    So the noise is that of latents alone; `vmap` over batches has that of data too. The square of
    the spread is the trace of the gradient's covariance, by 1/n.

    >>> import jax, optax
    >>> from gan_jax import games
    >>> sgd = games.Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
    >>> x, y = (games.Weights(params=jax.numpy.float32(at)) for at in (1.0, 0.5))
    >>> state = games.init(generator=x, discriminator=y, optimizers=sgd)  # of min_x max_y xy
    >>> found = games.gradient_statistics("generator", jax.random.key(0), state, {},
    ...     game=games.toy.bilinear(), num_draws=4)
    >>> print(found.norm, found.spread, found.mean)  # the slope in x is y, whatever is drawn
    0.5 0.0 [0.5]

    Raises:
        ValueError: `num_draws` is below 2.
    """
    check_bound(AT_LEAST_2, num_draws=num_draws)

    def drawn(key: KeyArray) -> Float[Array, " params"]:
        gradient, _ = own_gradient(player, key, state, batch, game=game)
        return ravel_pytree(gradient)[0]

    each = jax.lax.map(drawn, jax.random.split(key, num_draws))
    mean = jnp.mean(each, axis=0, keepdims=True)
    spread = jnp.sqrt(jnp.mean(jnp.sum((each - mean) ** 2, axis=1)))
    return GradientStatistics(jnp.mean(jnp.linalg.norm(each, axis=1)), spread, mean[0])
