"""How far maps of noise are from white: one number per example."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import Bound, check_bound
from gan_jax.losses.precision import at_least_float32

SMALLEST = 8
POWER_OF_2 = Bound(lambda side: side > 0 and side & (side - 1) == 0, "a power of 2")


def noise_correlation(noise: Float[Array, "num side side 1"]) -> Float[Array, " num"]:
    """Σ_j (mean of n_j(x, y) n_j(x - 1, y))² + (mean of n_j(x, y) n_j(x, y - 1))², around edges.

    n_0 is the map of an example, and n_j its halvings down to 8x8: means of 2x2 pixels, doubled, so
    that of white noise they have the same variance.

    >>> import jax.numpy as jnp
    >>> from gan_jax import losses
    >>> losses.noise_correlation(jnp.ones((1, 8, 8, 1))).tolist()
    [2.0]
    >>> losses.noise_correlation(jnp.ones((1, 16, 16, 1))).tolist()  # 2 at 16x16, 2 · 2⁴ at 8x8
    [34.0]

    Karras et al. 2020 (StyleGAN2), appendix D; the authors' code does not double.

    Raises:
        ValueError: the side is no power of 2.
    """
    check_bound(POWER_OF_2, side=noise.shape[1])
    level, total = at_least_float32(noise), jnp.zeros(len(noise))
    while True:
        for axis in (1, 2):
            products = level * jnp.roll(level, 1, axis)
            total = total + jnp.square(jnp.mean(products, axis=(1, 2, 3)))
        half = level.shape[1] // 2
        if half < SMALLEST:
            return total
        level = 2 * jnp.mean(level.reshape(-1, half, 2, half, 2, 1), axis=(2, 4))
