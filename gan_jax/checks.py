"""Checks of numbers and choices, the same for every room: what is allowed, and how that is said."""

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

from gan_jax.errors import Refusal


class Bound(NamedTuple):
    """What a number, or every number of an array, must be; and how that is said."""

    holds: Callable[[Any], Any]
    words: str


def _is_integer(x: Any) -> bool:
    try:
        operator.index(x)
    except TypeError:
        return False
    return True


ROUNDING = 1e-5  # weights of a mean sum to 1 up to rounding, and so do pixels that are resized
AT_LEAST_0 = Bound(lambda x: _is_integer(x) and x >= 0, "an integer, at least 0")
AT_LEAST_1 = Bound(lambda x: _is_integer(x) and x >= 1, "an integer, at least 1")
AT_LEAST_2 = Bound(lambda x: _is_integer(x) and x >= 2, "an integer, at least 2")
POSITIVE = Bound(lambda x: (x > 0) & (x < math.inf), "positive and finite")
NOT_NEGATIVE = Bound(lambda x: (x >= 0) & (x < math.inf), "finite, and not below 0")
FINITE = Bound(lambda x: (x > -math.inf) & (x < math.inf), "finite")
SHARE = Bound(lambda x: (x >= 0) & (x <= 1), "in [0, 1]")
INSIDE_SHARE = Bound(lambda x: (x > 0) & (x < 1), "strictly between 0 and 1")
PART = Bound(lambda x: (x > 0) & (x <= 1), "in (0, 1]")
DECAY = Bound(lambda x: (x >= 0) & (x < 1), "in [0, 1)")
UNIT = Bound(lambda x: (x >= -ROUNDING) & (x <= 1 + ROUNDING), "in [0, 1]")
SIGNED = Bound(lambda x: (x >= -1 - ROUNDING) & (x <= 1 + ROUNDING), "in [-1, 1]")


def is_known(value: Any) -> bool:
    """Whether its numbers can be looked at here: not where it is traced, has a shape alone, or lies
    with other processes."""
    has_numbers = not isinstance(value, Tracer | jax.ShapeDtypeStruct)
    return has_numbers and getattr(value, "is_fully_addressable", True)


def check_bound(bound: Bound, **values: Any) -> None:
    """Raise ValueError at the first number, by its name, that is out of bounds.

    What is traced is not looked at.
    """
    for name, value in values.items():
        # Under a trace JAX traces what it computes of constants too.
        numbers = np.asarray(value) if isinstance(value, jax.Array) and is_known(value) else value
        if is_known(value) and not np.all(bound.holds(numbers)):
            raise Refusal(f"{name} is {value}; it must be {bound.words}.")


def check_choice(choices: Iterable[Any], **values: Any) -> None:
    """Raise ValueError at the first value, by its name, that is none of the choices."""
    choices = list(choices)
    for name, value in values.items():
        if value not in choices:
            said = ", ".join(map(repr, choices))
            raise Refusal(f"{name} is {value!r}; it must be one of {said}.")
