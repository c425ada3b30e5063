"""The pair that the first GAN learned MNIST by (Goodfellow et al. 2014, section 5).

Sizes and initial ranges are those of the authors' code.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, DECAY, check_bound
from gan_jax.nets.layers import Maxout
from gan_jax.nets.mlp import MLPGenerator, check_sizes


def symmetric(limit: float) -> nn.initializers.Initializer:
    """Draw weights from U(-limit, limit)."""

    def draw(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return draw


def goodfellow_generator(
    shape: Sequence[int], widths: Sequence[int] = (1200, 1200), **arguments: Any
) -> MLPGenerator:
    """Map latents to images in [0, 1]: ReLU, a sigmoid at the end, weights from U(-0.05, 0.05).

    The paper's latents are 100 numbers from U(-√3, √3), and its last biases start at the logits of
    the mean image: `output_bias_init`. Other arguments are those of `MLPGenerator`.

    Raises:
        ValueError: a size or a width is below 1.
    """
    return MLPGenerator(shape, widths, output=nn.sigmoid, kernel_init=symmetric(0.05), **arguments)


class GoodfellowDiscriminator(nn.Module):
    """Map examples of any shape to one logit each, by layers of maxout units and dropout.

    In training a number of the input is dropped with probability `input_dropout`, and one of a
    hidden layer with probability `dropout`; those that are left are divided by the probability to
    be left. Weights start in U(-0.005, 0.005), or as `kernel_init` draws them.

    Raises:
        ValueError: a width or `num_pieces` is below 1, or a probability not in [0, 1).
    """

    widths: Sequence[int] = (240, 240)
    num_pieces: int = 5
    input_dropout: float = 0.2
    dropout: float = 0.5
    kernel_init: nn.initializers.Initializer = symmetric(0.005)
    dtype: Any = None

    def __post_init__(self) -> None:
        check_sizes(widths=self.widths)
        check_bound(AT_LEAST_1, num_pieces=self.num_pieces)
        check_bound(DECAY, input_dropout=self.input_dropout, dropout=self.dropout)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num *shape"], *, train: bool = False
    ) -> Float[Array, " num"]:
        told = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        x = nn.Dropout(self.input_dropout, deterministic=not train)(x.reshape(x.shape[0], -1))
        for width in self.widths:
            x = Maxout(width, self.num_pieces, **told)(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(1, **told)(x)[:, 0].astype(jnp.float32)
