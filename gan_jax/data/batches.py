"""Which examples make up batch t, and how they reach the compiled step."""

import functools
import zlib
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Int32

from gan_jax.checks import AT_LEAST_0, AT_LEAST_1, Bound, check_bound
from gan_jax.data.sources import ArrayDataset, Dataset, Examples
from gan_jax.errors import Refusal, require_extra
from gan_jax.typing import Batch, Feed, KeyArray

Fields: TypeAlias = Mapping[str, Callable[[jax.Array], jax.Array] | None]
"""Field -> how its stored values are scaled; None leaves them as they are."""

SEED = Bound(lambda x: AT_LEAST_0.holds(x) and x < 2**64, "an integer between 0 and 2^64 - 1")
NUM_READERS = 2  # threads that read ahead, and chunks that wait
NUM_IDENTIFYING = 16
"""The first examples, which tell one dataset from another."""


def batch_indices(
    seed: int, step: int, *, batch_size: int, num_examples: int, stream: int = 0
) -> Int32[np.ndarray, "{batch_size}"]:
    """Give the examples of batch t, a function of (seed, t) alone in each stream.

    The shuffled epochs follow one another as one stream, and batch t is its positions tB to
    (t+1)B - 1. So every example comes once an epoch, whether or not B divides N, and to resume
    at any step costs nothing. Within one numpy version the order is the same on every machine.

    >>> from gan_jax import data
    >>> epoch = [data.batch_indices(0, t, batch_size=2, num_examples=6) for t in range(3)]
    >>> sorted(int(index) for batch in epoch for index in batch)
    [0, 1, 2, 3, 4, 5]

    Raises:
        ValueError: a batch larger than the dataset, or a seed outside [0, 2^64).
    """
    _check(seed, batch_size, num_examples)
    return _order(seed, stream, step * batch_size, (step + 1) * batch_size, num_examples)


def order_stream(dataset: Dataset) -> int:
    """The stream that a dataset is shuffled by: a checksum of its first examples.

    So two datasets of one length are not shuffled alike by one seed: unpaired examples would come
    in pairs.
    """
    some = dataset[np.arange(min(NUM_IDENTIFYING, len(dataset)))]
    stream = 0
    for field in sorted(some):
        values = some[field]
        # Objects, such as strings, are stored by their addresses.
        stored = repr(values.tolist()).encode() if values.dtype.hasobject else values.tobytes()
        stream = zlib.crc32(stored, stream)
    return stream


def feed(
    dataset: Dataset,
    fields: Fields,
    *,
    batch_size: int,
    seed: int,
    rows: slice = slice(None),
) -> Feed:
    """Feed a dataset that is in memory from the device's memory, and stream any other.

    A batch holds what `fields` names, scaled inside the compiled step: `{"image": signed,
    "label": None}` are images in [-1, 1] and labels as they are stored; other fields are dropped.

    Args:
        batch_size: examples in a global batch.
        rows: the slice of each global batch that this process reads: of P processes, the p-th
            reads slice(p B / P, (p + 1) B / P).

    Raises:
        ValueError: a batch larger than the dataset, a seed outside [0, 2^64), no field at all, or
            one that the dataset lacks.
        ImportError: a dataset is to be streamed, and grain is not installed.
    """
    if isinstance(dataset, ArrayDataset):
        return resident_feed(dataset, fields, batch_size=batch_size, seed=seed, rows=rows)
    return streamed_feed(dataset, fields, batch_size=batch_size, seed=seed, rows=rows)


def resident_feed(
    dataset: ArrayDataset,
    fields: Fields,
    *,
    batch_size: int,
    seed: int,
    rows: slice = slice(None),
) -> Feed:
    """Feed indices; the step gathers their examples on the device. Arguments as `feed`.

    Examples are stored as flat rows: on a CPU, gathering those takes two thirds of the time that
    gathering images takes.
    """
    _check(seed, batch_size, len(dataset))
    _check_fields(fields, dataset.arrays)
    chosen = {field: dataset.arrays[field] for field in fields}
    shapes = {field: array.shape[1:] for field, array in chosen.items()}
    stream = order_stream(dataset)

    def read(key: KeyArray, resident: dict[str, jax.Array], item: jax.Array) -> Batch:
        examples = {
            field: resident[field].at[item].get(mode="promise_in_bounds").reshape(-1, *shape)
            for field, shape in shapes.items()
        }
        return _scaled(examples, fields)

    def chunks(ranges: Iterable[tuple[int, int]]) -> Generator[np.ndarray, None, None]:
        for steps in ranges:
            yield _chunk_indices(seed, stream, steps, rows, batch_size, len(dataset))

    flat = {field: array.reshape(len(array), -1) for field, array in chosen.items()}
    return Feed(flat, read, chunks)


def streamed_feed(
    dataset: Dataset,
    fields: Fields,
    *,
    batch_size: int,
    seed: int,
    rows: slice = slice(None),
) -> Feed:
    """Feed the examples themselves, read ahead in threads. Arguments as `feed`."""
    _check(seed, batch_size, len(dataset))
    _check_fields(fields, dataset[np.arange(1)])
    grain = require_extra("grain")
    stream = order_stream(dataset)

    def read_chunk(steps: tuple[int, int]) -> Examples:
        indices = _chunk_indices(seed, stream, steps, rows, batch_size, len(dataset))
        examples = dataset[indices.ravel()]
        return {
            field: examples[field].reshape(indices.shape + examples[field].shape[1:])
            for field in fields
        }

    def chunks(ranges: Iterable[tuple[int, int]]) -> Generator[Examples, None, None]:
        ahead = grain.ReadOptions(num_threads=NUM_READERS, prefetch_buffer_size=NUM_READERS)
        yield from grain.MapDataset.source(list(ranges)).map(read_chunk).to_iter_dataset(ahead)

    return Feed({}, lambda key, resident, item: _scaled(item, fields), chunks)


