"""What a VAE has learned, as images."""

import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.games import Weights
from gan_jax.systems.vae import VAE
from gan_jax.typing import Batch


def reconstructed(model: VAE, weights: Weights, batch: Batch) -> Float[Array, "batch *shape"]:
    """E[x|z] at the mean z of each example's q(z|x)."""
    posterior = model.encode(weights, batch)
    return model.likelihood.mean(model.decode(weights, posterior.mean))


def manifold(model: VAE, weights: Weights, side: int) -> Float[Array, "{side*side} *shape"]:
    """E[x|z] at the z of `quantile_grid`, for a model of two latents.

    Kingma & Welling 2014, figure 4.
    """
    return model.likelihood.mean(model.decode(weights, quantile_grid(side)))


def quantile_grid(side: int) -> Float[Array, "{side*side} 2"]:
    """Φ⁻¹ of a grid over the unit square, centres of its cells, row by row from the top left.

    Raises:
        ValueError: `side` is below 1.
    """
    check_bound(AT_LEAST_1, side=side)
    at = norm.ppf((jnp.arange(side) + 0.5) / side)
    return jnp.stack(jnp.meshgrid(at, -at), axis=-1).reshape(-1, 2)
