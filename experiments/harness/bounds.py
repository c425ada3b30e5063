"""Kinds of options that say in which bounds they lie, and the check of a whole configuration."""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias, get_args, get_origin, get_type_hints

from gan_jax import checks
from gan_jax.checks import Bound, check_bound

Count: TypeAlias = Annotated[int, checks.AT_LEAST_1]
CountOr0: TypeAlias = Annotated[int, checks.AT_LEAST_0]
Several: TypeAlias = Annotated[int, Bound(lambda x: x >= 2, "at least 2, for a spread")]
Rate: TypeAlias = Annotated[float, checks.POSITIVE]
Weight: TypeAlias = Annotated[float, checks.NOT_NEGATIVE]
Share: TypeAlias = Annotated[float, checks.SHARE]
Decay: TypeAlias = Annotated[float, checks.DECAY]
Seed: TypeAlias = Annotated[int, Bound(lambda x: 0 <= x < 2**32, "between 0 and 2^32 - 1")]


def check_bounds(config: Any) -> None:
    """Raise ValueError, in one line, at the first value that is out of its field's bounds.

    Those of a field that a class inherits and declares anew, with another default, hold on.
    """
    for cls in filter(dataclasses.is_dataclass, type(config).__mro__):
        for name, hint in get_type_hints(cls, include_extras=True).items():
            given = getattr(config, name)
            values = given if isinstance(given, tuple) else (given,)
            for bound in _bounds(hint):
                for value in values:
                    if value is not None:
                        check_bound(bound, **{f"--{name.replace('_', '-')}": value})


def _bounds(hint: Any) -> Iterator[Bound]:
    """The bounds in a field's type, also within tuples and beside None."""
    if get_origin(hint) is Annotated:
        yield from (note for note in get_args(hint)[1:] if isinstance(note, Bound))
    for inner in get_args(hint):
        yield from _bounds(inner)
