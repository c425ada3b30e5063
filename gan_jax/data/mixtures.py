"""Gaussian mixtures in the plane, on which the modes that a generator covers can be counted."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, NOT_NEGATIVE, POSITIVE, check_bound
from gan_jax.typing import KeyArray


class Mixture(NamedTuple):
    """Mix isotropic Gaussians in equal shares: p(x) = 1/K sum_k N(x; means_k, std² I)."""

    means: Float[Array, "modes 2"]
    std: float


def ring(num_modes: int = 8, *, radius: float = 1.0, std: float = 0.01) -> Mixture:
    """Place K modes on a circle: means_k = radius (cos 2πk/K, sin 2πk/K).

    The defaults are those of VEEGAN and PacGAN. Metz et al. (Unrolled GAN, 2017) have
    `ring(radius=2.0, std=0.02)`, and Gulrajani et al. (WGAN-GP, 2017) that ring divided by 1.414:
    `ring(radius=2 / 1.414, std=0.02 / 1.414)`. Numbers of different rings do not compare.

    Raises:
        ValueError: no mode, a radius that is not positive, a negative std, or one not finite.

    Srivastava et al. (VEEGAN) 2017; Lin et al. (PacGAN) 2018.
    """
    check_bound(AT_LEAST_1, num_modes=num_modes)
    check_bound(POSITIVE, radius=radius)
    angles = 2 * np.pi * np.arange(num_modes) / num_modes
    return _mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std)


def grid(side: int = 5, *, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """Place side² modes on a square lattice centred on the origin.

    The defaults are those of VEEGAN and PacGAN: 25 modes at {-4, -2, 0, 2, 4}². WGAN-GP divides
    them by 2.828: `grid(spacing=2 / 2.828, std=0.05 / 2.828)`. Balduzzi et al. (symplectic
    gradient adjustment, 2018) have `grid(4, spacing=1.0, std=0.02)`.

    Raises:
        ValueError: no mode, a spacing that is not positive, a negative std, or one not finite.

    Srivastava et al. (VEEGAN) 2017; Lin et al. (PacGAN) 2018.
    """
    check_bound(AT_LEAST_1, side=side)
    check_bound(POSITIVE, spacing=spacing)
    places = spacing * (np.arange(side) - (side - 1) / 2)
    return _mixture(np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2), std)


def sample(key: KeyArray, mixture: Mixture, num: int) -> Float[Array, "{num} 2"]:
    """Draw points: a mode uniformly, then means_k + std ε with ε ~ N(0, I).

    Raises:
        ValueError: `num` is not positive.
    """
    check_bound(AT_LEAST_1, num=num)
    mode_key, noise_key = jax.random.split(key)
    modes = jax.random.randint(mode_key, (num,), 0, mixture.means.shape[0])
    noise = jax.random.normal(noise_key, (num, 2), mixture.means.dtype)
    return mixture.means[modes] + mixture.std * noise


def _mixture(means: np.ndarray, std: float) -> Mixture:
    check_bound(NOT_NEGATIVE, std=std)
    return Mixture(jnp.asarray(means, jnp.float32), std)
