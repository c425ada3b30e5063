"""TFGAN's encoder of texts, which also makes filters (Balaji, Min, Bai, Chellappa & Graf 2019)."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_0, AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv

FILTER = 5
"""The side of the filters."""
FILTER_TIME = 3
"""The frames that those of the critic of clips see."""
SHORTEST = 10
"""The least number of words that leaves the last layer of a tower a place."""


class TextEncoder(nn.Module):
    """Make of sentences embeddings of content and motion, and filters for two critics.

    A word is its number in a vocabulary of `num_words`, from 1 on; 0 is a word that is not known
    and the padding, a row of zeros, and any other number makes everything nan. Words become rows of
    a table that is learned, of `word_dim` numbers; the paper's are GloVe's, which stay. Two towers
    read them, each a convolution over 3 words, pooling by 2, another one (L₁), pooling by 2, and a
    layer over what is left, with a ReLU behind each: `dim` numbers, the embedding (L₂).

    From L₁ and from L₂ of a tower a linear layer makes `num_filters` filters each, for as many
    channels: of 5x5 from content, for the critic of frames, of 3x5x5 from motion, for that of
    clips. The bank of the first tap is the first half of both, that of the second tap the rest.
    With `num_filters` 0 there are none, for critics that read the embedding alone.

    Returns (content, motion, filters of content, filters of motion); filters are a tuple of two
    banks (num, *kernel, channels, filters), or (). Our choice, where the paper is silent: kernels
    start from he_normal, the table from N(0, 1), and filters of the scale that a convolution's
    kernel has. At the defaults 99 % of 292 million parameters are in the layers that make filters.

    Balaji et al. 2019, and the authors' code, whose sentences have 16 words.

    >>> import jax
    >>> from gan_jax import nets
    >>> network = nets.TextEncoder(num_words=40, dim=64, width=32, num_filters=8)
    >>> (content, motion, of_frames, of_clips), variables = jax.eval_shape(
    ...     network.init_with_output, jax.random.key(0), jax.numpy.zeros((3, 16), int))
    >>> content.shape, [bank.shape for bank in of_clips]
    ((3, 64), [(3, 3, 5, 5, 8, 8), (3, 3, 5, 5, 8, 8)])

    Raises:
        ValueError: a number is below its bound, or `num_filters` is odd; sentences have fewer than
            10 places.
    """

    num_words: int
    dim: int = 256
    width: int = 512
    word_dim: int = 300
    num_filters: int = 32
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_words=self.num_words, dim=self.dim, width=self.width)
        check_bound(AT_LEAST_1, word_dim=self.word_dim)
        check_bound(AT_LEAST_0, num_filters=self.num_filters)
        if self.num_filters % 2:
            raise Refusal(
                f"num_filters is {self.num_filters}; it must be even, for two taps share them."
            )
        super().__post_init__()

    @nn.compact
    def __call__(
        self, tokens: Int[Array, "num length"], *, train: bool = False
    ) -> tuple[Array, Array, tuple[Array, ...], tuple[Array, ...]]:
        if tokens.shape[1] < SHORTEST:
            raise Refusal(
                f"The sentences have {tokens.shape[1]} places; the encoder's convolutions need "
                f"{SHORTEST}: pad them by 0."
            )
        shape = (self.num_words, self.word_dim)
        table = jnp.pad(self.param("words", nn.initializers.normal(1.0), shape), [(1, 0), (0, 0)])
        known = (tokens >= 0) & (tokens <= self.num_words)
        words = jnp.where(known[..., None], table[tokens], jnp.nan)
        sides = (FILTER, FILTER)
        content, of_frames = self._tower("content", sides)(words)
        motion, of_clips = self._tower("motion", (FILTER_TIME, *sides))(words)
        return content, motion, of_frames, of_clips

    def _tower(self, name: str, kernel: tuple[int, ...]) -> "TextTower":
        return TextTower(self.dim, self.width, self.num_filters, kernel, self.dtype, name=name)


class TextTower(nn.Module):
    """One of the two towers of `TextEncoder`: an embedding of rows of numbers, and two banks."""

    dim: int
    width: int
    num_filters: int
    kernel: tuple[int, ...]
    dtype: Any = None

    @nn.compact
    def __call__(
        self, words: Float[Array, "num length word"]
    ) -> tuple[Float[Array, "num {self.dim}"], tuple[Array, ...]]:
        told = {"kernel_init": nn.initializers.he_normal(), "dtype": self.dtype}
        x = nn.relu(Conv(self.width, (3,), padding="VALID", **told)(words))
        early = nn.relu(Conv(self.width, (3,), padding="VALID", **told)(_larger(x)))
        x = _larger(early).reshape(len(words), -1)
        late = nn.relu(nn.Dense(self.dim, **told)(x))
        return late.astype(jnp.float32), self._banks(early.reshape(len(words), -1), late)

    def _banks(self, early: Array, late: Array) -> tuple[Array, ...]:
        if not self.num_filters:
            return ()
        shape = (*self.kernel, self.num_filters, self.num_filters)
        scale = 1 / math.prod(shape[:-1])
        init = nn.initializers.variance_scaling(scale, "fan_in", "truncated_normal")
        made = []
        for x in (early, late):
            numbers = nn.Dense(math.prod(shape), kernel_init=init, dtype=self.dtype)(x)
            made.append(jnp.split(numbers.astype(jnp.float32).reshape(-1, *shape), 2, axis=-1))
        return tuple(jnp.concatenate(halves, axis=-1) for halves in zip(*made, strict=True))


def _larger(x: Array) -> Array:
    """The larger of each two along the second axis."""
    last = x.shape[1] // 2 * 2
    return jnp.maximum(x[:, 0:last:2], x[:, 1:last:2])
