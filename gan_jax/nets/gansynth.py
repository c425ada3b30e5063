"""The networks of GANSynth at one resolution (Engel et al. 2019), after those of progressive GANs.

Spectrograms are (log magnitude, frequency) at frames and bins, in their own units. Both networks
scale them by a x + b: the generator's tanh is undone by it, and the discriminator sees what it
gives, cut to [-1, 1]. Kernels are at an equalised learning rate with He's gain, LeakyReLU has slope
0.2, and the generator brings the features of each place to a mean square of 1.
"""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, Bound, check_bound
from gan_jax.nets.layers import EqualisedConv, EqualisedDense, one_hot
from gan_jax.nets.layers.minibatch import minibatch_deviation
from gan_jax.nets.layers.norms import pixel_norm
from gan_jax.nets.mlp import check_sizes
from gan_jax.signals import mean_down, nearest_up

HE = math.sqrt(2)
DEVIATION_EPSILON = 1e-6
PAPER_SCALE = (0.0661371661726, 0.8)
PAPER_OFFSET = (0.113718730221, 0.0)
"""Of the authors' notes in mel bands: of log powers, and of frequencies, which are in [-1, 1]."""

Scale = tuple[float, float]
"""For log magnitudes, and for frequencies."""


class GANSynthGenerator(nn.Module):
    """Map latents and pitches to spectrograms of `base` · 2^n frames and bins.

    `widths` are the channels at `base` and after each of the n doublings: 256, 256, 256, 256, 128,
    64, 32 in the paper, from 2 x 16 on to 128 x 1,024. Pitches are places among `num_pitches`.
    The last layer is (tanh(x) - b)/a with the `scale` a and the `offset` b.

    >>> import jax
    >>> from gan_jax import nets
    >>> generator = nets.GANSynthGenerator((8, 8, 4), num_pitches=61)
    >>> latents, pitches = jax.numpy.zeros((2, 16)), jax.numpy.array([0, 60])
    >>> made, _ = jax.eval_shape(
    ...     generator.init_with_output, jax.random.key(0), latents, pitches)
    >>> made.shape
    (2, 8, 64, 2)

    Raises:
        ValueError: a number is below 1, there is no width, or a scale is not positive.
    """

    widths: tuple[int, ...]
    num_pitches: int
    base: tuple[int, int] = (2, 16)
    scale: Scale = PAPER_SCALE
    offset: Scale = PAPER_OFFSET
    dtype: Any = None

    def __post_init__(self) -> None:
        check_network(self)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num latent"],
        pitch: Int[Array, " num"],
        *,
        train: bool = False,
    ) -> Float[Array, "num frames bins 2"]:
        return self._in_units(self._made(self._features(latents, pitch, self.widths)[-1]))

    def _features(self, latents: Array, pitch: Array, widths: tuple[int, ...]) -> list[Array]:
        """At `base`, and after each doubling."""
        told = jnp.concatenate([latents, one_hot(pitch, self.num_pitches)], axis=-1)
        around = [(size - 1,) * 2 for size in self.base]
        x = jnp.pad(pixel_norm(told)[:, None, None], [(0, 0), *around, (0, 0)])
        x = self._layer(x, widths[0], self.base, padding="VALID")
        features = [self._layer(x, widths[0])]
        for width in widths[1:]:
            features.append(self._layer(self._layer(nearest_up(features[-1]), width), width))
        return features

    def _made(self, x: Array, name: str | None = None) -> Array:
        return jnp.tanh(EqualisedConv(2, 1, dtype=self.dtype, name=name)(x).astype(jnp.float32))

    def _in_units(self, x: Array) -> Array:
        return (x - per_channel(self.offset)) / per_channel(self.scale)

    def _layer(self, x: Array, width: int, kernel: Any = 3, **options: Any) -> Array:
        conv = EqualisedConv(width, kernel, gain=HE, dtype=self.dtype, **options)
        return pixel_norm(nn.leaky_relu(conv(x), 0.2))


class GANSynthDiscriminator(nn.Module):
    """Give spectrograms a score, and a logit for each pitch, of which it is told nothing.

    `widths` and the rest as in the generator; the last layers have `last_width` features. After
    the last halving it sees how much the examples of the batch differ, as one more feature
    (`minibatch_deviation` of all of them).

    Raises:
        ValueError: a number is below 1, there is no width, or a scale is not positive; or on a
            spectrogram, its sides are not `base` doubled as often as there are more widths.
    """

    widths: tuple[int, ...]
    num_pitches: int
    last_width: int = 256
    base: tuple[int, int] = (2, 16)
    scale: Scale = PAPER_SCALE
    offset: Scale = PAPER_OFFSET
    dtype: Any = None

    def __post_init__(self) -> None:
        check_network(self)
        check_bound(AT_LEAST_1, last_width=self.last_width)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num frames bins 2"], *conditions: Any, train: bool = False
    ) -> tuple[Float[Array, " num"], Float[Array, "num {self.num_pitches}"]]:
        x = self._layer(self._scaled(x), self.widths[-1], 1)
        for width, following in zip(self.widths[:0:-1], self.widths[-2::-1], strict=True):
            x = mean_down(self._layer(self._layer(x, width), following))
        return self._judged(x)

    def _scaled(self, x: Array) -> Array:
        times = 1 << len(self.widths) - 1
        sides = tuple(times * size for size in self.base)
        check_bound(Bound(lambda size: size == sides, f"{sides}"), **{"the size": x.shape[1:3]})
        return jnp.clip(per_channel(self.scale) * x + per_channel(self.offset), -1, 1)

    def _judged(self, x: Array) -> tuple[Array, Array]:
        """The score and the pitches, of features at `base`."""
        deviation = minibatch_deviation(x, len(x), epsilon=DEVIATION_EPSILON)
        x = self._layer(jnp.concatenate([x, deviation], axis=-1), self.widths[0])
        x = self._layer(x, self.last_width, self.base, padding="VALID")
        features = x[:, 0, 0].astype(jnp.float32)
        return EqualisedDense(1)(features)[:, 0], EqualisedDense(self.num_pitches)(features)

    def _layer(self, x: Array, width: int, kernel: Any = 3, **options: Any) -> Array:
        conv = EqualisedConv(width, kernel, gain=HE, dtype=self.dtype, **options)
        return nn.leaky_relu(conv(x), 0.2)


def gansynth_widths(num: int, *, base: int = 4_096, most: int = 256) -> tuple[int, ...]:
    """Channels at the smallest size and after each doubling: base / 2, base / 4, ..., at most so.

    >>> from gan_jax import nets
    >>> nets.gansynth_widths(7)
    (256, 256, 256, 256, 128, 64, 32)

    Raises:
        ValueError: a number is below 1.
    """
    check_bound(AT_LEAST_1, num=num, base=base, most=most)
    return tuple(max(1, min(base >> level, most)) for level in range(1, num + 1))


def per_channel(numbers: Scale) -> Float[Array, "1 1 1 2"]:
    return jnp.array(numbers, jnp.float32)[None, None, None]


def check_network(network: Any) -> None:
    check_bound(Bound(len, "one number or more"), widths=network.widths)
    check_sizes(widths=network.widths, base=network.base)
    check_bound(AT_LEAST_1, num_pitches=network.num_pitches)
    above_0 = Bound(lambda scale: min(scale) > 0, "positive")
    check_bound(above_0, scale=network.scale)
