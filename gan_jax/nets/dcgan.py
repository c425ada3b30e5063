"""The DCGAN pair (Radford, Metz & Chintala 2016).

Strided convolutions instead of pooling; batch normalisation everywhere but at the generator's
output and the discriminator's input; ReLU in the generator and tanh at its end; LeakyReLU of
slope 0.2 in the discriminator; kernels from N(0, 0.02²), batch normalisation's gains from
N(1, 0.02²) as in the authors' code. The kernels are 5x5 as in figure 1 of the paper.

With `num_classes` both networks are told classes y, which are joined to what every layer reads, a
plane of ones for an example's class beside planes of zeros: as in the authors' code for MNIST,
whose generator ends in a sigmoid, and where both networks have another dense layer.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv, ConvTranspose, check_num_classes, told_classes
from gan_jax.nets.layers.norms import normalization, weights_init


class DCGANGenerator(nn.Module):
    """Map latents to images in [-1, 1] by `depth` transposed convolutions of stride 2.

    The last hidden layer has `width` channels (128 in the paper), every earlier one twice as many,
    or where `doubling` is False as many: so WGAN's paper has them, without `batch_norm`, to see
    which objective still learns. `size` is the side of square images, or (height, width); `depth`
    is by default how often both sides can be halved while neither falls below 4, but at least 1:
    images of 96x96 grow from 6x6, of 48x64 from 6x8. `axis_name` makes batch statistics global
    under `pmap`; under sharded `jit` they are global as they are.

    >>> import jax
    >>> from gan_jax import nets
    >>> generator, latents = nets.DCGANGenerator(32, 3), jax.numpy.zeros((2, 100))
    >>> images, variables = jax.eval_shape(
    ...     generator.init_with_output, jax.random.key(0), latents)
    >>> images.shape, sorted(variables)
    ((2, 32, 32, 3), ['batch_stats', 'params'])

    Raises:
        ValueError: a number is below 1, no such network makes images of `size`, or labels are
            given without `num_classes`, or missing with it.
    """

    size: int | Sequence[int]
    channels: int
    width: int = 64
    depth: int | None = None
    kernel_size: int = 5
    batch_norm: bool = True
    doubling: bool = True
    num_classes: int | None = None
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        height, width = _sides(self.size)
        sides = {"size": height} if height == width else {"size[0]": height, "size[1]": width}
        check_bound(AT_LEAST_1, **sides, channels=self.channels)
        check_bound(AT_LEAST_1, width=self.width, kernel_size=self.kernel_size)
        check_num_classes(self.num_classes)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num latent"],
        labels: Int[Array, " num"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "num height width channels"]:
        height, width = _sides(self.size)
        depth = dcgan_depth(height, width, self.depth)
        base = (height >> depth, width >> depth)
        join = _joining(self, labels)
        kind = "batch" if self.batch_norm else None
        norm = normalization(kind, train=train, dtype=self.dtype, axis_name=self.axis_name)
        told = {"kernel_init": weights_init, "dtype": self.dtype}
        up = partial(ConvTranspose, kernel_size=(self.kernel_size,) * 2, strides=(2, 2), **told)
        features = [self.width << (i if self.doubling else 0) for i in reversed(range(depth))]
        num = base[0] * base[1] * features[0]
        dense = nn.Dense(num, use_bias=not self.batch_norm, **told)
        x = nn.relu(norm()(dense(join(latents)).reshape(-1, *base, features[0])))
        for width in features[1:]:
            x = nn.relu(norm()(up(width, use_bias=not self.batch_norm)(join(x))))
        return jnp.tanh(up(self.channels)(join(x)).astype(jnp.float32))


class DCGANDiscriminator(nn.Module):
    """Map images to one logit each by `depth` convolutions of stride 2.

    The first layer has `width` channels (128 in the paper), every later one twice as many.
    `depth` and `axis_name` as in `DCGANGenerator`. Without `batch_norm` it may be given a gradient
    penalty. Without `head` it returns what the logit would be read off: flat features, for a
    network that has another use for them.

    What each layer gives after its activation is sown, from the first layer on: ask for it by
    `network.apply(variables, x, mutable="intermediates")`, whose second result has a tuple of maps
    at ["intermediates"]["layers"].

    Raises:
        ValueError: a number is below 1, no such network takes images of this size, or labels are
            given without `num_classes`, or missing with it.
    """

    width: int = 64
    depth: int | None = None
    kernel_size: int = 5
    batch_norm: bool = True
    num_classes: int | None = None
    head: bool = True
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, width=self.width, kernel_size=self.kernel_size)
        check_num_classes(self.num_classes)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "num height width channels"],
        labels: Int[Array, " num"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "num *features"]:
        depth = dcgan_depth(x.shape[1], x.shape[2], self.depth)
        join = _joining(self, labels)
        kind = "batch" if self.batch_norm else None
        norm = normalization(kind, train=train, dtype=self.dtype, axis_name=self.axis_name)
        down = partial(
            Conv,
            kernel_size=(self.kernel_size,) * 2,
            strides=(2, 2),
            kernel_init=weights_init,
            dtype=self.dtype,
        )
        x = nn.leaky_relu(down(self.width)(join(x)), 0.2)
        self.sow("intermediates", "layers", x)
        for i in range(1, depth):
            x = down(self.width << i, use_bias=not self.batch_norm)(join(x))
            x = nn.leaky_relu(norm()(x), 0.2)
            self.sow("intermediates", "layers", x)
        x = join(x.reshape(x.shape[0], -1))
        if self.head:
            x = nn.Dense(1, kernel_init=weights_init, dtype=self.dtype)(x)[:, 0]
        return x.astype(jnp.float32)


def dcgan_depth(height: int, width: int, depth: int | None = None) -> int:
    """Count the layers of stride 2 between images of this size and the maps of the first one.

    A given `depth` is checked only: it must halve both sides to whole numbers.
    """
    if depth is None:
        depth = 1
        while not (height | width) % (2 << depth) and min(height, width) >> depth >= 8:
            depth += 1
    elif depth < 1:
        raise Refusal(f"depth is {depth}; it must be at least 1, or None for the default.")
    step = 1 << depth
    if height % step or width % step:
        near = "x".join(str(max(round(side / step), 1) * step) for side in (height, width))
        raise Refusal(
            f"DCGAN of depth {depth} has no images of {height}x{width}: both sides must be "
            f"multiples of {step}; resize them, such as to {near}."
        )
    return depth


def _sides(size: int | Sequence[int]) -> tuple[int, int]:
    sides = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(sides) != 2:
        raise Refusal(f"size is {size}; it must be the side of squares, or (height, width).")
    return sides


def _joining(module, labels: Array | None):
    """What joins the class of each example to its features; to no classes nothing is joined."""
    classes = told_classes(module, labels)
    if classes is None:
        return lambda x: x

    def join(x):
        ones = (1,) * (x.ndim - 2)
        planes = classes.reshape(len(x), *ones, -1).astype(x.dtype)
        planes = jnp.broadcast_to(planes, (*x.shape[:-1], module.num_classes))
        return jnp.concatenate([x, planes], axis=-1)

    return join
