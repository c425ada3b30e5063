"""Convolution with kernels that each example's style scales."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound, check_choice
from gan_jax.nets.layers.adjoints import conv_general_dilated
from gan_jax.nets.layers.equalised import equalised_kernel
from gan_jax.signals import smooth

EPSILON = 1e-8


class ModulatedConv(nn.Module):
    """Convolve each image by the kernel w'_ijk = s_i w_ijk of its own style s, brought to norm 1.

        w''_ijk = w'_ijk / √(Σ_ik w'_ijk² + 1e-8)

    with input channels i, output channels j and places k. It is written as (s x) * w, times the
    demodulation d_j = (Σ_ik (s_i w_ijk)² + 1e-8)^(-1/2), which is equal to it and convolves all
    images by one kernel. `demodulate` off leaves w'. Styles are the scales themselves, of which 1
    changes nothing; the affine map that makes them is the caller's.

    `upsample` doubles images on the way: zeros between the pixels, the kernel, then the filter
    (1, 3, 3, 1)/8 along both axes, times 4. The kernel is at an equalised learning rate, and there
    is no bias.

    Karras et al. 2020 (StyleGAN2), equations (1) to (3), and the authors' code.

    >>> import jax
    >>> from gan_jax import nets
    >>> x, styles = jax.numpy.ones((2, 8, 8, 3)), jax.numpy.ones((2, 3))
    >>> y, _ = nets.layers.ModulatedConv(5, 3).init_with_output(jax.random.key(0), x, styles)
    >>> y.shape
    (2, 8, 8, 5)

    Raises:
        ValueError: `features` or `kernel_size` is below 1, or `upsample` has another kernel than 1,
            3 or 5.
    """

    features: int
    kernel_size: int
    demodulate: bool = True
    upsample: bool = False
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, features=self.features, kernel_size=self.kernel_size)
        if self.upsample:
            check_choice((1, 3, 5), kernel_size=self.kernel_size)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width in"], styles: Float[Array, "num in"]
    ) -> Float[Array, "num rows columns {self.features}"]:
        size = self.kernel_size
        kernel = equalised_kernel(self, (size, size, x.shape[-1], self.features))
        dtype = self.dtype or jnp.result_type(x, kernel)
        y = convolve((x * styles[:, None, None]).astype(dtype), kernel.astype(dtype), self.upsample)
        if not self.demodulate:
            return y
        squares = jnp.square(styles) @ jnp.sum(jnp.square(kernel), axis=(0, 1))
        return y * jax.lax.rsqrt(squares + EPSILON)[:, None, None].astype(dtype)


def convolve(
    x: Float[Array, "num height width in"], kernel: Float[Array, "size size in out"], upsample: bool
) -> Float[Array, "num rows columns out"]:
    """Convolve with zeros around, sizes kept or doubled."""
    if not upsample:
        return conv_general_dilated(x, kernel, (1, 1), "SAME")
    touched = [(len(kernel) - 1,) * 2] * 2
    y = conv_general_dilated(x, kernel, (1, 1), touched, lhs_dilation=(2, 2))
    edge = (5 - len(kernel)) // 2
    return smooth(y, (edge, edge), gain=4.0)
