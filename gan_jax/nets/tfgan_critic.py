"""TFGAN's critics (Balaji, Min, Bai, Chellappa & Graf 2019): convolutions by filters of text."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv, convolve_each
from gan_jax.nets.tfgan import ResidualBlock
from gan_jax.signals.filters import correlate

SMALLEST = 8
"""The shortest side that leaves maps for two taps."""


class FilterCritic(nn.Module):
    """Judge clips by one logit, or with `by_frame` each frame by its own, under a text.

    Residual blocks, of twice to eight times `width` channels, with means of 3 between them that
    halve the sides, until the shorter is 2 or 3; clips are halved in time too, but for the second
    time. After the second block, and again on maps of 8x8 to 15x15 (after two halvings from sides
    below 32), the features are convolved with one of the two `filters`, banks of the example's own
    (`FilterTap`).
    The taps and [features, embedding], each as 4 `width` numbers, give the logit. Without filters
    it is the paper's concatenation baseline: [features, embedding], 8 `width` numbers, a logit.
    LeakyReLU of slope 0.2; zeros count in the means of 3.

    Sides other than the authors' 64x64, and 16 frames, are our choice. There it is their critic,
    except that in time a filter of the second tap pads 1 and not 2, as that of the first.

    Balaji et al. 2019, and the authors' code.

    >>> import jax
    >>> from gan_jax import nets
    >>> clips, text = jax.numpy.zeros((4, 8, 32, 32, 3)), jax.numpy.zeros((4, 64))
    >>> bank = jax.numpy.zeros((4, 5, 5, 8, 8))
    >>> network = nets.FilterCritic(16, by_frame=True)
    >>> logits, variables = jax.eval_shape(
    ...     network.init_with_output, jax.random.key(0), clips, text, bank, bank)
    >>> logits.shape
    (4, 8)

    Raises:
        ValueError: `width` is below 1; sides are below 8, or there are not two banks of filters of
            as many axes as it convolves along.
    """

    width: int = 32
    by_frame: bool = False
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, width=self.width)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "num frames height width channels"],
        embedding: Float[Array, "num dim"],
        *filters: Float[Array, "num *kernel in out"],
        train: bool = False,
    ) -> Float[Array, "num *frames_alone"]:
        num_axes = 2 if self.by_frame else 3
        _check(x, filters, num_axes)
        leading = x.shape[: -num_axes - 1]
        depth = min(x.shape[2:4]).bit_length() - 2
        second = max(2, depth - 2)
        banks = dict(zip((1, second), filters, strict=False))
        x = Conv(self.width, (3,) * num_axes, dtype=self.dtype)(x)
        seen = []
        for i in range(depth + 1):
            x = _halved(x, 2 if i == 2 else num_axes) if i else x
            factor = 2 if i == 0 else 4 if i <= second else 8
            x = ResidualBlock(factor * self.width, num_axes, self.dtype)(x)
            if i in banks:
                seen.append(FilterTap(4 * self.width, self.dtype)(x, banks[i]))
        told = embedding[:, None] if self.by_frame else embedding
        told = jnp.broadcast_to(told, (*leading, embedding.shape[-1])).astype(x.dtype)
        x = jnp.concatenate([x.reshape(*leading, -1), told], axis=-1)
        hidden = (4 if filters else 8) * self.width
        seen.append(nn.Dense(hidden, dtype=self.dtype)(nn.leaky_relu(x, 0.2)))
        logit = nn.Dense(1, dtype=self.dtype)
        return logit(nn.leaky_relu(jnp.concatenate(seen, axis=-1), 0.2))[..., 0].astype(jnp.float32)


class FilterTap(nn.Module):
    """Make numbers of maps by the filters that an example's own text has given.

    A 1x1 convolution brings the maps to the filters' channels; they are convolved with the filters;
    then means, a convolution of sides 3 with ReLU, and means again leave of every axis 2 or 3
    places, of one place that one, and a dense layer reads all.
    """

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "*num_space channels"], filters: Float[Array, "num *kernel in out"]
    ) -> Float[Array, "*leading {self.features}"]:
        num_axes = filters.ndim - 3
        space = x.shape[-num_axes - 1 : -1]
        halvings = [max(size // 2, 1).bit_length() - 1 for size in space]
        x = nn.Dense(filters.shape[-2], dtype=self.dtype)(x)
        x = convolve_each(*promote_dtype(x, filters, dtype=self.dtype))
        x = _means(x, [1 << -(-count // 2) for count in halvings])
        x = nn.relu(Conv(filters.shape[-1], (3,) * num_axes, dtype=self.dtype)(x))
        x = _means(x, [1 << count // 2 for count in halvings])
        return nn.Dense(self.features, dtype=self.dtype)(x.reshape(*x.shape[: -num_axes - 1], -1))


def _halved(x: Array, num_axes: int) -> Array:
    """Means of 3 with zeros around, from places 2 apart, along the last axes; of 2 their mean."""
    for axis in range(-1 - num_axes, -1):
        size = x.shape[axis]
        if size > 2:
            pads = [(0, 0)] * x.ndim
            pads[axis] = (1, 1)
            x = jnp.pad(x, pads)
        window = min(size, 3)
        x = correlate(x, [1 / window] * window, axis, stride=2)
    return x


def _means(x: Array, windows: Sequence[int]) -> Array:
    """Means of so many neighbours along each of the last axes; a rest is left out."""
    for axis, window in enumerate(windows, -1 - len(windows)):
        x = correlate(x, [1 / window] * window, axis, stride=window)
    return x


def _check(x: Array, filters: tuple[Array, ...], num_axes: int) -> None:
    if min(x.shape[2:4]) < SMALLEST:
        raise Refusal(
            f"The clips are of {x.shape[2]}x{x.shape[3]}; a critic with filters needs sides of at "
            f"least {SMALLEST}: resize them."
        )
    axes = [bank.ndim - 3 for bank in filters]
    if axes not in ([], [num_axes] * 2):
        raise Refusal(
            f"The critic is given filters of {axes} axes; it takes two banks of {num_axes} axes, "
            "or none: content makes those of by_frame=True, motion those of by_frame=False."
        )
