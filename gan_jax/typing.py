"""The few types that every room shares."""

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from jaxtyping import Array, Float, Key

PyTree: TypeAlias = Any
Params: TypeAlias = PyTree
KeyArray: TypeAlias = Key[Array, ""]
Scalar: TypeAlias = Float[Array, ""]
Metrics: TypeAlias = dict[str, Array]

Batch: TypeAlias = Mapping[str, Any]
"""Field -> examples along the first axis (`image`, `label`, `point`); or the name of a population
-> a batch of its own. Arrays, or their `jax.ShapeDtypeStruct`s where only shapes count."""

Step: TypeAlias = Callable[[KeyArray, PyTree, Batch], tuple[PyTree, Metrics]]
"""(key, state, batch) -> (state, metrics): all that the training runtime knows of a model."""


class Feed(NamedTuple):
    """Carries batches to a loop that compiles several steps into one dispatch.

    resident: arrays that go to the device once and are passed to every dispatch.
    read: (key, resident, item) -> batch, traced inside the compiled step. All chance on data is
        drawn here, from a key that is the batch's own; under `pmap` each device has another.
    chunks: ranges (start, stop) of steps, finitely many -> for each one a chunk, whose leaves have
        leading axes (stop - start, rows); an item is one slice of it along the first. Close the
        iterator to stop reading ahead.
    """

    resident: PyTree
    read: Callable[[KeyArray, PyTree, PyTree], Batch]
    chunks: Callable[[Iterable[tuple[int, int]]], Generator[PyTree, None, None]]
