"""The DCGAN pair (Radford, Metz & Chintala 2016).

Strided convolutions instead of pooling; batch normalisation everywhere but at the generator's
output and the discriminator's input; ReLU in the generator and tanh at its end; LeakyReLU of
slope 0.2 in the discriminator; kernels from N(0, 0.02²), batch normalisation's gains from
N(1, 0.02²) as in the authors' code. The kernels are 5x5 as in figure 1 of the paper.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv, ConvTranspose

_weights = nn.initializers.normal(0.02)


def _gains(key, shape, dtype=jnp.float32):
    return 1 + _weights(key, shape, dtype)


class DCGANGenerator(nn.Module):
    """Map latents to images in [-1, 1] by `depth` transposed convolutions of stride 2.

    The last hidden layer has `width` channels (128 in the paper), every earlier one twice as many.
    `depth` is by default what leads from 4x4 or 7x7 to `size`. `axis_name` makes batch statistics
    global under `pmap`; under sharded `jit` they are global as they are.

    >>> import jax
    >>> from gan_jax import nets
    >>> generator, latents = nets.DCGANGenerator(32, 3), jax.numpy.zeros((2, 100))
    >>> images, variables = jax.eval_shape(
    ...     generator.init_with_output, jax.random.key(0), latents)
    >>> images.shape, sorted(variables)
    ((2, 32, 32, 3), ['batch_stats', 'params'])

    Raises:
        ValueError: a number is below 1, or no such network makes images of `size`.
    """

    size: int
    channels: int
    width: int = 64
    depth: int | None = None
    kernel_size: int = 5
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, size=self.size, channels=self.channels)
        check_bound(AT_LEAST_1, width=self.width, kernel_size=self.kernel_size)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self, latents: Float[Array, "num latent"], *, train: bool = False
    ) -> Float[Array, "num height width channels"]:
        depth = dcgan_depth(self.size, self.depth)
        base = self.size >> depth
        norm = _batch_norm(self, train)
        up = partial(
            ConvTranspose,
            kernel_size=(self.kernel_size,) * 2,
            strides=(2, 2),
            kernel_init=_weights,
            dtype=self.dtype,
        )
        features = [self.width << i for i in reversed(range(depth))]
        x = nn.Dense(
            base * base * features[0], use_bias=False, kernel_init=_weights, dtype=self.dtype
        )(latents)
        x = nn.relu(norm()(x.reshape(-1, base, base, features[0])))
        for width in features[1:]:
            x = nn.relu(norm()(up(width, use_bias=False)(x)))
        return jnp.tanh(up(self.channels)(x).astype(jnp.float32))


class DCGANDiscriminator(nn.Module):
    """Map square images to one logit each by `depth` convolutions of stride 2.

    The first layer has `width` channels (128 in the paper), every later one twice as many.
    `depth` and `axis_name` as in `DCGANGenerator`. Without `batch_norm` it may be given a gradient
    penalty.

    Raises:
        ValueError: a number is below 1, or no such network takes images of this size.
    """

    width: int = 64
    depth: int | None = None
    kernel_size: int = 5
    batch_norm: bool = True
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, width=self.width, kernel_size=self.kernel_size)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width channels"], *, train: bool = False
    ) -> Float[Array, " num"]:
        if x.shape[1] != x.shape[2]:
            raise Refusal(f"The images are {x.shape[1]}x{x.shape[2]}; DCGAN takes square ones.")
        depth = dcgan_depth(x.shape[1], self.depth)
        norm = _batch_norm(self, train)
        down = partial(
            Conv,
            kernel_size=(self.kernel_size,) * 2,
            strides=(2, 2),
            kernel_init=_weights,
            dtype=self.dtype,
        )
        x = nn.leaky_relu(down(self.width)(x), 0.2)
        for i in range(1, depth):
            x = down(self.width << i, use_bias=not self.batch_norm)(x)
            x = nn.leaky_relu(norm()(x) if self.batch_norm else x, 0.2)
        logits = nn.Dense(1, kernel_init=_weights, dtype=self.dtype)(x.reshape(x.shape[0], -1))
        return logits[:, 0].astype(jnp.float32)


def dcgan_depth(size: int, depth: int | None = None) -> int:
    """Count the layers of stride 2 between `size` and the 4x4 or 7x7 maps of the first one.

    A given `depth` is checked only: it must halve `size` to a whole number.
    """
    if depth is None:
        fitting = [d for d in range(1, size.bit_length()) if size in (4 << d, 7 << d)]
        if not fitting:
            raise Refusal(
                f"DCGAN has no images of size {size}: the size must be 4 or 7 times a power of two "
                "(8, 14, 16, 28, 32, 56, 64, ...), or depth must say how often it is halved."
            )
        return fitting[0]
    if depth < 1 or size % (1 << depth):
        raise Refusal(
            f"DCGAN of depth {depth} has no images of size {size}: depth must be at least 1, and "
            "the size a multiple of two to the power of depth."
        )
    return depth


def _batch_norm(module, train: bool):
    return partial(
        nn.BatchNorm,
        use_running_average=not train,
        momentum=0.9,
        scale_init=_gains,
        dtype=module.dtype,
        axis_name=module.axis_name,
    )
