"""Batches and states: what feeds make, what a run can take, and how config.json says it."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.tree_util import keystr, tree_leaves_with_path

from gan_jax.errors import Refusal
from gan_jax.typing import Batch, Feed, PyTree


def batch_shapes(feed: Feed) -> Batch:
    """Find the shapes and dtypes of a global batch from one item that this process reads.

    Raises:
        ValueError: the feed reads something else than a mapping of fields.
    """
    return _read(feed, _item_shapes(feed))


def first_batch(feed: Feed) -> Batch:
    """Read the first batch of a run, or the rows of it that this process reads.

    What is drawn at random is drawn with another key than the run's.
    """
    return read_batch(feed, _first_chunk(feed), 0)


def read_batch(feed: Feed, chunk: PyTree, index: int) -> Batch:
    """Read a batch of a chunk, with the key 0."""
    item = jax.tree.map(lambda leaf: leaf[index], chunk)
    return jax.jit(feed.read)(jax.random.key(0), feed.resident, item)


def check_finite(batch: Batch, which: str) -> None:
    """Raise ValueError at the first field that holds a number that is not finite."""
    for path, leaf in tree_leaves_with_path(batch):
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not jnp.isfinite(leaf).all():
            num = int(jnp.sum(~jnp.isfinite(leaf)))
            raise Refusal(
                f"The field {_named(path)} of {which} holds {num} numbers of {leaf.size} that are "
                "not finite: mend or leave out those examples, or the function that scales them."
            )


def check_state(state: PyTree) -> None:
    """Raise ValueError unless a state is made of arrays that are still there, and of a number."""
    leaves = tree_leaves_with_path(state)
    for path, leaf in leaves:
        if not hasattr(leaf, "dtype"):
            raise Refusal(
                f"The state holds {leaf!r} at {_named(path)}: make it an array, by jnp.asarray."
            )
    if not any(leaf.size for _, leaf in leaves):
        raise Refusal("The state holds no number: there is nothing to train, and nothing to save.")
    refuse_gone(state)


def refuse_gone(state: PyTree) -> None:
    """Raise ValueError where an array was donated."""
    for path, leaf in tree_leaves_with_path(state):
        if isinstance(leaf, jax.Array) and not isinstance(leaf, Tracer) and leaf.is_deleted():
            raise Refusal(
                f"The state's array at {_named(path)} is gone, for an earlier run or step took it: "
                "go on with the state that came back, or make the first one anew."
            )


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
                name = _named(path) if path else "the feed"
                raise Refusal(
                    f"The {what} of {name} has the shape {list(leaf.shape)}, whose first axis does "
                    f"not divide over {num_devices} devices; choose a multiple of {num_devices}."
                )


def _named(path: Any) -> str:
    return keystr(path, simple=True, separator="/") or "its top"


def _first_chunk(feed: Feed) -> PyTree:
    with closing(feed.chunks([(0, 1)])) as chunks:
        return next(chunks)


def _item_shapes(feed: Feed) -> PyTree:
    num_processes = jax.process_count()
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            (leaf.shape[1] * num_processes, *leaf.shape[2:]),
            jax.dtypes.canonicalize_dtype(leaf.dtype),  # float64 is taken as float32, silently
        ),
        _first_chunk(feed),
    )


def _read(feed: Feed, item: PyTree) -> Batch:
    batch = jax.eval_shape(feed.read, jax.random.key(0), feed.resident, item)
    if not isinstance(batch, Mapping):
        raise Refusal(
            "A batch is a mapping of fields, but the feed reads none: give what it reads a name, "
            'as in {"image": images}.'
        )
    return batch


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
