"""Losses are computed in float32 or wider, also where networks compute in bfloat16."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array


def at_least_float32(x: ArrayLike) -> Array:
    """Widen half-precision numbers to float32; leave wider ones as they are."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
