"""Rows in blocks, so that pairs of points need memory for the pairs of one block alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Shaped

from gan_jax.checks import is_known
from gan_jax.typing import PyTree


def over_blocks(function: Callable[[PyTree], PyTree], rows: PyTree, *, chunk_size: int) -> PyTree:
    """function(block of rows), one block after another; the results along a first axis.

    The rows are as many as `filled` makes them. Those that are split over devices stay where they
    are: row i is in block i mod num_blocks, so that every device has its part of each block.
    """
    num = len(jax.tree.leaves(rows)[0])
    size = min(num, chunk_size)

    def block(at):
        # Folded here, not before the loop, where XLA would copy them.
        return jax.tree.map(lambda x: x.reshape(size, -1, *x.shape[1:])[:, at], rows)

    return jax.lax.map(lambda at: function(block(at)), jnp.arange(num // size))


def in_rows(values: Shaped[Array, "num_blocks size"]) -> Shaped[Array, " rows"]:
    """Put what `over_blocks` gives for each row in the order of the rows."""
    return values.T.reshape(-1)


def filled(x: Shaped[Array, "num features"], chunk_size: int) -> Shaped[Array, "rows features"]:
    """Fill the last block up with rows of zeros."""
    return jnp.pad(x, ((0, -len(x) % min(len(x), chunk_size)), (0, 0)))


def placed(x: Any) -> Array:
    """As an array of JAX, its mesh one whose programs XLA splits over the devices by itself."""
    x = jnp.asarray(x)
    sharding = x.sharding if is_known(x) else None
    if not isinstance(sharding, NamedSharding):
        return x
    mesh = Mesh(np.asarray(sharding.mesh.devices), sharding.mesh.axis_names)
    return jax.device_put(x, NamedSharding(mesh, sharding.spec))
