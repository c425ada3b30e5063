"""Kinds of options that say in which bounds they lie, and the check of a whole configuration."""

import dataclasses
from types import NoneType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    get_args,
    get_origin,
    get_type_hints,
)

from gan_jax import checks
from gan_jax.checks import Bound, check_bound, check_choice
from gan_jax.errors import Refusal

BELOW_2_31 = Bound(lambda x: x < 2**31, "below 2^31")
AT_MOST_2_20 = Bound(lambda x: x <= 2**20, "at most 2^20")
AT_MOST_2_16 = Bound(lambda x: x <= 2**16, "at most 2^16")

Count: TypeAlias = Annotated[int, checks.AT_LEAST_1, BELOW_2_31]
"""How often something is done."""
CountOr0: TypeAlias = Annotated[int, checks.AT_LEAST_0, BELOW_2_31]
Size: TypeAlias = Annotated[int, checks.AT_LEAST_1, AT_MOST_2_20]
"""How long an axis of an array is; XLA ends the process where a few longer ones are multiplied."""
SizeOr0: TypeAlias = Annotated[int, checks.AT_LEAST_0, AT_MOST_2_20]
Several: TypeAlias = Annotated[
    int, Bound(lambda x: x >= 2, "at least 2, for a spread"), AT_MOST_2_16
]
Rate: TypeAlias = Annotated[float, checks.POSITIVE]
Weight: TypeAlias = Annotated[float, checks.NOT_NEGATIVE]
Share: TypeAlias = Annotated[float, checks.SHARE]
Decay: TypeAlias = Annotated[float, checks.DECAY]
Finite: TypeAlias = Annotated[float, checks.FINITE]
Seed: TypeAlias = Annotated[int, Bound(lambda x: 0 <= x < 2**32, "between 0 and 2^32 - 1")]

KINDS = {
    int: Bound(lambda x: isinstance(x, int) and not isinstance(x, bool), "an int"),
    float: Bound(lambda x: isinstance(x, int | float) and not isinstance(x, bool), "a float"),
    str: Bound(lambda x: isinstance(x, str), "a string"),
    bool: Bound(lambda x: isinstance(x, bool), "True or False"),
}
"""Python's own types alone: what a configuration holds is written as JSON."""


def check_bounds(config: Any) -> None:
    """Raise ValueError, in one line, at the first value that is none that its field may have.

    It is of another type, none of the choices, or out of bounds. Those of a field that a class
    inherits and declares anew, with another default, hold on.
    """
    for cls in filter(dataclasses.is_dataclass, type(config).__mro__):
        for name, hint in get_type_hints(cls, include_extras=True).items():
            _check(hint, **{f"--{name.replace('_', '-')}": getattr(config, name)})


def sizes(config: Any) -> list[str]:
    """The fields that say how large arrays are."""
    hints = get_type_hints(type(config), include_extras=True)
    return [field.name for field in dataclasses.fields(config) if _is_size(hints[field.name])]


def _is_size(hint: Any) -> bool:
    inner = get_args(hint)
    return AT_MOST_2_20 in inner or AT_MOST_2_16 in inner or any(map(_is_size, inner))


def _check(hint: Any, **named: Any) -> None:
    ((name, value),) = named.items()
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        _check(inner[0], **named)
        for bound in inner[1:]:
            if isinstance(bound, Bound):
                check_bound(bound, **named)
    elif origin is Literal:
        check_choice(inner, **named)
    elif hint in KINDS:
        check_bound(KINDS[hint], **named)
    elif origin is tuple:
        if not isinstance(value, tuple):
            raise Refusal(f"{name} is {value!r}; it must be a tuple.")
        for entry in value:
            _check(inner[0], **{name: entry})
    elif NoneType in inner and value is not None:
        _check(*(of for of in inner if of is not NoneType), **named)