def drawn_feed(
    draw: Callable[..., Batch], *, batch_size: int, resident: tuple[Any, ...] = ()
) -> Feed:
    """Feed what `draw(key, num, *resident)` makes inside the compiled step: data without end.

    `num` are the examples of a batch of `batch_size`, under `pmap` those of one device; `resident`
    are arrays that it draws from, which go to the device once.

    >>> import jax
    >>> from gan_jax import data
    >>> ring = data.ring()
    >>> points = data.drawn_feed(
    ...     lambda key, num: {"point": data.mixtures.sample(key, ring, num)}, batch_size=4
    ... )
    >>> (chunk,) = points.chunks([(0, 3)])
    >>> jax.jit(points.read)(jax.random.key(0), points.resident, chunk[0])["point"].shape
    (4, 2)

    Raises:
        ValueError: `batch_size` is below 1, or does not divide over the processes.
    """
    check_bound(AT_LEAST_1, batch_size=batch_size)
    num_rows, rest = divmod(batch_size, jax.process_count())
    if rest:
        raise Refusal(
            f"batch_size is {batch_size}; it must be a multiple of the number of processes, "
            f"{jax.process_count()}."
        )

    def read(key: KeyArray, resident: Any, item: jax.Array) -> Batch:
        return draw(key, item.shape[0], *resident)

    def chunks(ranges: Iterable[tuple[int, int]]) -> Generator[np.ndarray, None, None]:
        for start, stop in ranges:
            yield np.zeros((stop - start, num_rows, 0), np.float32)  # a shape, and nothing else

    return Feed(resident, read, chunks)


def map_feed(function: Callable[[KeyArray, Batch], Batch], feed: Feed) -> Feed:
    """Change every batch inside the compiled step: `function(key, batch) -> batch`.

    For what is drawn anew whenever an example is seen: bits, crops, flips, noise.
    """

    def read(key: KeyArray, resident: Any, item: Any) -> Batch:
        key_read, key_function = jax.random.split(key)
        return function(key_function, feed.read(key_read, resident, item))

    return feed._replace(read=read)


def side_by_side(feeds: Mapping[str, Feed]) -> Feed:
    """Feed several populations: batch[name] is a batch of feeds[name], each of a size of its own.

    Raises:
        ValueError: there is no feed.
    """
    if not feeds:
        raise Refusal("There is no feed to put side by side: give at least one, under a name.")

    def read(key: KeyArray, resident: Mapping[str, Any], item: Mapping[str, Any]) -> Batch:
        keys = dict(zip(sorted(feeds), jax.random.split(key, len(feeds)), strict=True))
        return {
            name: feed.read(keys[name], resident[name], item[name]) for name, feed in feeds.items()
        }

    def chunks(ranges: Iterable[tuple[int, int]]) -> Generator[dict[str, Any], None, None]:
        ranges = list(ranges)
        streams = {name: feed.chunks(ranges) for name, feed in feeds.items()}
        try:
            for _ in ranges:
                yield {name: next(stream) for name, stream in streams.items()}
        finally:
            for stream in streams.values():
                stream.close()

    return Feed({name: feed.resident for name, feed in feeds.items()}, read, chunks)


def _scaled(examples: Mapping[str, Any], fields: Fields) -> Batch:
    return {
        field: examples[field] if scale is None else scale(examples[field])
        for field, scale in fields.items()
    }


def _chunk_indices(
    seed: int, stream: int, steps: tuple[int, int], rows: slice, batch_size: int, num_examples: int
) -> np.ndarray:
    start, stop = (step * batch_size for step in steps)
    return _order(seed, stream, start, stop, num_examples).reshape(-1, batch_size)[:, rows]


def _order(seed: int, stream: int, start: int, stop: int, num_examples: int) -> np.ndarray:
    """The positions [start, stop) of the endless stream of shuffled epochs."""
    epochs = range(start // num_examples, -(-stop // num_examples))
    return np.concatenate(
        [
            _permutation(seed, stream, epoch, num_examples)[
                max(start - epoch * num_examples, 0) : stop - epoch * num_examples
            ]
            for epoch in epochs
        ]
    )


@functools.lru_cache(maxsize=4)  # two datasets, each in a batch that spans two epochs
def _permutation(seed: int, stream: int, epoch: int, num_examples: int) -> np.ndarray:
    key, counter = np.array([seed, epoch], np.uint64), np.array([0, 0, 0, stream], np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key, counter=counter))
    return generator.permutation(num_examples).astype(np.int32)


def _check_fields(fields: Fields, examples: Mapping[str, Any]) -> None:
    unknown = [field for field in fields if field not in examples]
    if unknown or not fields:
        raise Refusal(
            f"The dataset has no field {', '.join(unknown)}; it has "
            f"{', '.join(examples)}: name one of these."
            if unknown
            else f"No field is named; the dataset has {', '.join(examples)}: name at least one."
        )


def _check(seed: int, batch_size: int, num_examples: int) -> None:
    check_bound(SEED, seed=seed)
    check_bound(AT_LEAST_1, batch_size=batch_size)
    if batch_size > num_examples:
        raise Refusal(
            f"batch_size is {batch_size}; it must be at most {num_examples}, the dataset's "
            "examples: take a smaller batch, or more data."
        )
