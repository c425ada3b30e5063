"""Rows in blocks, so that pairs of points need memory for the pairs of one block alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Shaped

from gan_jax.checks import is_known
from gan_jax.typing import PyTree


def over_blocks(function: Callable[[PyTree], PyTree], rows: PyTree, *, chunk_size: int) -> PyTree:
    """function(block of rows), one block after another; the results along a first axis.

    Rows that are split over devices stay where they are: row i is in block i mod num_blocks, so
    that every device has its part of each block. What fills up the last rows is 0.
    """
    rows = jax.tree.map(lambda x: _fold(x, chunk_size), rows)
    num_blocks = jax.tree.leaves(rows)[0].shape[1]
    return jax.lax.map(
        lambda at: function(jax.tree.map(lambda x: x[:, at], rows)), jnp.arange(num_blocks)
    )


def in_rows(values: Shaped[Array, "num_blocks size"]) -> Shaped[Array, " rows"]:
    """Put what `over_blocks` gives for each row in the order of the rows, with what fills up."""
    return values.T.reshape(-1)


def filling(num: int, chunk_size: int) -> int:
    """How many rows fill the last block up."""
    return -num % min(num, chunk_size)


def placed(x: Any) -> Array:
    """As an array of JAX, on a mesh whose programs XLA splits over the devices by itself."""
    x = jnp.asarray(x)
    sharding = x.sharding if is_known(x) else None
    if not isinstance(sharding, NamedSharding):
        return x
    mesh = Mesh(sharding.mesh.devices, sharding.mesh.axis_names)
    return jax.device_put(x, NamedSharding(mesh, sharding.spec))


def _fold(x: Shaped[Array, "num ..."], chunk_size: int) -> Shaped[Array, "size num_blocks ..."]:
    num, size = len(x), min(len(x), chunk_size)
    widths = [(0, filling(num, chunk_size))] + [(0, 0)] * (x.ndim - 1)
    return jnp.pad(x, widths).reshape(size, -1, *x.shape[1:])
