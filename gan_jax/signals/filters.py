"""Filters of a few taps, as shifted sums: on a CPU much faster than a convolution.

And by them images halved and doubled, the steps of a pyramid.
"""

import functools
import math
import operator
from collections.abc import Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Image: TypeAlias = Float[Array, "*batch height width channels"]
Half: TypeAlias = Float[Array, "*batch (height+1)//2 (width+1)//2 channels"]
Double: TypeAlias = Float[Array, "*batch 2*height 2*width channels"]
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
SMOOTH = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def correlate(x: Array, taps: Sequence[float], axis: int, *, stride: int = 1) -> Array:
    """Σ_k taps_k x_(s i + k) along an axis, for each i of which all taps lie inside."""
    places = x.shape[axis] - len(taps) + 1
    return functools.reduce(
        operator.add,
        (
            tap * jax.lax.slice_in_dim(x, start, start + places, stride, axis)
            for start, tap in enumerate(taps)
        ),
    )


def mean_down(image: Image) -> Half:
    """Halve images by means of 2 x 2 pixels; the last row or column of an odd side counts twice."""
    *batch, height, width, channels = image.shape
    odd = [(0, 0)] * len(batch) + [(0, height % 2), (0, width % 2), (0, 0)]
    blocks = (*batch, (height + 1) // 2, 2, (width + 1) // 2, 2, channels)
    return jnp.pad(image, odd, mode="edge").reshape(blocks).mean(axis=(-4, -2))


def nearest_up(image: Image) -> Double:
    """Double images: every pixel four times."""
    return jnp.repeat(jnp.repeat(image, 2, axis=-3), 2, axis=-2)


def binomial_down(image: Image) -> Half:
    """Halve images: the taps (1, 4, 6, 4, 1)/16 along both axes, then every second pixel.

    Edges are mirrored without repeating the last pixel. An odd side keeps its last pixel.

    Burt & Adelson 1983, equation (1).
    """
    return _binomial(image, stride=2, gain=1)


def binomial_up(image: Image) -> Double:
    """Double images: zeros between the pixels, the filter of `binomial_down`, times 4.

    Burt & Adelson 1983, equation (2).
    """
    between = [(0, 0, 0)] * (image.ndim - 3) + [(0, 1, 1), (0, 1, 1), (0, 0, 0)]
    spread = jax.lax.pad(image, jnp.zeros((), image.dtype), between)
    return _binomial(spread, stride=1, gain=2)


def _binomial(image: Array, *, stride: int, gain: int) -> Array:
    """The filter along height and along width, each time with this stride and this gain."""
    taps = [gain * tap for tap in BINOMIAL]
    for axis in (-3, -2):
        edges = [(0, 0)] * image.ndim
        edges[axis] = (2, 2)
        image = correlate(jnp.pad(image, edges, mode="reflect"), taps, axis, stride=stride)
    return image


def smooth(
    image: Image, pads: tuple[int, int], *, stride: int = 1, gain: float = 1.0
) -> Float[Array, "*batch rows columns channels"]:
    """The taps (1, 3, 3, 1)/8 along both axes, after `pads` zeros before and behind, times `gain`.

    Karras et al. 2020 (StyleGAN2), by which its images and features change their size.
    """
    taps = [math.sqrt(gain) * tap for tap in SMOOTH]
    for axis in (-3, -2):
        edges = [(0, 0)] * image.ndim
        edges[axis] = pads
        image = correlate(jnp.pad(image, edges), taps, axis, stride=stride)
    return image


def smooth_up(image: Image) -> Double:
    """Double images: zeros behind the pixels, (1, 3, 3, 1)/8 along both axes, times 4.

    Of each axis the two phases are (x_(i-1) + 3 x_i)/4 and (3 x_i + x_(i+1))/4, zeros around.
    """
    for axis in (-3, -2):
        edges = [(0, 0)] * image.ndim
        edges[axis] = (1, 1)
        num, padded = image.shape[axis], jnp.pad(image, edges)
        before, here, behind = (
            jax.lax.slice_in_dim(padded, start, start + num, axis=axis) for start in range(3)
        )
        phases = jnp.stack([before + 3 * here, 3 * here + behind], axis) / 4
        shape = [*image.shape]
        shape[axis] *= 2
        image = phases.reshape(shape)
    return image


def smooth_down(image: Image) -> Float[Array, "*batch height//2 width//2 channels"]:
    """Halve images: (1, 3, 3, 1)/8 along both axes, one zero around, then every second pixel."""
    return smooth(image, (1, 1), stride=2)
