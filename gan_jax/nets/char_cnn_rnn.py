"""The char-CNN-RNN: a sentence becomes an embedding, character by character."""

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, check_bound, check_choice
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv, one_hot
from gan_jax.nets.mlp import check_sizes
from gan_jax.signals import resize

WINDOW = 3


def small_uniform(key, shape, dtype=jnp.float32):
    """U[-0.08, 0.08), of which the authors draw every weight and bias."""
    return jax.random.uniform(key, shape, dtype, -0.08, 0.08)


class CharCNNRNN(nn.Module):
    """Map sentences to `num_outputs` numbers: convolutions over characters, then a recurrent net.

    A token is the place of its character in an alphabet of `num_characters`, from 1 on; 0 is what
    the alphabet lacks, and the padding. Tokens become one-hot rows, 0 a row of zeros, and any other
    number makes the embedding nan. Each convolution, ReLU behind it, pads nothing; then the largest
    of each 3 is taken, from places `pools` apart, a 1 in `pools` pooling nothing. Of 201 characters
    198, 66, 63, 21, 18 and 8 places are left. The states of the recurrent network over these are
    averaged, and a dense layer reads the mean. Padding is a part of the sentence, of a length that
    all share: the network runs over it, and it weighs in the mean.

    By default it is the paper's, with states h_t = max(0, W x_t + U h_{t-1} + b). The one that the
    GANs of Reed et al. 2016 (ICML) and StackGAN read is `CharCNNRNN(widths=(384, 512, 512),
    pools=(3, 3, 1), hidden=512, cell="gru")`, of 18 steps. The cells are Flax's. Where the authors
    have h_1 = tanh(W x_1 + b), its gated one has (1 - z) ⊙ of that; it resets U h and not h; and of
    the authors' biases beside U it has that of the candidate alone, the plain cell none.

    Weights start from the authors' U[-0.08, 0.08), which is meant for their widths: narrow networks
    make of it signals that hardly differ, and learn sooner from `kernel_init` he_normal. Biases
    always start there.

    Reed, Akata, Lee & Schiele 2016 (CVPR), section 4, and the authors' code.

    Raises:
        ValueError: a number is below 1, there is not one pool for each width, or the cell is
            unknown; the sentences are too short to leave a place.
    """

    num_outputs: int = 1024
    widths: Sequence[int] = (384, 512, 256)
    pools: Sequence[int] = (3, 3, 2)
    kernel_size: int = 4
    hidden: int = 256
    cell: Literal["rnn", "gru"] = "rnn"
    num_characters: int = 70
    kernel_init: nn.initializers.Initializer = small_uniform
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_outputs=self.num_outputs, kernel_size=self.kernel_size)
        check_bound(AT_LEAST_1, hidden=self.hidden, num_characters=self.num_characters)
        check_sizes(widths=self.widths, pools=self.pools)
        check_choice(("rnn", "gru"), cell=self.cell)
        if len(self.widths) != len(self.pools):
            raise Refusal(
                f"There are {len(self.widths)} widths and {len(self.pools)} pools; give each "
                "convolution its pool, 1 where it has none."
            )
        super().__post_init__()

    @property
    def shortest(self) -> int:
        """The least number of characters that leaves the recurrent network a place."""
        places = 1
        for pool in reversed(self.pools):
            pooled = places if pool == 1 else (places - 1) * pool + WINDOW
            places = pooled + self.kernel_size - 1
        return places

    @nn.compact
    def __call__(
        self, tokens: Int[Array, "num length"], *, train: bool = False
    ) -> Float[Array, "num {self.num_outputs}"]:
        num, length = tokens.shape
        if length < self.shortest:
            raise Refusal(
                f"The sentences have {length} characters; with these kernels and pools they need "
                f"{self.shortest}: pad them, or pool less."
            )
        told = {"kernel_init": self.kernel_init, "bias_init": small_uniform, "dtype": self.dtype}
        known = one_hot(tokens.reshape(-1), self.num_characters + 1, self.dtype or jnp.float32)
        x = known[:, 1:].reshape(num, length, -1)
        for width, pool in zip(self.widths, self.pools, strict=True):
            x = nn.relu(Conv(width, (self.kernel_size,), padding="VALID", **told)(x))
            x = _pooled(x, pool)
        cells = {"rnn": partial(nn.SimpleCell, activation_fn=nn.relu), "gru": nn.GRUCell}
        cell = cells[self.cell](self.hidden, recurrent_kernel_init=self.kernel_init, **told)
        start = jnp.zeros((num, self.hidden), x.dtype)
        _, states = nn.RNN(cell, return_carry=True)(x, initial_carry=start)
        return nn.Dense(self.num_outputs, **told)(states.mean(axis=1)).astype(jnp.float32)


class ImageEncoder(nn.Module):
    """Map images to `num_outputs` numbers, by what there is anywhere and by where it is.

    `depth` convolutions of stride 2, of `width` channels and then twice as many each, a ReLU behind
    each; of their maps the largest number of each channel, and its mean in each quarter; a hidden
    layer of `hidden` ReLUs and a linear one. So what is learned of a thing in one place holds in
    all. With a `size`, images that are not so many pixels high and wide are resized first. It
    stands where the paper has fixed features of GoogLeNet.

    Raises:
        ValueError: a number is below 1, or the images are too small for two rows and two columns
            of maps.
    """

    num_outputs: int
    width: int = 32
    depth: int = 2
    hidden: int = 128
    size: int | None = None
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_outputs=self.num_outputs, width=self.width, depth=self.depth)
        check_bound(AT_LEAST_1, hidden=self.hidden, size=1 if self.size is None else self.size)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width channels"], *, train: bool = False
    ) -> Float[Array, "num {self.num_outputs}"]:
        if self.size is not None:
            x = resize(x, (self.size, self.size))
        shown = x.shape[1:3]
        for i in range(self.depth):
            x = nn.relu(Conv(self.width << i, (5, 5), strides=(2, 2), dtype=self.dtype)(x))
        if min(x.shape[1:3]) < 2:
            raise Refusal(
                f"Images of {shown[0]}x{shown[1]} leave no quarters after {self.depth} halvings: "
                "give larger ones, or a smaller depth."
            )
        halves = [half for rows in _halves(x, 1) for half in _halves(rows, 2)]
        seen = [x.max((1, 2)), *(quarter.mean((1, 2)) for quarter in halves)]
        x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype)(jnp.concatenate(seen, axis=-1)))
        return nn.Dense(self.num_outputs, dtype=self.dtype)(x).astype(jnp.float32)


def _halves(x: Array, axis: int) -> list[Array]:
    return jnp.split(x, [x.shape[axis] // 2], axis=axis)


def _pooled(x: Array, pool: int) -> Array:
    """The largest of each window, by shifted arrays: quick to differentiate on a CPU."""
    if pool == 1:
        return x
    last = (x.shape[1] - WINDOW) // pool * pool
    return reduce(jnp.maximum, (x[:, i : i + last + 1 : pool] for i in range(WINDOW)))
