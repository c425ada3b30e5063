"""The normalisation that a network was asked for."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from gan_jax.checks import check_choice

Norm: TypeAlias = Literal["instance", "batch"]

weights_init = nn.initializers.normal(0.02)


def gains_init(key, shape, dtype=jnp.float32):
    """N(1, 0.02²), as the authors' code of DCGAN, pix2pix and CycleGAN has it."""
    return 1 + weights_init(key, shape, dtype)


def check_norm(norm: Any) -> None:
    """Raise ValueError where there is no such normalisation."""
    check_choice(("instance", "batch", None), norm=norm)


def normalization(
    norm: Norm | None,
    *,
    train: bool,
    dtype: Any = None,
    axis_name: str | None = None,
    epsilon: float = 1e-5,
) -> Callable[[], Callable[[Array], Array]]:
    """Make the layers that normalise a network's maps, each with a gain and a bias a channel, and
    with `epsilon` added to variances.

    "instance" takes mean and variance of each map of each example, trained or not (Ulyanov et al.
    2016); "batch" those of a batch where it trains, over `axis_name` too, and running averages
    else; None leaves maps as they are.
    """
    if norm is None:
        return lambda: lambda maps: maps
    if norm == "instance":
        return partial(nn.InstanceNorm, epsilon=epsilon, scale_init=gains_init, dtype=dtype)
    return partial(
        nn.BatchNorm,
        use_running_average=not train,
        momentum=0.9,
        epsilon=epsilon,
        scale_init=gains_init,
        dtype=dtype,
        axis_name=axis_name,
    )


def pixel_norm(x: Array) -> Array:
    """The features of each place, brought to a mean square of 1."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-8)
