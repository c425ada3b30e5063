"""Where floating-point numbers need care: losses are computed in float32 or wider."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array


def at_least_float32(x: ArrayLike) -> Array:
    """Widen half-precision numbers to float32; leave wider ones as they are."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def root(x: Array) -> Array:
    """√x, and 0 where x ≤ 0; at 0, where it has no slope, the gradient is 0. √nan is nan."""
    nothing = x <= 0
    return jnp.where(nothing, 0, jnp.sqrt(jnp.where(nothing, 1, x)))
