"""Small convolutional encoders and decoders, without batch normalisation."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv, ConvTranspose


class ConvEncoder(nn.Module):
    """Map images to `num_outputs` numbers by `depth` convolutions of stride 2 and a dense layer.

    The first convolution has `width` channels, every later one twice as many. For a diagonal
    Gaussian over d latents `num_outputs` is 2d: the means, then the log-variances.

    Raises:
        ValueError: a number is below 1.
    """

    num_outputs: int
    width: int = 16
    depth: int = 2
    kernel_size: int = 5
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_outputs=self.num_outputs, width=self.width, depth=self.depth)
        check_bound(AT_LEAST_1, kernel_size=self.kernel_size)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width channels"], *, train: bool = False
    ) -> Float[Array, "num {self.num_outputs}"]:
        for i in range(self.depth):
            down = Conv(self.width << i, (self.kernel_size,) * 2, strides=(2, 2), dtype=self.dtype)
            x = self.activation(down(x))
        x = nn.Dense(self.num_outputs, dtype=self.dtype)(x.reshape(x.shape[0], -1))
        return x.astype(jnp.float32)


class ConvDecoder(nn.Module):
    """Map latents to `shape` by a dense layer and `depth` transposed convolutions of stride 2.

    The mirror of `ConvEncoder`: the last hidden layer has `width` channels, every earlier one twice
    as many. Linear at the end, for a likelihood to read.

    Raises:
        ValueError: a number is below 1, or height or width not a multiple of two to its power.
    """

    shape: Sequence[int]
    width: int = 16
    depth: int = 2
    kernel_size: int = 5
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, width=self.width, depth=self.depth, kernel_size=self.kernel_size)
        check_bound(AT_LEAST_1, **{f"shape[{place}]": n for place, n in enumerate(self.shape)})
        super().__post_init__()

    @nn.compact
    def __call__(
        self, latents: Float[Array, "num latent"], *, train: bool = False
    ) -> Float[Array, "num *shape"]:
        height, width, channels = self.shape
        if height % (1 << self.depth) or width % (1 << self.depth):
            raise Refusal(
                f"A decoder of depth {self.depth} has no images of {height}x{width}: both must be "
                f"multiples of {1 << self.depth}."
            )
        first = (height >> self.depth, width >> self.depth, self.width << self.depth >> 1)
        dense = nn.Dense(first[0] * first[1] * first[2], dtype=self.dtype)
        up = partial(
            ConvTranspose, kernel_size=(self.kernel_size,) * 2, strides=(2, 2), dtype=self.dtype
        )
        x = self.activation(dense(latents)).reshape(-1, *first)
        for i in reversed(range(self.depth - 1)):
            x = self.activation(up(self.width << i)(x))
        return up(channels)(x).astype(jnp.float32)
