"""The StyleGAN2 pair (Karras, Laine, Aittala, Hellsten, Lehtinen & Aila 2020).

Kernels are kept as N(0, 1) and scaled in use, biases start at 0, and LeakyReLU has slope 0.2 and
gain √2. Of the paper's configurations E and F the networks are the same, but for their widths;
those of A to D, which grow progressively, are not here.
"""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, DECAY, SHARE, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import EqualisedConv, EqualisedDense, ModulatedConv
from gan_jax.nets.layers.minibatch import minibatch_deviation
from gan_jax.nets.layers.norms import pixel_norm
from gan_jax.nets.mlp import check_sizes
from gan_jax.signals import pad_to_multiple, smooth, smooth_down, smooth_up, unpad

SMALLEST = 4
SIDE = Bound(lambda size: size > SMALLEST, "above 4, from which sides are doubled")


def stylegan2_widths(size: int, *, base: int = 16_384, most: int = 512) -> tuple[int, ...]:
    """The channels at sides of 4, 8, ..., up to `size` or above: 2 `base` / side, at most `most`.

    `base` is 16,384 in configuration F and 8,192 in E.

    >>> from gan_jax import nets
    >>> nets.stylegan2_widths(1024)
    (512, 512, 512, 512, 512, 256, 128, 64, 32)

    Raises:
        ValueError: `size` is 4 or less, or another number below 1.
    """
    check_bound(SIDE, size=size)
    check_bound(AT_LEAST_1, base=base, most=most)
    num = (size - 1).bit_length() - 1
    sides = [SMALLEST << level for level in range(num)]
    return tuple(max(1, min(2 * base // side, most)) for side in sides)


def activation(x: Array) -> Array:
    return math.sqrt(2) * nn.leaky_relu(x, 0.2)


class Mapping(nn.Module):
    """Map latents z, brought to a mean square of 1, to styles w by `depth` dense layers.

    It learns at 1/100 of the rate. A moving average of w is among the `batch_stats`, and truncation
    ψ goes from there: w̄ + ψ (w - w̄), which is w for 1 and w̄ for 0.
    """

    dim: int
    depth: int
    decay: float

    @nn.compact
    def __call__(
        self, z: Float[Array, "num latent"], *, train: bool, truncation: float
    ) -> Float[Array, "num {self.dim}"]:
        w = pixel_norm(z)
        for _ in range(self.depth):
            w = activation(EqualisedDense(self.dim, rate=0.01)(w))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (self.dim,))
        if train:
            moved = jax.lax.stop_gradient(w.mean(axis=0)) - mean.value
            mean.value = mean.value + (1 - self.decay) * moved
        if truncation == 1:
            return w
        middle = jnp.broadcast_to(mean.value, w.shape)
        return middle + truncation * (w - middle)


class Synthesis(nn.Module):
    """Make images of styles, one for each layer: w_0 and w_1 at 4x4, two more a doubling.

    A map of `noise` is added at each of the layers that have any, all but the colours'; without
    them they are drawn.
    """

    channels: int
    widths: tuple[int, ...]
    demodulate: bool
    skip: bool
    dtype: Any = None

    @nn.compact
    def __call__(
        self, w: Float[Array, "num layers dim"], noise: Sequence[Array] | None = None
    ) -> Float[Array, "num side side {self.channels}"]:
        maps = [None] * (2 * len(self.widths) - 1) if noise is None else noise
        shape = (SMALLEST, SMALLEST, self.widths[0])
        constant = self.param("constant", nn.initializers.normal(1.0), shape)
        x = jnp.broadcast_to(constant, (len(w), *shape)).astype(self.dtype or w.dtype)
        x = self._layer(x, w[:, 0], maps[0], self.widths[0])
        image = self._colours(x, w[:, 1]) if self.skip else None
        for level, width in enumerate(self.widths[1:], 1):
            first, second = 2 * level - 1, 2 * level
            x = self._layer(x, w[:, first], maps[first], width, upsample=True)
            x = self._layer(x, w[:, second], maps[second], width)
            if image is not None:
                image = smooth_up(image) + self._colours(x, w[:, 2 * level + 1])
        return self._colours(x, w[:, -1]) if image is None else image

    def _layer(
        self, x: Array, w: Array, noise: Array | None, width: int, *, upsample: bool = False
    ) -> Array:
        styles = 1 + EqualisedDense(x.shape[-1])(w)
        x = ModulatedConv(width, 3, self.demodulate, upsample, self.dtype)(x, styles)
        return Noise(dtype=self.dtype)(x, noise)

    def _colours(self, x: Array, w: Array) -> Array:
        styles = 1 + EqualisedDense(x.shape[-1])(w)
        x = ModulatedConv(self.channels, 1, demodulate=False, dtype=self.dtype)(x, styles)
        bias = self.param(f"bias_{x.shape[1]}", nn.initializers.zeros, (self.channels,))
        return x.astype(jnp.float32) + bias[None, None, None]


class Noise(nn.Module):
    """Add noise, one number a pixel, of a learned strength from 0 on, and a bias; activate."""

    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "num height width channels"],
        noise: Float[Array, "num height width 1"] | None = None,
    ) -> Array:
        strength = self.param("strength", nn.initializers.zeros, ())
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        if noise is None:
            noise = jax.random.normal(self.make_rng("noise"), (*x.shape[:-1], 1))
        return activation(x + (strength * noise + bias[None, None, None]).astype(x.dtype))


