import threading
import time

import jax
import numpy as np
import pytest

from gan_jax.data import (
    ArrayDataset,
    batch_indices,
    drawn_feed,
    feed,
    map_feed,
    resident_feed,
    side_by_side,
    streamed_feed,
    unit,
)
from gan_jax.data.batches import order_stream
from gan_jax.typing import Feed

KEY = jax.random.key(0)
AS_STORED = {"image": None, "label": None}
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


def play(feed: Feed, ranges=RANGES):
    """Run every item through the compiled read, as the training loop does."""
    resident = jax.tree.map(jax.numpy.asarray, feed.resident)

    def read(at):
        step, item = at
        return feed.read(jax.random.fold_in(KEY, step), resident, item)

    read_all = jax.jit(lambda steps, chunk: jax.lax.map(read, (steps, chunk)))
    chunks = [
        jax.device_get(read_all(np.arange(*steps), chunk))
        for steps, chunk in zip(ranges, feed.chunks(ranges), strict=True)
    ]
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
    batches = play(make(dataset, AS_STORED, batch_size=4, seed=2))
    order = {"batch_size": 4, "num_examples": 10, "stream": order_stream(dataset)}
    indices = np.stack([batch_indices(2, t, **order) for t in range(5, 11)])
    np.testing.assert_array_equal(batches["image"], dataset.arrays["image"][indices])
    np.testing.assert_array_equal(batches["label"], indices)
    assert (batches["image"].dtype, batches["label"].dtype) == (np.uint8, np.int32)


@pytest.mark.parametrize("make", [resident_feed, streamed_feed])
def test_the_rows_of_two_processes_are_the_batch_of_one(make, dataset):
    whole = play(make(dataset, AS_STORED, batch_size=6, seed=0))
    halves = [
        play(make(dataset, AS_STORED, batch_size=6, seed=0, rows=rows))
        for rows in (slice(0, 3), slice(3, 6))
    ]
    assert halves[0]["label"].shape == (6, 3)
    together = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *halves)
    jax.tree.map(np.testing.assert_array_equal, together, whole)


def test_feed_keeps_on_the_device_what_is_in_memory_and_streams_the_rest(dataset):
    resident = feed(dataset, AS_STORED, batch_size=4, seed=2)
    streamed = feed(Recorder(dataset), AS_STORED, batch_size=4, seed=2)
    assert resident.resident["image"].shape == (10, 48)
    assert np.shares_memory(resident.resident["image"], dataset.arrays["image"])
    assert next(resident.chunks([(0, 3)])).shape == (3, 4)
    assert streamed.resident == {}
    assert next(streamed.chunks([(0, 3)]))["image"].shape == (3, 4, 4, 4, 3)
    jax.tree.map(np.testing.assert_array_equal, play(resident), play(streamed))


def test_starting_late_reads_only_what_is_asked_for(dataset):
    recorder = Recorder(dataset)
    list(streamed_feed(recorder, AS_STORED, batch_size=4, seed=0).chunks([(10**6, 10**6 + 2)]))
    assert [read.size for read in recorder.reads] == [1, 10, 8]  # fields, checksum, the chunk


def test_a_stream_reads_ahead_and_stops_when_closed(dataset):
    before, recorder = set(threading.enumerate()), Recorder(dataset)
    chunks = streamed_feed(recorder, AS_STORED, batch_size=4, seed=0).chunks(
        [(t, t + 1) for t in range(99)]
    )
    next(chunks)
    assert wait_until(lambda: len(recorder.reads) == 2 + 3), "chunks are not read ahead"
    readers = set(threading.enumerate()) - before
    assert readers
    chunks.close()
    assert wait_until(lambda: not any(map(threading.Thread.is_alive, readers)))
    assert len(recorder.reads) == 2 + 3


def wait_until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize(
    ("seed", "batch_size", "message"),
    [
        (0, 11, "batch_size is 11; it must be at most 10, .* examples: take a smaller batch"),
        (0, 0, "batch_size is 0; it must be an integer, at least 1"),
        (-1, 4, "seed is -1; it must be an integer between 0 and"),
        (2**64, 4, "seed is 18446744073709551616; it must be an integer between 0 and"),
    ],
)
def test_impossible_batches_are_refused_at_once(dataset, seed, batch_size, message):
    with pytest.raises(ValueError, match=message):
        batch_indices(seed, 0, batch_size=batch_size, num_examples=10)
    for make in (resident_feed, streamed_feed):
        with pytest.raises(ValueError, match=message):
            make(dataset, AS_STORED, batch_size=batch_size, seed=seed)


def test_a_feed_selects_and_scales_the_fields_that_are_named(dataset):
    scaled = play(feed(dataset, {"image": unit}, batch_size=4, seed=2))
    stored = play(feed(dataset, AS_STORED, batch_size=4, seed=2))
    assert list(scaled) == ["image"]
    np.testing.assert_allclose(scaled["image"], stored["image"] / np.float32(255), rtol=1e-6)
    assert feed(dataset, {"label": None}, batch_size=4, seed=2).resident.keys() == {"label"}
    for make in (resident_feed, streamed_feed):
        with pytest.raises(ValueError, match="no field text; it has image, label: name one of"):
            make(dataset, {"image": None, "text": None}, batch_size=4, seed=2)
        with pytest.raises(ValueError, match="No field is named; the dataset has image, label"):
            make(dataset, {}, batch_size=4, seed=2)


