"""Maxout: an activation that is learned."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound


class Maxout(nn.Module):
    """h_i(x) = max_j z_ij, z_ij = xᵀ W_ij + b_ij, over `num_pieces` linear pieces j of each unit i.

    Goodfellow et al. 2013, section 2.

    Raises:
        ValueError: `features` or `num_pieces` is below 1.
    """

    features: int
    num_pieces: int
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, features=self.features, num_pieces=self.num_pieces)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "num in"]) -> Float[Array, "num {self.features}"]:
        num = self.features * self.num_pieces
        z = nn.Dense(num, kernel_init=self.kernel_init, dtype=self.dtype)(x)
        return jnp.max(z.reshape(-1, self.features, self.num_pieces), axis=-1)
