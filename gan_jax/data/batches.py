"""Which examples make up batch t, and how they reach the compiled step."""

import functools
from collections.abc import Generator, Iterable

import jax
import numpy as np
from jaxtyping import Int32

from gan_jax.data.sources import ArrayDataset, Dataset, Examples
from gan_jax.errors import Refusal, require_extra
from gan_jax.typing import Batch, Feed

NUM_READERS = 2  # threads that read ahead, and chunks that wait


def batch_indices(
    seed: int, step: int, *, batch_size: int, num_examples: int
) -> Int32[np.ndarray, "{batch_size}"]:
    """Give the examples of batch t, a function of (seed, t) alone.

    The shuffled epochs follow one another as one stream, and batch t is its positions tB to
    (t+1)B - 1. So every example comes once an epoch, whether or not B divides N, and to resume
    at any step costs nothing. Within one numpy version the order is the same on every machine.

    Raises:
        ValueError: a batch larger than the dataset, or a seed outside [0, 2^64).
    """
    _check(seed, batch_size, num_examples)
    return _stream(seed, step * batch_size, (step + 1) * batch_size, num_examples)


def feed(dataset: Dataset, *, batch_size: int, seed: int, rows: slice = slice(None)) -> Feed:
    """Feed from the device's memory if the dataset is in memory, else streams it.

    Args:
        batch_size: examples in a global batch.
        rows: the slice of each global batch that this process reads: of P processes, the p-th
            reads slice(p B / P, (p + 1) B / P).

    Raises:
        ValueError: a batch larger than the dataset, or a seed outside [0, 2^64).
        ImportError: a dataset is to be streamed, and grain is not installed.
    """
    if isinstance(dataset, ArrayDataset):
        return resident_feed(dataset, batch_size=batch_size, seed=seed, rows=rows)
    return streamed_feed(dataset, batch_size=batch_size, seed=seed, rows=rows)


def resident_feed(
    dataset: ArrayDataset, *, batch_size: int, seed: int, rows: slice = slice(None)
) -> Feed:
    """Feed indices; the step gathers their examples on the device. Arguments as `feed`.

    Examples are stored as flat rows: on a CPU, gathering those takes two thirds of the time that
    gathering images takes.
    """
    _check(seed, batch_size, len(dataset))
    shapes = {field: array.shape[1:] for field, array in dataset.arrays.items()}
    flat = {field: array.reshape(len(array), -1) for field, array in dataset.arrays.items()}

    def read(resident: dict[str, jax.Array], item: jax.Array) -> Batch:
        return {
            field: resident[field].at[item].get(mode="promise_in_bounds").reshape(-1, *shape)
            for field, shape in shapes.items()
        }

    def chunks(ranges: Iterable[tuple[int, int]]) -> Generator[np.ndarray, None, None]:
        for steps in ranges:
            yield _chunk_indices(seed, steps, rows, batch_size, len(dataset))

    return Feed(flat, read, chunks)


def streamed_feed(
    dataset: Dataset, *, batch_size: int, seed: int, rows: slice = slice(None)
) -> Feed:
    """Feed the examples themselves, read ahead in threads. Arguments as `feed`."""
    _check(seed, batch_size, len(dataset))
    grain = require_extra("grain")

    def read_chunk(steps: tuple[int, int]) -> Examples:
        indices = _chunk_indices(seed, steps, rows, batch_size, len(dataset))
        examples = dataset[indices.ravel()]
        return {field: a.reshape(indices.shape + a.shape[1:]) for field, a in examples.items()}

    def chunks(ranges: Iterable[tuple[int, int]]) -> Generator[Examples, None, None]:
        ahead = grain.ReadOptions(num_threads=NUM_READERS, prefetch_buffer_size=NUM_READERS)
        yield from grain.MapDataset.source(list(ranges)).map(read_chunk).to_iter_dataset(ahead)

    return Feed({}, lambda resident, item: item, chunks)


def no_feed() -> Feed:
    """Feed nothing, to steps that draw their own data from their key: the batch is empty."""

    def chunks(ranges: Iterable[tuple[int, int]]) -> Generator[np.ndarray, None, None]:
        for start, stop in ranges:
            yield np.zeros((stop - start, 0), np.float32)

    return Feed({}, lambda resident, item: {}, chunks)


def _chunk_indices(
    seed: int, steps: tuple[int, int], rows: slice, batch_size: int, num_examples: int
) -> np.ndarray:
    start, stop = (step * batch_size for step in steps)
    return _stream(seed, start, stop, num_examples).reshape(-1, batch_size)[:, rows]


def _stream(seed: int, start: int, stop: int, num_examples: int) -> np.ndarray:
    """The positions [start, stop) of the endless stream of shuffled epochs."""
    epochs = range(start // num_examples, -(-stop // num_examples))
    return np.concatenate(
        [
            _permutation(seed, epoch, num_examples)[
                max(start - epoch * num_examples, 0) : stop - epoch * num_examples
            ]
            for epoch in epochs
        ]
    )


@functools.lru_cache(maxsize=4)  # two datasets, each in a batch that spans two epochs
def _permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    key = np.array([seed, epoch], np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    return generator.permutation(num_examples).astype(np.int32)


def _check(seed: int, batch_size: int, num_examples: int) -> None:
    if not 0 <= seed < 2**64:
        raise Refusal(f"A seed lies between 0 and 2^64 - 1, unlike {seed}.")
    if not 1 <= batch_size <= num_examples:
        raise Refusal(
            f"batch_size={batch_size} must lie between 1 and the dataset's {num_examples} "
            "examples: take a smaller batch, or more data."
        )
