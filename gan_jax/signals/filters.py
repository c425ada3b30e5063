"""Filters of a few taps, as shifted sums: on a CPU much faster than a convolution."""

import functools
import operator
from collections.abc import Sequence

import jax
from jaxtyping import Array


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