class StyleGAN2Generator(nn.Module):
    """Map latents to images, of styles w that scale the features of every layer.

    It returns (images, w), w being one style for each layer. `widths` are the channels at sides of
    4, 8, ..., `size`; where that is no power of 2, the last is the next one, and the middle of the
    images is kept. While it is trained, `mixing` is how likely the styles of the later layers
    are those of other latents, from a layer on that is drawn anew each time; both for a whole
    batch, as in the authors' code. `decay` is that of the moving average of w. Without
    `demodulate`, kernels are only scaled; without `skip`, colours are read off the last layer
    alone, and not summed over all sizes.

    Images are not bounded: the data is in [-1, 1], and they are cut to it where they are shown.

    >>> import jax
    >>> from gan_jax import nets
    >>> generator = nets.StyleGAN2Generator(32, 3, nets.stylegan2_widths(32, base=512), dim=64)
    >>> (images, w), variables = jax.eval_shape(
    ...     generator.init_with_output, jax.random.key(0), jax.numpy.zeros((2, 64)))
    >>> images.shape, w.shape, sorted(variables)
    ((2, 32, 32, 3), (2, 8, 64), ['batch_stats', 'params'])

    Raises:
        ValueError: `size` is 4 or less, the widths are not one for each side, or a number is out of
            its range.
    """

    size: int
    channels: int
    widths: tuple[int, ...]
    dim: int = 512
    depth: int = 8
    mixing: float = 0.9
    decay: float = 0.995
    demodulate: bool = True
    skip: bool = True
    dtype: Any = None

    def __post_init__(self) -> None:
        check_widths(self.size, self.widths)
        check_bound(AT_LEAST_1, channels=self.channels, dim=self.dim, depth=self.depth)
        check_bound(SHARE, mixing=self.mixing)
        check_bound(DECAY, decay=self.decay)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of the data."""
        return SIGNED

    @property
    def num_layers(self) -> int:
        """How many styles an image is made of: 18 at a size of 1,024."""
        return 2 * len(self.widths)

    @property
    def noise_sides(self) -> tuple[int, ...]:
        """The sides of the maps of noise: 4, 8, 8, 16, 16, ..."""
        return tuple(SMALLEST << (layer + 1) // 2 for layer in range(self.num_layers - 1))

    def setup(self) -> None:
        self.mapping = Mapping(self.dim, self.depth, self.decay)
        self.synthesis = Synthesis(
            self.channels, tuple(self.widths), self.demodulate, self.skip, self.dtype
        )

    def __call__(
        self, latents: Float[Array, "num latent"], *, train: bool = False
    ) -> tuple[Float[Array, "num size size channels"], Float[Array, "num layers {self.dim}"]]:
        w = self.styles(latents, train=train)
        return self.synthesise(w), w

    def styles(
        self, latents: Float[Array, "num latent"], *, train: bool = False, truncation: float = 1.0
    ) -> Float[Array, "num layers {self.dim}"]:
        """The styles of latents, truncated to `truncation` from their average on."""
        w = self.mapping(latents, train=train, truncation=truncation)[:, None]
        w = jnp.broadcast_to(w, (len(w), self.num_layers, self.dim))
        if not train or self.mixing == 0:
            return w
        key_latents, key_mixed, key_layer = jax.random.split(self.make_rng("noise"), 3)
        others = jax.random.normal(key_latents, latents.shape, latents.dtype)
        others = self.mapping(others, train=False, truncation=truncation)[:, None]
        is_mixed = jax.random.bernoulli(key_mixed, self.mixing)
        first = jax.random.randint(key_layer, (), 1, self.num_layers)
        is_other = is_mixed & (jnp.arange(self.num_layers) >= first)
        return jnp.where(is_other[None, :, None], others, w)

    def synthesise(
        self,
        w: Float[Array, "num layers {self.dim}"],
        noise: Sequence[Array] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "num size size channels"]:
        """The images of styles, and of maps of noise, (num, side, side, 1); else it is drawn.

        Raises:
            ValueError: the maps are not those of `noise_sides`.
        """
        if noise is not None:
            expected = [(len(w), side, side, 1) for side in self.noise_sides]
            if (found := [level.shape for level in noise]) != expected:
                raise Refusal(f"noise is of shapes {found}; it must be of {expected}.")
        return unpad(self.synthesis(w, noise), (self.size, self.size))


class StyleGAN2Discriminator(nn.Module):
    """Map images to one logit each, by blocks that halve them, added to what they halve.

    `widths` are the channels at sides of 4, 8, ..., as of the generator; images whose side is no
    power of 2 are padded to it, by their edges. At 4x4 it sees the mean deviation within groups of
    `group` examples as one more feature (`minibatch_deviation`), so a batch must be a multiple of
    it, or smaller. Without `residual` blocks are one after the other.

    Raises:
        ValueError: a number is below 1; or on an image, it is no square, or the widths are not one
            for each side.
    """

    widths: tuple[int, ...]
    group: int = 4
    residual: bool = True
    dtype: Any = None

    def __post_init__(self) -> None:
        check_sizes(widths=self.widths)
        check_bound(AT_LEAST_1, group=self.group)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width channels"], *, train: bool = False
    ) -> Float[Array, " num"]:
        size = x.shape[1]
        check_bound(Bound(lambda side: side == size, f"{size}, as the height is"), width=x.shape[2])
        check_widths(size, self.widths)
        x = pad_to_multiple(x, SMALLEST << (len(self.widths) - 1))
        x = activation(EqualisedConv(self.widths[-1], 1, dtype=self.dtype)(x))
        for width, following in zip(self.widths[:0:-1], self.widths[-2::-1], strict=True):
            y = activation(EqualisedConv(width, dtype=self.dtype)(x))
            down = EqualisedConv(following, strides=2, padding="VALID", dtype=self.dtype)
            y = activation(down(smooth(y, (2, 2))))
            if self.residual:
                past = EqualisedConv(following, 1, use_bias=False, dtype=self.dtype)
                y = (y + past(smooth_down(x))) / math.sqrt(2)
            x = y
        x = jnp.concatenate([x, minibatch_deviation(x, self.group)], axis=-1)
        x = activation(EqualisedConv(self.widths[0], dtype=self.dtype)(x))
        x = activation(EqualisedDense(self.widths[0], dtype=self.dtype)(x.reshape(len(x), -1)))
        return EqualisedDense(1)(x.astype(jnp.float32))[:, 0]


def check_widths(size: int, widths: tuple[int, ...]) -> None:
    """Raise ValueError unless there is one, of at least 1, for each side from 4 to the size."""
    num = len(stylegan2_widths(size))
    all_sides = Bound(
        lambda n: len(n) == num, f"{num} numbers, for sides of 4 to {SMALLEST << num - 1}"
    )
    check_bound(all_sides, widths=widths)
    check_sizes(widths=widths)
