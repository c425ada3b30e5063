import threading
import time

import jax
import numpy as np
import pytest

from gan_jax.data import ArrayDataset, batch_indices, feed, no_feed, resident_feed, streamed_feed
from gan_jax.typing import Feed

RANGES = [(5, 8), (8, 10), (10, 11)]


class Recorder:
    """A dataset too large for memory, that notes what is read of it."""

    def __init__(self, dataset: ArrayDataset):
        self.dataset, self.reads = dataset, []

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, indices):
        self.reads.append(indices)
        return self.dataset[indices]


@pytest.fixture
def dataset() -> ArrayDataset:
    image = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8)
    return ArrayDataset({"image": image, "label": np.arange(10, dtype=np.int32)})


def test_no_feed_has_steps_and_no_data():
    nothing = no_feed()
    chunks = list(nothing.chunks([(0, 3), (3, 4)]))
    assert [len(chunk) for chunk in chunks] == [3, 1]
    assert nothing.read(nothing.resident, chunks[0][0]) == {}


def play(feed: Feed, ranges=RANGES):
    """Runs every item through the compiled read, as the training loop does."""
    resident = jax.tree.map(jax.numpy.asarray, feed.resident)
    read_all = jax.jit(lambda chunk: jax.lax.map(lambda item: feed.read(resident, item), chunk))
    chunks = [jax.device_get(read_all(chunk)) for chunk in feed.chunks(ranges)]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)


@pytest.mark.parametrize("batch_size", [4, 5, 7, 10])
def test_every_example_comes_once_an_epoch(batch_size):
    batches = [batch_indices(3, t, batch_size=batch_size, num_examples=10) for t in range(40)]
    epochs = np.concatenate(batches)[: 40 * batch_size // 10 * 10].reshape(-1, 10)
    assert np.all(np.sort(epochs, axis=1) == np.arange(10))
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == len(epochs)
    assert batches[0].dtype == np.int32


def test_a_batch_is_a_function_of_seed_and_step():
    def draw(seed, step):
        return batch_indices(seed, step, batch_size=64, num_examples=1000).tolist()

    forwards = [draw(0, step) for step in range(50)]
    assert [draw(0, step) for step in reversed(range(50))] == forwards[::-1]
    assert draw(1, 0) != draw(0, 0)
    assert draw(2**64 - 1, 10**9) != draw(0, 10**9)


def test_epochs_follow_one_another_as_philox_orders_them():
    def order(epoch):
        return np.random.Generator(np.random.Philox(key=[7, epoch])).permutation(10)

    batch = batch_indices(7, 4, batch_size=4, num_examples=10)  # positions 16 to 19 of 20
    np.testing.assert_array_equal(batch, order(1)[6:])
    batch = batch_indices(7, 2, batch_size=4, num_examples=10)  # positions 8 to 11
    np.testing.assert_array_equal(batch, [*order(0)[8:], *order(1)[:2]])


@pytest.mark.parametrize("make", [resident_feed, streamed_feed])
def test_a_feed_carries_the_examples_that_batch_indices_names(make, dataset):
    batches = play(make(dataset, batch_size=4, seed=2))
    indices = np.stack([batch_indices(2, t, batch_size=4, num_examples=10) for t in range(5, 11)])
    np.testing.assert_array_equal(batches["image"], dataset.arrays["image"][indices])
    np.testing.assert_array_equal(batches["label"], indices)
    assert (batches["image"].dtype, batches["label"].dtype) == (np.uint8, np.int32)


@pytest.mark.parametrize("make", [resident_feed, streamed_feed])
def test_the_rows_of_two_processes_are_the_batch_of_one(make, dataset):
    whole = play(make(dataset, batch_size=6, seed=0))
    halves = [
        play(make(dataset, batch_size=6, seed=0, rows=rows)) for rows in (slice(0, 3), slice(3, 6))
    ]
    assert halves[0]["label"].shape == (6, 3)
    together = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *halves)
    jax.tree.map(np.testing.assert_array_equal, together, whole)


def test_feed_keeps_on_the_device_what_is_in_memory_and_streams_the_rest(dataset):
    resident = feed(dataset, batch_size=4, seed=2)
    streamed = feed(Recorder(dataset), batch_size=4, seed=2)
    assert resident.resident["image"].shape == (10, 48)
    assert np.shares_memory(resident.resident["image"], dataset.arrays["image"])
    assert next(resident.chunks([(0, 3)])).shape == (3, 4)
    assert streamed.resident == {}
    assert next(streamed.chunks([(0, 3)]))["image"].shape == (3, 4, 4, 4, 3)
    jax.tree.map(np.testing.assert_array_equal, play(resident), play(streamed))


def test_starting_late_reads_only_what_is_asked_for(dataset):
    recorder = Recorder(dataset)
    list(streamed_feed(recorder, batch_size=4, seed=0).chunks([(10**6, 10**6 + 2)]))
    assert [read.size for read in recorder.reads] == [8]


def test_a_stream_reads_ahead_and_stops_when_closed(dataset):
    before, recorder = set(threading.enumerate()), Recorder(dataset)
    chunks = streamed_feed(recorder, batch_size=4, seed=0).chunks([(t, t + 1) for t in range(99)])
    next(chunks)
    assert wait_until(lambda: len(recorder.reads) == 3), "chunks are not read ahead"
    readers = set(threading.enumerate()) - before
    assert readers
    chunks.close()
    assert wait_until(lambda: not any(map(threading.Thread.is_alive, readers)))
    assert len(recorder.reads) == 3


def wait_until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize(
    ("seed", "batch_size", "message"),
    [
        (0, 11, "batch_size=11 .* 10 examples: take a smaller batch"),
        (0, 0, "batch_size=0"),
        (-1, 4, "seed"),
        (2**64, 4, "seed"),
    ],
)
def test_impossible_batches_are_refused_at_once(dataset, seed, batch_size, message):
    with pytest.raises(ValueError, match=message):
        batch_indices(seed, 0, batch_size=batch_size, num_examples=10)
    for make in (resident_feed, streamed_feed):
        with pytest.raises(ValueError, match=message):
            make(dataset, batch_size=batch_size, seed=seed)
