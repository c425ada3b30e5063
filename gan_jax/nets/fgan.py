"""The generator of the f-GAN paper's univariate study (Nowozin, Cseke & Tomioka 2016, 2.4)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class LocationScale(nn.Module):
    """x = μ + σ ⊙ z for latents of `dim` numbers; starts at N(0, I), with σ as its logarithm."""

    dim: int = 1

    @nn.compact
    def __call__(
        self, latents: Float[Array, "num {self.dim}"], *, train: bool = False
    ) -> Float[Array, "num {self.dim}"]:
        mean = self.param("mean", nn.initializers.zeros, (1, self.dim))
        log_deviation = self.param("log_deviation", nn.initializers.zeros, (1, self.dim))
        return mean + jnp.exp(log_deviation) * latents
