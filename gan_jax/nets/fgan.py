"""The generator of the f-GAN paper's univariate study (Nowozin, Cseke & Tomioka 2016, 2.4)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound


class LocationScale(nn.Module):
    """x = μ + σ ⊙ z for latents of `dim` numbers; starts at N(0, I), with σ as its logarithm.

    Raises:
        ValueError: `dim` is below 1.
    """

    dim: int = 1

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, dim=self.dim)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, latents: Float[Array, "num {self.dim}"], *, train: bool = False
    ) -> Float[Array, "num {self.dim}"]:
        mean = self.param("mean", nn.initializers.zeros, (1, self.dim))
        log_deviation = self.param("log_deviation", nn.initializers.zeros, (1, self.dim))
        return mean + jnp.exp(log_deviation) * latents
