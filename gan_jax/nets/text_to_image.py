"""The pair that makes images of a text (Reed, Akata, Yan, Logeswaran, Schiele & Lee 2016).

A DCGAN with 4x4 kernels that is told an embedding of the text: it is projected to a few numbers,
which are joined to the latents in the generator, and to the smallest maps in the discriminator.
Kernels start from N(0, 0.02²) and batch normalisation's gains from N(1, 0.02²), but for the text's
projection, which keeps its scale. The residual blocks are not in the paper, but in the authors'
code.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_0, AT_LEAST_1, SIGNED, Bound, check_bound
from gan_jax.nets.dcgan import dcgan_depth
from gan_jax.nets.layers import Conv, ConvTranspose
from gan_jax.nets.layers.norms import normalization, weights_init


class Bottleneck(nn.Module):
    """f(x + g(x)): convolutions of 1x1 and 3x3 to a quarter of the channels, of 3x3 back to all.

    `norm` makes the normalisation that follows each, and f, the `activation`, all but the last.
    """

    norm: Callable[[], Callable[[Array], Array]]
    activation: Callable[[jax.Array], jax.Array]
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width channels"]
    ) -> Float[Array, "num height width channels"]:
        conv = partial(Conv, use_bias=False, kernel_init=weights_init, dtype=self.dtype)
        quarter = max(x.shape[-1] // 4, 1)
        y = self.activation(self.norm()(conv(quarter, (1, 1))(x)))
        y = self.activation(self.norm()(conv(quarter, (3, 3))(y)))
        return self.activation(x + self.norm()(conv(x.shape[-1], (3, 3))(y)))


class TextToImageGenerator(nn.Module):
    """Map latents and embeddings of texts to square images in [-1, 1].

    The text becomes `text_dim` numbers by a dense layer and LeakyReLU of slope 0.2. From the
    smallest maps, of 4x4 where `size` is 4 times a power of two, transposed convolutions of stride
    2 double the sides. The last hidden layer has `width` channels, every earlier one twice as many.
    After the first `num_residual` layers, where there are so many, the ReLU is a `Bottleneck`'s.

    Reed et al. 2016, figure 2.

    >>> import jax
    >>> from gan_jax import nets
    >>> network, latents, text = nets.TextToImageGenerator(64, 3), *jax.numpy.zeros((2, 5, 100))
    >>> made, variables = jax.eval_shape(
    ...     network.init_with_output, jax.random.key(0), latents, text)
    >>> made.shape
    (5, 64, 64, 3)

    Raises:
        ValueError: a number is below its bound, or `size` is odd.
    """

    size: int
    channels: int
    width: int = 128
    text_dim: int = 128
    num_residual: int = 2
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_sizes(self)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num latent"],
        text: Float[Array, "num embedding"],
        *,
        train: bool = False,
    ) -> Float[Array, "num {self.size} {self.size} {self.channels}"]:
        def up(x: Array, features: int, *, use_bias: bool) -> Array:
            told = {"use_bias": use_bias, "kernel_init": weights_init, "dtype": self.dtype}
            return ConvTranspose(features, (4, 4), (2, 2), **told)(x)

        vector = jnp.concatenate([latents, projected(self, text)], axis=-1)
        return grow(self, vector, up, train=train)


class TextToImageDiscriminator(nn.Module):
    """Judge by one logit images, and whether they are of their text.

    4x4 convolutions of stride 2, of which the first has `width` channels and every later one twice
    as many, halve the images as often as `TextToImageGenerator` doubles them; where there are more
    than four, 1x1 convolutions bring the channels back to 8 `width`. After `num_residual` blocks
    the text, as `text_dim` numbers, is joined to every place of the map; a 1x1 convolution and one
    as large as the map follow. Batch normalisation everywhere but in the first and the last layer;
    LeakyReLU of slope 0.2.

    The critic of both stages of StackGAN, too, whose code has no LeakyReLU before the fourth layer;
    Reed et al.'s has one, as here, and normalises the projected text.

    Reed et al. 2016, figure 2; Zhang et al. 2017, section 3.

    Raises:
        ValueError: a number is below its bound, or no such network takes images of this size.
    """

    width: int = 64
    text_dim: int = 128
    num_residual: int = 1
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, width=self.width, text_dim=self.text_dim)
        check_bound(AT_LEAST_0, num_residual=self.num_residual)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "num height width channels"],
        text: Float[Array, "num embedding"],
        *,
        train: bool = False,
    ) -> Float[Array, " num"]:
        depth = dcgan_depth(*x.shape[1:3])
        norm = normalization("batch", train=train, dtype=self.dtype, axis_name=self.axis_name)
        activation = partial(nn.leaky_relu, negative_slope=0.2)
        conv = partial(Conv, use_bias=False, kernel_init=weights_init, dtype=self.dtype)
        down = partial(conv, kernel_size=(4, 4), strides=(2, 2))
        here = partial(conv, kernel_size=(1, 1))
        x = down(self.width, use_bias=True)(x)
        for i in range(1, depth):
            x = norm()(down(self.width << i)(activation(x)))
        for i in reversed(range(3, depth - 1)):
            x = norm()(here(self.width << i)(activation(x)))
        for _ in range(self.num_residual):
            x = Bottleneck(norm, activation, self.dtype)(x)
        x = x if self.num_residual else activation(x)
        x = activation(norm()(here(x.shape[-1])(joined(x, projected(self, text)))))
        logit = nn.Dense(1, kernel_init=weights_init, dtype=self.dtype)
        return logit(x.reshape(len(x), -1))[:, 0].astype(jnp.float32)


def projected(
    module: Any, text: Float[Array, "num embedding"]
) -> Float[Array, "num {module.text_dim}"]:
    """Bring embeddings to `module.text_dim` numbers, by layers inside of it."""
    return nn.leaky_relu(nn.Dense(module.text_dim, dtype=module.dtype)(text), 0.2)


def grow(
    module: Any,
    vector: Float[Array, "num numbers"],
    up: Callable[..., Array],
    *,
    train: bool,
) -> Float[Array, "num {module.size} {module.size} {module.channels}"]:
    """Make images of vectors, by layers inside of `module`, which has the sizes.

    `up(x, features, use_bias=...)` doubles maps, and gives them so many channels.
    """
    depth = dcgan_depth(module.size, module.size)
    norm = normalization("batch", train=train, dtype=module.dtype, axis_name=module.axis_name)
    side, features = module.size >> depth, [module.width << i for i in reversed(range(depth))]
    num = side * side * features[0]
    x = nn.Dense(num, use_bias=False, kernel_init=weights_init, dtype=module.dtype)(vector)
    x = x.reshape(-1, side, side, features[0])
    for i, width in enumerate(features):
        x = norm()(up(x, width, use_bias=False) if i else x)
        x = Bottleneck(norm, nn.relu, module.dtype)(x) if i < module.num_residual else nn.relu(x)
    return jnp.tanh(up(x, module.channels, use_bias=True).astype(jnp.float32))


def joined(
    maps: Float[Array, "num *sides channels"], vectors: Float[Array, "num numbers"]
) -> Float[Array, "num *sides more"]:
    """Give every place of each map the numbers of its vector, as further channels."""
    placed = jnp.expand_dims(vectors, range(1, maps.ndim - 1))
    tiled = jnp.broadcast_to(placed, (*maps.shape[:-1], vectors.shape[-1]))
    return jnp.concatenate([maps, tiled], axis=-1)


def check_sizes(module: Any) -> None:
    """Raise ValueError at the first number of a generator that is below its bound."""
    check_bound(AT_LEAST_1, size=module.size, channels=module.channels, width=module.width)
    check_bound(AT_LEAST_1, text_dim=module.text_dim)
    check_bound(AT_LEAST_0, num_residual=module.num_residual)
