"""Multi-layer perceptrons, for points and small images."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class MLPGenerator(nn.Module):
    """Map latents to examples of `shape` through hidden layers of `widths`; linear at the end."""

    shape: Sequence[int]
    widths: Sequence[int] = (128, 128)
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    dtype: Any = None

    @nn.compact
    def __call__(
        self, latents: Float[Array, "num latent"], *, train: bool = False
    ) -> Float[Array, "num *shape"]:
        x = _hidden(latents, self.widths, self.activation, self.dtype)
        x = nn.Dense(math.prod(self.shape), dtype=self.dtype)(x)
        return x.reshape(-1, *self.shape).astype(jnp.float32)


class MLPDiscriminator(nn.Module):
    """Map examples of any shape to one logit each through hidden layers of `widths`."""

    widths: Sequence[int] = (128, 128)
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "num *shape"], *, train: bool = False
    ) -> Float[Array, " num"]:
        x = _hidden(x.reshape(x.shape[0], -1), self.widths, self.activation, self.dtype)
        return nn.Dense(1, dtype=self.dtype)(x)[:, 0].astype(jnp.float32)


def _hidden(x, widths, activation, dtype):
    for width in widths:
        x = activation(nn.Dense(width, dtype=dtype)(x))
    return x
