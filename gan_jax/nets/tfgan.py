"""TFGAN's generator (Balaji, Min, Bai, Chellappa & Graf 2019): what stays, and what moves.

As in the authors' code nothing is normalised, and a residual block has one convolution. The encoder
of the texts is in `tfgan_text`, the critics in `tfgan_critic`.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv
from gan_jax.nets.vgan import check_sizes
from gan_jax.signals import nearest_up


class ResidualBlock(nn.Module):
    """s(x) + conv(LeakyReLU(x)), of slope 0.2 and sides 3; s is 1x1 where the channels change.

    Convolves along the last `num_axes` axes before the channels.
    """

    features: int
    num_axes: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "*num_space in"]) -> Float[Array, "*num_space out"]:
        y = Conv(self.features, (3,) * self.num_axes, dtype=self.dtype)(nn.leaky_relu(x, 0.2))
        if x.shape[-1] != self.features:
            x = nn.Dense(self.features, use_bias=False, dtype=self.dtype)(x)
        return x + y


class TFGANGenerator(nn.Module):
    """Map latents and embeddings of content and motion to square clips in [-1, 1].

    Of an example's latents, of shape `latent_shape`, the first row z is what stays, the second the
    start h₀ of a gated recurrent network, and each further one ε_t the noise of a frame:

        h_t = GRU(h_{t-1}, [ε_t, y_motion]),  frame_t = G([z, y_content, h_t]).

    G is a dense layer to maps of 2x2 where `size` is a power of two, and residual blocks with every
    pixel taken four times between them; the last has `width` channels. Rows and states have `dim`
    numbers, embeddings any number. The paper's clips are 16 frames of 64x64.

    Balaji et al. 2019, and the authors' code.

    >>> import jax
    >>> from gan_jax import nets
    >>> network = nets.TFGANGenerator(num_frames=8, size=32, channels=3)
    >>> latents, text = jax.numpy.zeros((4, *network.latent_shape)), jax.numpy.zeros((4, 256))
    >>> clips, variables = jax.eval_shape(
    ...     network.init_with_output, jax.random.key(0), latents, text, text)
    >>> network.latent_shape, clips.shape
    ((10, 256), (4, 8, 32, 32, 3))

    Raises:
        ValueError: a number is below 1, or `size` is odd; latents are of another shape.
    """

    num_frames: int
    size: int
    channels: int
    width: int = 32
    dim: int = 256
    dtype: Any = None

    def __post_init__(self) -> None:
        check_sizes(self)
        check_bound(AT_LEAST_1, dim=self.dim)
        if self.size % 2:
            raise Refusal(f"size is {self.size}; it must be even, for smaller maps are doubled.")
        super().__post_init__()

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Rows and numbers of an example's latents, as `networks.normal` takes them."""
        return self.num_frames + 2, self.dim

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num rows numbers"],
        content: Float[Array, "num dim_content"],
        motion: Float[Array, "num dim_motion"],
        *,
        train: bool = False,
    ) -> Float[Array, "num {self.num_frames} {self.size} {self.size} {self.channels}"]:
        self._check(latents)
        z, start, noise = latents[:, 0], latents[:, 1], latents[:, 2:]
        steps = jnp.concatenate([noise, self._repeat(motion)], axis=-1)
        steps, start = promote_dtype(steps, start, dtype=self.dtype)
        cell = nn.GRUCell(self.dim, dtype=self.dtype)
        _, states = nn.RNN(cell, return_carry=True)(steps, initial_carry=start)
        x = jnp.concatenate([self._repeat(z), self._repeat(content), states], axis=-1)
        side, *widths = _plan(self.size)
        x = nn.Dense(side * side * widths[0] * self.width, dtype=self.dtype)(x)
        x = x.reshape(*x.shape[:2], side, side, widths[0] * self.width)
        for i, factor in enumerate(widths):
            x = ResidualBlock(factor * self.width, 2, self.dtype)(nearest_up(x) if i else x)
        x = Conv(self.channels, (3, 3), dtype=self.dtype)(nn.leaky_relu(x, 0.2))
        return jnp.tanh(x.astype(jnp.float32))

    def _repeat(self, row: Array) -> Array:
        """Give every frame of an example the same row."""
        return jnp.broadcast_to(row[:, None], (len(row), self.num_frames, row.shape[-1]))

    def _check(self, latents: Array) -> None:
        if latents.shape[1:] != self.latent_shape:
            raise Refusal(
                f"Latents are of shape {latents.shape[1:]}; {self.num_frames} frames with dim "
                f"{self.dim} need {self.latent_shape}: draw them by "
                f"networks.normal(*generator.latent_shape)."
            )


def _plan(size: int) -> list[int]:
    """The side of the smallest maps, and the factors of the width: of 64 2, then 8 4 4 4 2 1."""
    doublings = 0
    while size % 2 == 0 and size >= 4:
        size, doublings = size // 2, doublings + 1
    return [size, 8, *(min(4, 1 << i) for i in reversed(range(doublings)))]
