"""What losses and metrics ask of the arrays that they are given, and how they say it."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.checks import FINITE, Bound, is_known
from gan_jax.errors import Refusal


def check_same_shape(**arrays: Any) -> None:
    """Raise ValueError unless all have the first one's shape, so that nothing is broadcast."""
    (first, shape), *others = ((name, np.shape(array)) for name, array in arrays.items())
    for name, other in others:
        if other != shape:
            raise Refusal(
                f"{first} has the shape {shape}, {name} has {other}; give both the same shape."
            )


def check_points(**samples: Any) -> None:
    """Raise ValueError unless all are points, (num, features), of one space, and finite."""
    check_features(**samples)
    check_values(FINITE, **samples)


def check_features(**samples: Any) -> None:
    """Raise ValueError unless all are points, (num, features), of one space."""
    (first, dim), *_ = ((name, np.shape(points)[-1:]) for name, points in samples.items())
    for name, points in samples.items():
        shape = np.shape(points)
        if len(shape) != 2 or 0 in shape:
            raise Refusal(
                f"{name} has the shape {shape}; give it as points, (num, features), at least one "
                "(images as x.reshape(len(x), -1), numbers as x[:, None])."
            )
        if shape[1:] != dim:
            raise Refusal(
                f"The points of {first} have {dim[0]} features, those of {name} {shape[1]}; give "
                "both the same features."
            )


def check_labels(num: int, **labels: Any) -> None:
    """Raise ValueError unless these are one whole number for each of so many examples."""
    for name, values in labels.items():
        if np.shape(values) != (num,) or not jnp.issubdtype(values.dtype, jnp.integer):
            raise Refusal(
                f"{name} is {values.dtype} of shape {np.shape(values)}; it must be one whole "
                f"number for each of the {num} examples, its class."
            )


def check_values(bound: Bound, **arrays: Any) -> None:
    """Raise ValueError at the first array, by its name, that holds a number out of bounds.

    What is traced is not looked at: see `nan_outside`.
    """
    for name, array in arrays.items():
        found = _outside(bound, array)
        if found.size:
            raise Refusal(f"{name} holds {found[0]}; every number in it must be {bound.words}.")


def check_support(support: Bound, x: Any) -> None:
    """Raise ValueError where examples lie outside what a likelihood is a distribution of."""
    found = _outside(support, x)
    if not found.size:
        return
    if not np.isfinite(found[0]):
        raise Refusal(f"The examples hold {found[0]}; leave out the ones that are not finite.")
    raise Refusal(
        f"The examples hold {found[0]}; this likelihood is one of numbers {support.words}: scale "
        "bytes there with gan_jax.data.unit (gan_jax.data.signed, to [-1, 1], is for generators "
        "that end in tanh)."
    )


def nan_outside(
    bound: Bound, values: Float[Array, "*batch"], x: Float[Array, "*batch features"]
) -> Float[Array, "*batch"]:
    """The values, and nan for each example that holds a number out of bounds."""
    # A term that is added, so that derivatives are computed as without it.
    return values + jnp.where(jnp.all(bound.holds(x), axis=-1), 0.0, jnp.nan)


def _outside(bound: Bound, array: Any) -> np.ndarray:
    """The numbers out of bounds, of an array that can be looked at here."""
    if not is_known(array):
        return np.empty(0)
    array = np.asarray(array)  # what JAX computes of a constant is traced inside jit
    return array[~np.asarray(bound.holds(array))]
