"""The shapes of a batch: what feeds make, and how config.json says it."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.typing import Batch, Feed


def batch_shapes(feed: Feed) -> Batch:
    """Find the shapes and dtypes of a global batch from one item that this process reads."""
    with closing(feed.chunks([(0, 1)])) as chunks:
        chunk = next(chunks)
    num_processes = jax.process_count()
    item = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            (leaf.shape[1] * num_processes, *leaf.shape[2:]), leaf.dtype
        ),
        chunk,
    )
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
