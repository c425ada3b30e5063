"""The networks of LAPGAN (Denton et al. 2015), as in the authors' code for CIFAR-10.

A pair for the coarsest images, of perceptrons, and one for each finer level, of convolutions, which
is called with u(I_{k+1}), the coarser image enlarged, as a condition. With `num_classes` all are
told classes, too. The paper's text has other base networks for 8x8 images (1,200 units in the
generator, 600 in the discriminator); the authors' code, which is followed, has those of the
defaults here.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_0, AT_LEAST_1, DECAY, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv, MinibatchDiscrimination, check_num_classes, told_classes
from gan_jax.nets.mlp import check_sizes


class LAPGANGenerator(nn.Module):
    """Map a plane of noise and the coarser image, enlarged, to what that image lacks.

    Three convolutions that keep the size, with ReLU between them, see the noise, the coarser image
    and, where there are classes, a plane for an example's class, side by side. The last is linear.
    The paper's noise is U(-1, 1), one number a pixel.

    >>> import jax
    >>> from gan_jax import nets
    >>> network, noise = nets.LAPGANGenerator(3), jax.numpy.zeros((2, 32, 32, 1))
    >>> coarse = jax.numpy.zeros((2, 32, 32, 3))
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), noise, coarse)[0].shape
    (2, 32, 32, 3)

    Raises:
        ValueError: a number is below 1, there are not three kernel sizes, or labels are given
            without `num_classes`, or missing with it.
    """

    channels: int
    width: int = 64
    kernel_sizes: Sequence[int] = (7, 7, 5)
    num_classes: int | None = None
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, channels=self.channels, width=self.width)
        check_sizes(kernel_sizes=self.kernel_sizes)
        if len(self.kernel_sizes) != 3:
            raise Refusal(f"kernel_sizes is {self.kernel_sizes}; give three, one a convolution.")
        check_num_classes(self.num_classes)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num height width noise"],
        coarse: Float[Array, "num height width {self.channels}"],
        labels: Int[Array, " num"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "num height width {self.channels}"]:
        first, second, last = self.kernel_sizes
        conv = partial(Conv, dtype=self.dtype)
        x = jnp.concatenate([latents, coarse, *_class_plane(self, labels, coarse)], axis=-1)
        x = nn.relu(conv(self.width, (first, first))(x))
        x = nn.relu(conv(self.width, (second, second))(x))
        return conv(self.channels, (last, last))(x).astype(jnp.float32)


class LAPGANDiscriminator(nn.Module):
    """Map a band h and the coarser image l, enlarged, to one logit: a judgement of I = l + h.

    The sum is what the first layer sees, beside a plane for an example's class where there are
    classes. Two convolutions without padding, the second one of stride 2, with ReLU; dropout; a
    dense layer.

    Denton et al. 2015, section 3.1.

    Raises:
        ValueError: a number is below 1, `dropout` is not in [0, 1), nothing would be left of images
            of this size, or labels are given without `num_classes`, or missing with it.
    """

    width: int = 64
    kernel_size: int = 5
    dropout: float = 0.5
    num_classes: int | None = None
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, width=self.width, kernel_size=self.kernel_size)
        check_bound(DECAY, dropout=self.dropout)
        check_num_classes(self.num_classes)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        band: Float[Array, "num height width channels"],
        coarse: Float[Array, "num height width channels"],
        labels: Int[Array, " num"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, " num"]:
        height, width = band.shape[1:3]
        smallest = 2 * self.kernel_size - 1
        if min(height, width) < smallest:
            raise Refusal(
                f"The images of a level are {height}x{width}, of which two kernels of "
                f"{self.kernel_size}x{self.kernel_size} leave nothing: a level above the coarsest "
                f"needs at least {smallest}x{smallest}; take fewer levels, or larger images."
            )
        conv = partial(Conv, self.width, (self.kernel_size,) * 2, padding="VALID", dtype=self.dtype)
        image = band + coarse
        x = jnp.concatenate([image, *_class_plane(self, labels, image)], axis=-1)
        x = nn.relu(conv()(x))
        x = nn.relu(conv(strides=(2, 2))(x)).reshape(len(x), -1)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(1, dtype=self.dtype)(x)[:, 0].astype(jnp.float32)


class LAPGANBaseGenerator(nn.Module):
    """Map latents to the coarsest images, of `shape`, by layers of perceptrons.

    `activation` is that of the last hidden layer, the others are ReLUs; `output` is at the end,
    which is linear by default: `nn.tanh` for images in [-1, 1]. Classes are joined to the latents,
    of which the paper has 100, from U(-1, 1). For those networks that are told classes the authors'
    code has ReLUs alone, and weights that start as its framework has them.

    Raises:
        ValueError: a number is below 1, or labels are given without `num_classes`, or missing with
            it.
    """

    shape: Sequence[int]
    widths: Sequence[int] = (8000, 8000)
    activation: Callable[[jax.Array], jax.Array] = nn.sigmoid
    output: Callable[[jax.Array], jax.Array] | None = None
    kernel_init: nn.initializers.Initializer = nn.initializers.normal(0.05)
    num_classes: int | None = None
    dtype: Any = None

    def __post_init__(self) -> None:
        check_sizes(shape=self.shape, widths=self.widths)
        check_num_classes(self.num_classes)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound | None:
        """The range of tanh; None of any other output."""
        return SIGNED if self.output is nn.tanh else None

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num latent"],
        labels: Int[Array, " num"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "num *shape"]:
        dense = partial(nn.Dense, kernel_init=self.kernel_init, dtype=self.dtype)
        x = _joined(self, latents, labels)
        for place, width in enumerate(self.widths, start=1):
            x = (self.activation if place == len(self.widths) else nn.relu)(dense(width)(x))
        x = dense(math.prod(self.shape))(x).reshape(-1, *self.shape).astype(jnp.float32)
        return x if self.output is None else self.output(x)


class LAPGANBaseDiscriminator(nn.Module):
    """Map the coarsest images to one logit each, by ReLUs with dropout.

    Classes are joined to the pixels; of `kernel_init` see `LAPGANBaseGenerator`.
    `num_minibatch_kernels` appends as many features of `MinibatchDiscrimination` to the last hidden
    layer; 0, as in the paper, appends none.

    Raises:
        ValueError: a number is below 1, `num_minibatch_kernels` negative, or `dropout` not in
            [0, 1); labels are given without `num_classes`, or missing with it.
    """

    widths: Sequence[int] = (1600, 1600)
    dropout: float = 0.5
    kernel_init: nn.initializers.Initializer = nn.initializers.normal(0.005)
    num_minibatch_kernels: int = 0
    num_classes: int | None = None
    dtype: Any = None

    def __post_init__(self) -> None:
        check_sizes(widths=self.widths)
        check_bound(AT_LEAST_0, num_minibatch_kernels=self.num_minibatch_kernels)
        check_bound(DECAY, dropout=self.dropout)
        check_num_classes(self.num_classes)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "num *shape"],
        labels: Int[Array, " num"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, " num"]:
        dense = partial(nn.Dense, kernel_init=self.kernel_init, dtype=self.dtype)
        x = _joined(self, x.reshape(len(x), -1), labels)
        for width in self.widths:
            x = nn.relu(dense(width)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        if self.num_minibatch_kernels:
            x = MinibatchDiscrimination(self.num_minibatch_kernels)(x)
        return dense(1)(x)[:, 0].astype(jnp.float32)


def _joined(module: Any, x: Array, labels: Array | None) -> Array:
    """Vectors, beside the classes where there are any."""
    classes = told_classes(module, labels)
    return x if classes is None else jnp.concatenate([x, classes.astype(x.dtype)], axis=-1)


def _class_plane(module: Any, labels: Array | None, images: Array) -> list[Array]:
    """A learned plane for the class of each image, where there are classes."""
    classes = told_classes(module, labels)
    if classes is None:
        return []
    num, height, width, _ = images.shape
    plane = nn.relu(nn.Dense(height * width, dtype=module.dtype)(classes))
    return [plane.reshape(num, height, width, 1)]