def test_datasets_that_differ_in_any_field_are_shuffled_apart():
    image, label = np.zeros((5, 2)), np.arange(5)
    streams = {
        order_stream(ArrayDataset({"image": image, "label": label})),
        order_stream(ArrayDataset({"image": image, "label": label[::-1]})),
        order_stream(ArrayDataset({"image": image + 1, "label": label})),
    }
    assert len(streams) == 3


def test_two_datasets_of_one_length_are_not_shuffled_alike_by_one_seed(dataset):
    other = ArrayDataset({**dataset.arrays, "image": 255 - dataset.arrays["image"]})
    again = ArrayDataset(dict(reversed(dataset.arrays.items())))
    orders = [
        play(feed(d, {"label": None}, batch_size=5, seed=2))["label"]
        for d in (dataset, other, again)
    ]
    assert (orders[0] != orders[1]).any()
    np.testing.assert_array_equal(orders[0], orders[2])
    whole_epoch = np.sort(orders[1][1:3].ravel())  # batches 6 and 7 are the fourth epoch
    np.testing.assert_array_equal(whole_epoch, np.arange(10))


def test_what_is_drawn_is_a_function_of_the_step_and_has_the_rows_of_the_batch():
    drawn = drawn_feed(lambda key, num: {"point": jax.random.normal(key, (num, 2))}, batch_size=6)
    points = play(drawn)["point"]
    assert points.shape == (6, 6, 2)
    np.testing.assert_array_equal(points, play(drawn, [(5, 11)])["point"])
    assert len(np.unique(points)) == points.size
    expected = jax.random.normal(jax.random.fold_in(KEY, 7), (6, 2))
    np.testing.assert_allclose(points[2], expected, rtol=1e-6)
    with pytest.raises(ValueError, match="batch_size is 0; it must be an integer, at least 1"):
        drawn_feed(lambda key, num: {}, batch_size=0)


def test_what_is_drawn_from_stays_on_the_device():
    held = np.arange(10.0, dtype=np.float32)

    def draw(key, num, values, offset):
        return {"x": values[jax.random.randint(key, (num,), 0, len(values))] + offset}

    drawn = drawn_feed(draw, batch_size=4, resident=(held, np.float32(0.5)))
    assert drawn.resident[0] is held
    assert set(play(drawn)["x"].ravel()) <= set(held + 0.5)
    moved = drawn._replace(resident=(held + 10, np.float32(0.5)))
    np.testing.assert_array_equal(play(moved)["x"], play(drawn)["x"] + 10)


def test_what_is_mapped_is_drawn_by_a_key_apart_from_the_feed_s_own():
    drawn = drawn_feed(lambda key, num: {"x": jax.random.uniform(key, (num,))}, batch_size=4)
    noisy = map_feed(lambda key, batch: {**batch, "y": jax.random.uniform(key, (4,))}, drawn)
    mapped = play(noisy)
    assert not np.any(np.isclose(mapped["x"], mapped["y"]))
    assert len(np.unique([mapped["x"], mapped["y"]])) == mapped["x"].size * 2
    twice = play(map_feed(lambda key, batch: {"x": 2 * batch["x"]}, noisy))
    assert twice["x"].shape == (6, 4)


def test_populations_of_two_sizes_are_fed_side_by_side(dataset):
    larger = ArrayDataset({"image": np.arange(24, dtype=np.float32).reshape(12, 2)})
    noise = drawn_feed(lambda key, num: {"z": jax.random.uniform(key, (num,))}, batch_size=4)
    feeds = {
        "source": feed(dataset, {"label": None}, batch_size=4, seed=2),
        "target": feed(larger, {"image": None}, batch_size=3, seed=2),
        "noise": noise,
        "more": noise,
    }
    batches = play(side_by_side(feeds))
    for name in ("source", "target"):
        jax.tree.map(np.testing.assert_array_equal, batches[name], play(feeds[name]))
    assert not np.any(np.isclose(batches["noise"]["z"], batches["more"]["z"]))
    with pytest.raises(ValueError, match="There is no feed to put side by side"):
        side_by_side({})


def test_closing_what_is_side_by_side_closes_every_stream(dataset):
    closed = []

    def chunks(ranges):
        try:
            for _ in ranges:
                yield np.zeros((1, 1, 0))
        finally:
            closed.append(True)

    feeds = {name: Feed({}, lambda key, resident, item: {}, chunks) for name in "ab"}
    stream = side_by_side(feeds).chunks(iter([(0, 1), (1, 2)]))
    next(stream)
    stream.close()
    assert closed == [True, True]


def test_the_order_of_a_dataset_with_texts_is_that_of_their_values():
    def stream(texts):
        return order_stream(ArrayDataset({"text": np.array(texts, object)}))

    one = ["a" * 3, "".join(["b", "c"])]
    assert stream(one) == stream(["aa" + "a", "bc"])
    assert stream(one) != stream(["aaa", "bd"])
