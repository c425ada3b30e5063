"""The few types that every room shares."""

from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple, TypeAlias

from jaxtyping import Array, Float, Key

PyTree: TypeAlias = Any
Params: TypeAlias = PyTree
Batch: TypeAlias = PyTree
KeyArray: TypeAlias = Key[Array, ""]
Scalar: TypeAlias = Float[Array, ""]
Metrics: TypeAlias = dict[str, Array]

Step: TypeAlias = Callable[[KeyArray, PyTree, Batch], tuple[PyTree, Metrics]]
"""(key, state, batch) -> (state, metrics): all that the training runtime knows of a model."""


class Feed(NamedTuple):
    """Carries batches to a loop that compiles several steps into one dispatch.

    resident: arrays that go to the device once and are passed to every dispatch.
    read: (resident, item) -> batch, traced inside the compiled step.
    chunks: ranges (start, stop) of steps, finitely many -> for each one a chunk, whose leaves have
        leading axes (stop - start, rows); an item is one slice of it along the first. Close the
        iterator to stop reading ahead.
    """

    resident: PyTree
    read: Callable[[PyTree, PyTree], Batch]
    chunks: Callable[[Iterable[tuple[int, int]]], Generator[PyTree, None, None]]
