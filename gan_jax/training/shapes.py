"""The shapes of a batch: what feeds make, and how config.json says it."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import keystr, tree_leaves_with_path

from gan_jax.errors import Refusal
from gan_jax.typing import Batch, Feed, PyTree


def batch_shapes(feed: Feed) -> Batch:
    """Find the shapes and dtypes of a global batch from one item that this process reads."""
    return _read(feed, _item_shapes(feed))


def check_split(feed: Feed, num_devices: int) -> None:
    """Refuse a feed whose batches, or the items it reads for them, do not divide over devices.

    Raises:
        ValueError: the first axis of an array is no multiple of `num_devices`.
    """
    if num_devices == 1:
        return
    item = _item_shapes(feed)
    for what, tree in [("batch", _read(feed, item)), ("item", item)]:
        for path, leaf in tree_leaves_with_path(tree):
            if not leaf.shape or leaf.shape[0] % num_devices:
                name = keystr(path, simple=True, separator="/") or "the feed"
                raise Refusal(
                    f"The {what} of {name} has the shape {list(leaf.shape)}, whose first axis does "
                    f"not divide over {num_devices} devices; choose a multiple of {num_devices}."
                )


def _item_shapes(feed: Feed) -> PyTree:
    with closing(feed.chunks([(0, 1)])) as chunks:
        chunk = next(chunks)
    num_processes = jax.process_count()
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            (leaf.shape[1] * num_processes, *leaf.shape[2:]),
            jax.dtypes.canonicalize_dtype(leaf.dtype),  # float64 is taken as float32, silently
        ),
        chunk,
    )


def _read(feed: Feed, item: PyTree) -> Batch:
    return jax.eval_shape(feed.read, jax.random.key(0), feed.resident, item)


def to_json(batch: Batch) -> dict[str, Any]:
    """Say it in JSON: field -> {"shape": [...], "dtype": "..."}, nested for populations."""
    return {
        name: to_json(value)
        if isinstance(value, Mapping)
        else {"shape": list(value.shape), "dtype": str(value.dtype)}
        for name, value in batch.items()
    }


def from_json(said: Mapping[str, Any]) -> Batch:
    """Read what `to_json` says, as `jax.ShapeDtypeStruct`s."""
    return {
        name: jax.ShapeDtypeStruct(tuple(value["shape"]), jnp.dtype(value["dtype"]))
        if isinstance(value.get("shape"), list)  # a population may have a field called shape
        else from_json(value)
        for name, value in said.items()
    }
