"""The layers that every convolutional network here is made of."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.linen.linear import canonicalize_padding
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers.adjoints import check_groups, conv_general_dilated


class Conv(nn.Conv):
    """Convolve as `flax.linen.Conv` does, fast on CPU inside loops too.

    Equal to Flax's layer in arguments, parameters, values and every derivative.

    Raises:
        ValueError: `features` is below 1, the maps would be empty, or the channels are no multiple
            of the groups.
    """

    conv_general_dilated: Callable | None = conv_general_dilated

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, features=self.features)
        super().__post_init__()

    def __call__(self, inputs: Float[Array, "*num_spatial in"]) -> Float[Array, "*num_map out"]:
        check_groups(inputs.shape[-1], self.features, self.feature_group_count)
        return super().__call__(inputs)


class ConvTranspose(nn.Module):
    """Convolve images dilated by the strides, as `flax.linen.ConvTranspose` does.

    Fast on CPU, and equal to Flax's layer in parameters, values and every derivative. `padding`
    is "SAME" (the output is `strides` times the input), "VALID" (it holds all that the kernel
    touches), or a number or a pair (low, high), for all spatial axes or each, by which the dilated
    input is padded. As in Flax, any number of axes may lead, also none.

    Raises:
        ValueError: `features` is below 1, `padding` another string, or the images would be empty.
    """

    features: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] | None = None
    padding: str | int | Sequence[int | tuple[int, int]] = "SAME"
    kernel_dilation: int | Sequence[int] | None = None
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
    bias_init: Callable[..., Array] = nn.initializers.zeros_init()

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, features=self.features)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "*num_spatial in"]) -> Float[Array, "*num_image out"]:
        kernel_size = _per_axis(self.kernel_size, 1)
        strides = _per_axis(self.strides or 1, len(kernel_size))
        holes = _per_axis(self.kernel_dilation or 1, len(kernel_size))
        shape = (*kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        padding = canonicalize_padding(self.padding, len(kernel_size))
        if isinstance(padding, str):
            padding = [
                _pads((size - 1) * hole + 1, stride, padding)
                for size, stride, hole in zip(kernel_size, strides, holes, strict=True)
            ]
        ones = (1,) * len(kernel_size)
        leading = x.shape[: -len(kernel_size) - 1]
        images = x.reshape(-1, *x.shape[len(leading) :])
        y = conv_general_dilated(
            images, kernel, ones, padding, lhs_dilation=strides, rhs_dilation=holes
        )
        y = y if bias is None else y + bias.reshape(*ones, 1, -1)
        return y.reshape(*leading, *y.shape[1:])


def _per_axis(value: int | Sequence[int], num_axes: int) -> tuple[int, ...]:
    return (value,) * num_axes if isinstance(value, int) else tuple(value)


def _pads(size: int, stride: int, padding: str) -> tuple[int, int]:
    """Pad the dilated input so that n becomes n · stride (SAME) or all that is touched (VALID)."""
    if padding == "VALID":
        return size - 1, max(size, stride) - 1
    if padding == "SAME":
        low = size - 1 if stride > size - 1 else (size + stride - 1) // 2
        return low, size + stride - 2 - low
    raise Refusal(
        f'padding is "{padding}"; it must be "SAME", "VALID", or a number or a pair per axis.'
    )


def convolve_each(
    x: Float[Array, "num *maps in"], filters: Float[Array, "num *kernel in out"]
) -> Float[Array, "num *maps out"]:
    """Convolve every example with its own filters, zeros around it, sizes kept.

    A filter may have fewer axes than an example: what is left in front, such as frames, is
    convolved one by one. A filter that is 1 in its middle and 0 elsewhere changes nothing.
    """
    num_axes = filters.ndim - 3
    several = x.reshape(len(x), -1, *x.shape[-num_axes - 1 :])

    def convolve(maps: Array, kernel: Array) -> Array:
        return conv_general_dilated(maps, kernel, (1,) * num_axes, "SAME")

    return jax.vmap(convolve)(several, filters).reshape(*x.shape[:-1], filters.shape[-1])
