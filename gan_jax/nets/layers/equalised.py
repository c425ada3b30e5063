"""Layers at an equalised learning rate: kernels are kept as N(0, 1), and scaled in use."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, POSITIVE, check_bound
from gan_jax.nets.layers.adjoints import conv_general_dilated


def equalised_kernel(
    module: nn.Module, shape: tuple[int, ...], *, gain: float = 1.0, rate: float = 1.0
) -> Float[Array, "*kernel in out"]:
    """A module's parameter "kernel", drawn from N(0, 1/rate²), times gain · rate / √fan-in.

    So a step of Adam changes all layers at one rate, or at `rate` times it, whatever their width.

    Karras et al. 2018 (progressive growing), section 4.1; `rate`: Karras et al. 2019.
    """
    kernel = module.param("kernel", nn.initializers.normal(1 / rate), shape)
    return kernel * (gain * rate / math.sqrt(math.prod(shape[:-1])))


class EqualisedDense(nn.Module):
    """A dense layer at an equalised learning rate, with a bias that starts at 0.

    Raises:
        ValueError: `features` is below 1, or `gain` or `rate` is not positive.
    """

    features: int
    gain: float = 1.0
    rate: float = 1.0
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, features=self.features)
        check_bound(POSITIVE, gain=self.gain, rate=self.rate)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "*num in"]) -> Float[Array, "*num {self.features}"]:
        shape = (x.shape[-1], self.features)
        kernel = equalised_kernel(self, shape, gain=self.gain, rate=self.rate)
        bias = self.rate * self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        return x @ kernel + jnp.broadcast_to(bias, (*x.shape[:-1], self.features))


class EqualisedConv(nn.Module):
    """A convolution of images at an equalised learning rate, with a bias that starts at 0.

    Raises:
        ValueError: `features` or `kernel_size` is below 1, `gain` is not positive, or the maps
            would be empty.
    """

    features: int
    kernel_size: int | tuple[int, int] = 3
    strides: int = 1
    padding: str = "SAME"
    gain: float = 1.0
    use_bias: bool = True
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, features=self.features, strides=self.strides)
        check_bound(AT_LEAST_1, height=self.window[0], width=self.window[1])
        check_bound(POSITIVE, gain=self.gain)
        super().__post_init__()

    @property
    def window(self) -> tuple[int, int]:
        size = self.kernel_size
        return (size, size) if isinstance(size, int) else size

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width in"]
    ) -> Float[Array, "num rows columns {self.features}"]:
        kernel = equalised_kernel(self, (*self.window, x.shape[-1], self.features), gain=self.gain)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = conv_general_dilated(x, kernel, (self.strides,) * 2, self.padding)
        return y if bias is None else y + bias[None, None, None]
