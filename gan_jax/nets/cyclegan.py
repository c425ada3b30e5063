"""CycleGAN's generator (Zhu, Park, Isola & Efros 2017): residual blocks between two halvings."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_0, AT_LEAST_1, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv, ConvTranspose
from gan_jax.nets.layers.norms import normalization, weights_init

STEP = 4
"""How many pixels one place of the smallest maps stands for, along each side."""


class ResidualGenerator(nn.Module):
    """Map images to images of the same size in [-1, 1].

    c7s1-w, d2w, d4w, R4w `num_blocks` times, u2w, uw, c7s1-`channels`, for w = `width`: 7x7
    convolutions of stride 1, 3x3 ones of stride 2, blocks x + f(x) of two 3x3 convolutions, and
    3x3 ones of stride ½. Borders are mirrored without their last pixel, where the stride is 1.
    Instance normalisation and ReLU follow all layers but the last; a block ends without ReLU, and
    the network in tanh. The paper has 6 blocks for 128x128 and 9 for 256x256.

    Zhu et al. 2017, section 7.2, after Johnson et al. 2016.

    >>> import jax
    >>> from gan_jax import nets
    >>> network, images = nets.ResidualGenerator(3), jax.numpy.zeros((1, 256, 256, 3))
    >>> made, variables = jax.eval_shape(network.init_with_output, jax.random.key(0), images)
    >>> made.shape
    (1, 256, 256, 3)

    Raises:
        ValueError: a number is below its bound, or a side of the images is no multiple of 4.
    """

    channels: int
    width: int = 64
    num_blocks: int = 9
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, channels=self.channels, width=self.width)
        check_bound(AT_LEAST_0, num_blocks=self.num_blocks)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width given"], *, train: bool = False
    ) -> Float[Array, "num height width {self.channels}"]:
        check_sides(x.shape[1:3])
        norm = normalization("instance", train=train, dtype=self.dtype)
        layer = partial(Conv, kernel_init=weights_init, use_bias=False, dtype=self.dtype)
        inner = partial(layer, kernel_size=(3, 3), padding="VALID")
        outer = partial(layer, kernel_size=(7, 7), padding="VALID")
        down = partial(layer, kernel_size=(3, 3), strides=(2, 2), padding=1)
        up = partial(
            ConvTranspose,
            kernel_size=(3, 3),
            strides=(2, 2),
            padding=((1, 2), (1, 2)),
            kernel_init=weights_init,
            use_bias=False,
            dtype=self.dtype,
        )
        x = nn.relu(norm()(outer(self.width)(mirrored(x, 3))))
        for factor in (2, 4):
            x = nn.relu(norm()(down(factor * self.width)(x)))
        for _ in range(self.num_blocks):
            y = nn.relu(norm()(inner(x.shape[-1])(mirrored(x, 1))))
            x = x + norm()(inner(x.shape[-1])(mirrored(y, 1)))
        for factor in (2, 1):
            x = nn.relu(norm()(up(factor * self.width)(x)))
        x = outer(self.channels, use_bias=True)(mirrored(x, 3))
        return jnp.tanh(x.astype(jnp.float32))


def mirrored(
    images: Float[Array, "num height width channels"], margin: int
) -> Float[Array, "num rows columns channels"]:
    """Add a margin in which images go on as in a mirror; the border itself is not repeated."""
    return jnp.pad(images, ((0, 0), (margin,) * 2, (margin,) * 2, (0, 0)), mode="reflect")


def check_sides(size: tuple[int, ...]) -> None:
    """Raise ValueError unless a height and a width can be halved twice."""
    if size[0] % STEP or size[1] % STEP:
        near = "x".join(str(max(round(side / STEP), 1) * STEP) for side in size)
        raise Refusal(
            f"A ResidualGenerator has no images of {size[0]}x{size[1]}: both sides must be "
            f"multiples of {STEP}; pad or resize them, such as to {near}."
        )
