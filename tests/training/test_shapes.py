"""The shapes of batches: those of all processes together, and what JSON says of them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import ArrayDataset, drawn_feed, feed, map_feed, side_by_side
from gan_jax.training.shapes import batch_shapes, check_split, from_json, to_json

STORED = ArrayDataset({"shape": np.zeros((20, 2, 3), np.uint8), "dtype": np.arange(20) % 3})


@pytest.mark.parametrize("num_processes", [1, 2])
def test_batches_of_several_processes_and_populations_are_whole(monkeypatch, num_processes):
    monkeypatch.setattr(jax, "process_count", lambda: num_processes)
    stored = feed(
        STORED,
        {"shape": lambda x: x.astype(jnp.bfloat16), "dtype": None},
        batch_size=8,
        seed=0,
        rows=slice(0, 8 // num_processes),
    )
    drawn = drawn_feed(lambda key, num: {"x": jax.random.normal(key, (num, 5))}, batch_size=6)
    shapes = batch_shapes(side_by_side({"a": stored, "b": drawn}))
    assert from_json(json.loads(json.dumps(to_json(shapes)))) == shapes
    assert to_json(shapes) == {
        "a": {
            "shape": {"shape": [8, 2, 3], "dtype": "bfloat16"},
            "dtype": {"shape": [8], "dtype": "int64" if jax.config.jax_enable_x64 else "int32"},
        },
        "b": {"x": {"shape": [6, 5], "dtype": "float32"}},
    }


def drawn(batch_size):
    return drawn_feed(lambda key, num: {"x": jnp.zeros((num, 2))}, batch_size=batch_size)


@pytest.mark.parametrize(
    ("feed", "words"),
    [
        (drawn(3), r"The batch of x has the shape \[3, 2\], .* over 4 devices; choose a multiple"),
        (side_by_side({"a": drawn(4), "b": drawn(6)}), r"batch of b/x has the shape \[6, 2\]"),
        (
            map_feed(lambda key, batch: {"x": jnp.zeros((8, 1))}, drawn(6)),
            r"item of the feed has the shape \[6, 0\]",
        ),
        (map_feed(lambda key, batch: batch | {"n": jnp.ones(())}, drawn(4)), r"of n has .* \[\]"),
    ],
)
def test_batches_that_do_not_divide_over_the_devices_are_refused(feed, words):
    with pytest.raises(ValueError, match=words):
        check_split(feed, 4)
    check_split(feed, 1)
    check_split(side_by_side({"a": drawn(4), "b": drawn(8), "none": drawn(12)}), 4)


def test_the_feed_is_closed():
    closed = []

    def chunks(ranges):
        try:
            yield from (np.zeros((stop - start, 4, 0)) for start, stop in ranges)
        finally:
            closed.append(True)

    drawn = drawn_feed(lambda key, num: {"x": jnp.zeros(num)}, batch_size=4)
    assert batch_shapes(drawn._replace(chunks=chunks))["x"].shape == (4,)
    assert closed == [True]
