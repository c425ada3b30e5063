"""The pair of the conditional GAN for MNIST (Mirza & Osindero 2014, section 4.1).

Each network is called with classes y beside its input. Where the paper is silent: dropout follows
every hidden layer, and weights start in the ranges of Goodfellow et al. 2014.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, DECAY, UNIT, Bound, check_bound
from gan_jax.nets.goodfellow import symmetric
from gan_jax.nets.layers import Maxout, one_hot
from gan_jax.nets.mlp import check_sizes


class ConditionalGenerator(nn.Module):
    """Map latents z and classes y to examples of `shape` in [0, 1], by ReLU and a sigmoid.

    z and y each have a hidden layer, which are joined under a third: `widths` are theirs. The
    paper's latents are 100 numbers from U(0, 1).

    Raises:
        ValueError: a size, a width or `num_classes` is below 1, or `dropout` not in [0, 1).
    """

    shape: Sequence[int]
    num_classes: int
    widths: tuple[int, int, int] = (200, 1000, 1200)
    dropout: float = 0.5
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_classes=self.num_classes)
        check_sizes(shape=self.shape, widths=self.widths)
        check_bound(DECAY, dropout=self.dropout)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of the sigmoid."""
        return UNIT

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num latent"],
        labels: Int[Array, " num"],
        *,
        train: bool = False,
    ) -> Float[Array, "num *shape"]:
        of_latents, of_labels, of_both = self.widths
        dense = partial(nn.Dense, kernel_init=symmetric(0.05), dtype=self.dtype)
        drop = partial(nn.Dropout, self.dropout, deterministic=not train)
        z = drop()(nn.relu(dense(of_latents)(latents)))
        y = drop()(nn.relu(dense(of_labels)(one_hot(labels, self.num_classes))))
        joint = drop()(nn.relu(dense(of_both)(jnp.concatenate([z, y], axis=-1))))
        x = dense(math.prod(self.shape))(joint)
        return nn.sigmoid(x.reshape(-1, *self.shape).astype(jnp.float32))


class ConditionalDiscriminator(nn.Module):
    """Map examples x of any shape and classes y to one logit each, by maxout units.

    x and y each have a hidden layer, which are joined under a third: `widths` and `num_pieces` are
    theirs.

    Raises:
        ValueError: a width, a number of pieces or `num_classes` is below 1, or `dropout` not in
            [0, 1).
    """

    num_classes: int
    widths: tuple[int, int, int] = (240, 50, 240)
    num_pieces: tuple[int, int, int] = (5, 5, 4)
    dropout: float = 0.5
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_classes=self.num_classes)
        check_sizes(widths=self.widths, num_pieces=self.num_pieces)
        check_bound(DECAY, dropout=self.dropout)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num *shape"], labels: Int[Array, " num"], *, train: bool = False
    ) -> Float[Array, " num"]:
        told = {"kernel_init": symmetric(0.005), "dtype": self.dtype}
        drop = partial(nn.Dropout, self.dropout, deterministic=not train)
        of_x, of_labels, of_both = (
            Maxout(width, pieces, **told)
            for width, pieces in zip(self.widths, self.num_pieces, strict=True)
        )
        x = drop()(of_x(x.reshape(x.shape[0], -1)))
        y = drop()(of_labels(one_hot(labels, self.num_classes)))
        joint = drop()(of_both(jnp.concatenate([x, y], axis=-1)))
        return nn.Dense(1, **told)(joint)[:, 0].astype(jnp.float32)
