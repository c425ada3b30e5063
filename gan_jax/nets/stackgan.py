"""The generators of StackGAN (Zhang, Xu, Li, Zhang, Wang, Huang & Metaxas 2017), in two stages.

The critic of either stage is `TextToImageDiscriminator`. Every pixel four times and a 3x3
convolution double maps; kernels start from N(0, 0.02²), batch normalisation's gains from
N(1, 0.02²), and the text's layer from Flax's default. The residual blocks of the first stage are
not in the paper, but in the authors' code.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_0, AT_LEAST_1, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv
from gan_jax.nets.layers.norms import normalization, weights_init
from gan_jax.nets.text_to_image import check_sizes, grow, joined, projected
from gan_jax.signals import nearest_up


class ConditioningAugmentation(nn.Module):
    """Draw ĉ = μ(t) + σ(t) ⊙ ε, ε ~ N(0, I), around what a text's embedding t says.

    A dense layer and LeakyReLU of slope 0.2 give μ, of `dim` numbers, and log σ². Returns (ĉ, (μ,
    log σ²)), in float32 or wider. Its random stream is `noise`, from which it draws whether it is
    trained or asked. The authors' code truncates ε at 2 standard deviations, which the paper does
    not, and its network gives log σ.

    Zhang et al. 2017, section 3.2.

    Raises:
        ValueError: `dim` is below 1.
    """

    dim: int
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, dim=self.dim)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, text: Float[Array, "num embedding"]
    ) -> tuple[
        Float[Array, "num {self.dim}"],
        tuple[Float[Array, "num {self.dim}"], Float[Array, "num {self.dim}"]],
    ]:
        numbers = nn.leaky_relu(nn.Dense(2 * self.dim, dtype=self.dtype)(text), 0.2)
        wide = jnp.promote_types(numbers.dtype, jnp.float32)
        mean, log_variance = jnp.split(numbers.astype(wide), 2, axis=-1)
        noise = jax.random.normal(self.make_rng("noise"), mean.shape, mean.dtype)
        return mean + jnp.exp(log_variance / 2) * noise, (mean, log_variance)


class StageOneGenerator(nn.Module):
    """Map latents and embeddings of texts to small images in [-1, 1].

    As `TextToImageGenerator`, on ĉ, of `text_dim` numbers, in place of the projected text. Returns
    (images, (mean, log-variance)), of the augmentation; without `augmentation` ĉ is the mean, and
    the images alone are returned.

    Zhang et al. 2017, section 3.3.

    >>> import jax
    >>> from gan_jax import nets
    >>> network, latents, text = nets.StageOneGenerator(64, 3), *jax.numpy.zeros((2, 5, 100))
    >>> (images, (mean, log_variance)), variables = jax.eval_shape(
    ...     network.init_with_output, jax.random.key(0), latents, text)
    >>> images.shape, mean.shape
    ((5, 64, 64, 3), (5, 128))

    Raises:
        ValueError: a number is below its bound, or `size` is odd.
    """

    size: int
    channels: int
    width: int = 128
    text_dim: int = 128
    num_residual: int = 2
    augmentation: bool = True
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_sizes(self)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num latent"],
        text: Float[Array, "num embedding"],
        *,
        train: bool = False,
    ) -> Any:
        condition, *gaussian = _conditioned(self, text)
        vector = jnp.concatenate([condition, latents], axis=-1)
        return _beside(grow(self, vector, partial(_up, self), train=train), gaussian)


class StageTwoGenerator(nn.Module):
    """Make larger and finer images in [-1, 1] of the first stage's and of the text once more.

    `stage_one` is called with the latents and the text; give it as `systems.networks.Frozen(...)`,
    so that it stays as it is. A 3x3 convolution makes maps of `width` channels of its images, and
    4x4 ones halve them twice and double the channels. At every place they are joined to a ĉ drawn
    anew, of `text_dim` numbers, and they pass `num_residual` blocks x + f(x) of two 3x3
    convolutions: in the authors' code 4 for images of 256x256, and 2 for 128x128. Then they are
    doubled, and their channels halved, until their sides are 2^`num_doublings` times those of the
    first stage's images. Returns what `StageOneGenerator` does.

    Zhang et al. 2017, section 3.4.

    >>> import jax
    >>> from gan_jax import nets
    >>> network = nets.StageTwoGenerator(nets.StageOneGenerator(64, 3))
    >>> latents, text = jax.numpy.zeros((2, 5, 100))
    >>> (images, _), variables = jax.eval_shape(
    ...     network.init_with_output, jax.random.key(0), latents, text)
    >>> images.shape
    (5, 256, 256, 3)

    Raises:
        ValueError: a number is below its bound, or the sides of the first stage's images are no
            multiples of 4.
    """

    stage_one: nn.Module
    num_doublings: int = 2
    width: int = 128
    text_dim: int = 128
    num_residual: int = 4
    augmentation: bool = True
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_doublings=self.num_doublings, width=self.width)
        check_bound(AT_LEAST_1, text_dim=self.text_dim)
        check_bound(AT_LEAST_0, num_residual=self.num_residual)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num latent"],
        text: Float[Array, "num embedding"],
        *,
        train: bool = False,
    ) -> Any:
        small = self.stage_one(latents, text, train=train)
        small = small[0] if isinstance(small, tuple) else small
        _check_small(small)
        norm = normalization("batch", train=train, dtype=self.dtype, axis_name=self.axis_name)
        conv = partial(Conv, use_bias=False, kernel_init=weights_init, dtype=self.dtype)
        here = partial(conv, kernel_size=(3, 3))
        down = partial(conv, kernel_size=(4, 4), strides=(2, 2))
        condition, *gaussian = _conditioned(self, text)
        x = nn.relu(here(self.width, use_bias=True)(small))
        for factor in (2, 4):
            x = nn.relu(norm()(down(factor * self.width)(x)))
        x = nn.relu(norm()(here(4 * self.width)(joined(x, condition))))
        for _ in range(self.num_residual):
            y = nn.relu(norm()(here(4 * self.width)(x)))
            x = nn.relu(x + norm()(here(4 * self.width)(y)))
        for i in range(1, 3 + self.num_doublings):
            x = nn.relu(norm()(_up(self, x, max(4 * self.width >> i, 1), use_bias=False)))
        x = here(small.shape[-1], use_bias=True)(x)
        return _beside(jnp.tanh(x.astype(jnp.float32)), gaussian)


def _conditioned(module: Any, text: Array) -> tuple[Any, ...]:
    """ĉ and what it was drawn from, or the mean alone where there is no augmentation."""
    if module.augmentation:
        return ConditioningAugmentation(module.text_dim, module.dtype)(text)
    return (projected(module, text),)


def _beside(images: Array, gaussian: list[Any]) -> Any:
    return (images, *gaussian) if gaussian else images


def _up(module: Any, x: Array, features: int, *, use_bias: bool) -> Array:
    told = {"use_bias": use_bias, "kernel_init": weights_init, "dtype": module.dtype}
    return Conv(features, (3, 3), **told)(nearest_up(x))


def _check_small(images: Array) -> None:
    if images.shape[1] % 4 or images.shape[2] % 4:
        raise Refusal(
            f"The first stage makes images of {images.shape[1]}x{images.shape[2]}, which the "
            "second halves twice: give the first a size that is a multiple of 4."
        )
