"""Multi-layer perceptrons, for points and small images."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_0, AT_LEAST_1, SIGNED, UNIT, Bound, check_bound
from gan_jax.nets.layers import MinibatchDiscrimination
from gan_jax.nets.layers.norms import normalization


class MLPGenerator(nn.Module):
    """Map latents to examples of `shape` through hidden layers of `widths`: also a decoder.

    Linear at the end, or whatever `output` is: `nn.tanh` for images in [-1, 1], `nn.sigmoid` for
    [0, 1]; a decoder whose raw outputs a likelihood reads has none.

    With `batch_norm` the hidden layers are normalised before their activation: by the batch where
    it trains, by running averages kept in `batch_stats` else.

    Raises:
        ValueError: a size or a width is below 1.
    """

    shape: Sequence[int]
    widths: Sequence[int] = (128, 128)
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    output: Callable[[jax.Array], jax.Array] | None = None
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    output_bias_init: nn.initializers.Initializer = nn.initializers.zeros
    batch_norm: bool = False
    dtype: Any = None

    def __post_init__(self) -> None:
        check_sizes(shape=self.shape, widths=self.widths)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound | None:
        """The range of what it makes, by its output; None where that is unknown."""
        if self.output in (nn.tanh, jax.lax.tanh):
            return SIGNED
        return UNIT if self.output in (nn.sigmoid, jax.lax.logistic) else None

    @nn.compact
    def __call__(
        self, latents: Float[Array, "num latent"], *, train: bool = False
    ) -> Float[Array, "num *shape"]:
        dense = partial(nn.Dense, kernel_init=self.kernel_init, dtype=self.dtype)
        norm = normalization("batch" if self.batch_norm else None, train=train, dtype=self.dtype)
        for width in self.widths:
            hidden = dense(width, use_bias=not self.batch_norm)(latents)
            latents = self.activation(norm()(hidden))
        x = dense(math.prod(self.shape), bias_init=self.output_bias_init)(latents)
        x = x.reshape(-1, *self.shape).astype(jnp.float32)
        return x if self.output is None else self.output(x)


class MLPEncoder(nn.Module):
    """Map examples of any shape to `num_outputs` numbers through hidden layers of `widths`.

    For a diagonal Gaussian over d latents `num_outputs` is 2d: the means, then the log-variances.

    Raises:
        ValueError: `num_outputs` or a width is below 1.
    """

    num_outputs: int
    widths: Sequence[int] = (128, 128)
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_outputs=self.num_outputs)
        check_sizes(widths=self.widths)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num *shape"], *, train: bool = False
    ) -> Float[Array, "num {self.num_outputs}"]:
        x = x.reshape(x.shape[0], -1)
        dense = partial(nn.Dense, kernel_init=self.kernel_init, dtype=self.dtype)
        for width in self.widths:
            x = self.activation(dense(width)(x))
        return dense(self.num_outputs)(x).astype(jnp.float32)


class MLPDiscriminator(nn.Module):
    """Map examples of any shape to one logit each through hidden layers of `widths`.

    `spectral_norm` divides every weight matrix by an estimate of its largest singular value
    (Miyato et al. 2018), by Flax's own module: one power iteration at every call with `train=True`,
    kept in `batch_stats`. A game makes two such calls a move, for real and for fake examples.

    `num_minibatch_kernels` appends as many features of `MinibatchDiscrimination` to the last hidden
    layer; 0 appends none.

    Raises:
        ValueError: a width is below 1, or `num_minibatch_kernels` negative.
    """

    widths: Sequence[int] = (128, 128)
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    spectral_norm: bool = False
    num_minibatch_kernels: int = 0
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_0, num_minibatch_kernels=self.num_minibatch_kernels)
        check_sizes(widths=self.widths)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num *shape"], *, train: bool = False
    ) -> Float[Array, " num"]:
        def dense(width, x):
            layer = nn.Dense(width, dtype=self.dtype)
            if self.spectral_norm:
                return nn.SpectralNorm(layer)(x, update_stats=train)
            return layer(x)

        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = self.activation(dense(width, x))
        if self.num_minibatch_kernels:
            x = MinibatchDiscrimination(self.num_minibatch_kernels)(x)
        return dense(1, x)[:, 0].astype(jnp.float32)


def check_sizes(**sizes: Sequence[int]) -> None:
    """Raise ValueError at the first size below 1, by the name and place of it."""
    for name, values in sizes.items():
        check_bound(AT_LEAST_1, **{f"{name}[{place}]": size for place, size in enumerate(values)})
