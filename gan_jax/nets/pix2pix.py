"""The pair of pix2pix (Isola, Zhu, Zhou & Efros 2017): a U-Net, and a critic of patches.

4x4 kernels from N(0, 0.02²), gains from N(1, 0.02²), as in the authors' code.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_0, AT_LEAST_1, DECAY, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv, ConvTranspose
from gan_jax.nets.layers.norms import Norm, check_norm, normalization, weights_init

MAX_DEPTH = 8
MAX_FACTOR = 8
"""The widest layers have so many times `width` channels."""
NUM_DROPPED = 3

_conv = partial(Conv, kernel_size=(4, 4), kernel_init=weights_init)


class UNet(nn.Module):
    """Map images to images in [-1, 1] by halving them `depth` times and doubling them again.

    Every map of the encoder is joined to the decoder's of the same size. The first layer has
    `width` channels, each later one twice as many, up to 8 times. The first three of the decoder's
    hidden layers drop out, whether the network is trained or asked: that is its only noise. The
    first and the last of the encoder's layers, and the decoder's last, have no normalisation. As in
    the authors' Lua code, maps are joined before the decoder's ReLU.

    `depth` is by default how often both sides can be halved, at most 8: to 1x1 for images of
    256x256, as in the paper. The paper normalises by the batch at hand also at test, and trains on
    batches of one: this is `norm="instance"`; "batch" asks running averages. Without `skips` it is
    the encoder-decoder that the paper compares with.

    Isola et al. 2017, section 6.1.1.

    >>> import jax
    >>> from gan_jax import nets
    >>> network, images = nets.UNet(3, width=8), jax.numpy.zeros((2, 32, 32, 1))
    >>> rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    >>> made, variables = jax.eval_shape(network.init_with_output, rngs, images)
    >>> made.shape
    (2, 32, 32, 3)

    Raises:
        ValueError: a number is below 1, `dropout` not in [0, 1), or the images cannot be halved so
            often.
    """

    channels: int
    width: int = 64
    depth: int | None = None
    norm: Norm | None = "instance"
    dropout: float = 0.5
    skips: bool = True
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, channels=self.channels, width=self.width)
        if self.depth is not None:
            check_bound(AT_LEAST_1, depth=self.depth)
        check_bound(DECAY, dropout=self.dropout)
        check_norm(self.norm)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self, condition: Float[Array, "num height width given"], *, train: bool = False
    ) -> Float[Array, "num height width channels"]:
        depth = _depth(condition.shape[1:3], self.depth)
        features = [self.width * min(1 << i, MAX_FACTOR) for i in range(depth)]
        norm = _normalization(self, train)
        down = partial(_conv, strides=(2, 2), padding=1, dtype=self.dtype)
        up = partial(
            ConvTranspose,
            kernel_size=(4, 4),
            strides=(2, 2),
            kernel_init=weights_init,
            dtype=self.dtype,
        )
        x, maps = condition, []
        for i, width in enumerate(features):
            is_normed = 0 < i < depth - 1
            x = down(width, use_bias=self.norm is None or not is_normed)(
                nn.leaky_relu(x, 0.2) if i else x
            )
            x = norm()(x) if is_normed else x
            maps.append(x)
        for i, width in enumerate(reversed(features[:-1])):
            x = norm()(up(width, use_bias=self.norm is None)(nn.relu(x)))
            if i < NUM_DROPPED:
                x = nn.Dropout(self.dropout, deterministic=False)(x)
            if self.skips:
                x = jnp.concatenate([x, maps[depth - 2 - i]], axis=-1)
        return jnp.tanh(up(self.channels)(nn.relu(x)).astype(jnp.float32))


class PatchDiscriminator(nn.Module):
    """Judge every patch of images, beside the patch of their condition where there is one.

    `num_layers` convolutions of stride 2 and two of stride 1; the first has `width` channels, each
    later one twice as many, up to 8 times, and the last gives a map of logits. A logit sees a patch
    whose side is r after r ← (r - 1) s + 4 for each layer of stride s from the last one back: 16,
    34, 70 (the paper's), 142, 286 pixels for 1 to 5 layers. With 0 layers there are three
    convolutions of 1x1, which see one pixel (the PixelGAN). The first and the last layer have no
    normalisation.

    Isola et al. 2017, section 6.1.2; Zhu et al. (CycleGAN) 2017, section 7.2.

    >>> import jax
    >>> from gan_jax import nets
    >>> network, images = nets.PatchDiscriminator(), jax.numpy.zeros((2, 256, 256, 3))
    >>> logits, variables = jax.eval_shape(network.init_with_output, jax.random.key(0), images)
    >>> logits.shape
    (2, 30, 30)

    Raises:
        ValueError: a number is below its bound, the images are smaller than the first patch, or the
            condition is of another size.
    """

    num_layers: int = 3
    width: int = 64
    norm: Norm | None = "instance"
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_0, num_layers=self.num_layers)
        check_bound(AT_LEAST_1, width=self.width)
        check_norm(self.norm)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "num height width channels"],
        condition: Float[Array, "*given"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "num rows columns"]:
        if condition is not None:
            if condition.shape[:-1] != x.shape[:-1]:
                raise Refusal(
                    f"The images are {x.shape} and their conditions {condition.shape}: give each "
                    "image a condition of its height and width."
                )
            x = jnp.concatenate([x, condition], axis=-1)
        _check_patches(x.shape[1:3], self.num_layers)
        norm = _normalization(self, train)
        if self.num_layers:
            layer = partial(_conv, padding=1, dtype=self.dtype)
            halves = [True] * self.num_layers + [False]
        else:
            layer = partial(_conv, kernel_size=(1, 1), dtype=self.dtype)
            halves = [False, False]
        for i, is_halved in enumerate(halves):
            width = self.width * min(1 << i, MAX_FACTOR)
            x = layer(width, strides=2 if is_halved else 1, use_bias=not (i and self.norm))(x)
            x = nn.leaky_relu(norm()(x) if i else x, 0.2)
        return layer(1)(x)[..., 0].astype(jnp.float32)


class Unconditional(nn.Module):
    """A critic that is told the condition and does not look at it."""

    network: nn.Module

    @nn.compact
    def __call__(self, x: Array, *conditions: Any, train: bool = False) -> Array:
        return self.network(x, train=train)


def _normalization(module: UNet | PatchDiscriminator, train: bool):
    return normalization(module.norm, train=train, dtype=module.dtype, axis_name=module.axis_name)


def _depth(size: tuple[int, ...], depth: int | None) -> int:
    """Count how often both sides can be halved; a given depth is checked only."""
    halvings = (size[0] | size[1]) & -(size[0] | size[1])
    most = halvings.bit_length() - 1
    if most < (depth or 1):
        step = 1 << (depth or 1)
        near = "x".join(str(-(-side // step) * step) for side in size)
        raise Refusal(
            f"A U-Net of depth {depth or 1} has no images of {size[0]}x{size[1]}: both sides must "
            f"be multiples of {step}; pad or resize them, such as to {near}."
        )
    return min(most, MAX_DEPTH) if depth is None else depth


def _check_patches(size: tuple[int, ...], num_layers: int) -> None:
    """Raise ValueError where the last layer would have an empty map."""
    smallest = 3 << num_layers
    if num_layers and min(size) < smallest:
        raise Refusal(
            f"A PatchDiscriminator of {num_layers} layers has no patch in images of "
            f"{size[0]}x{size[1]}: both sides must be at least {smallest}; take fewer layers, or "
            "larger images."
        )
