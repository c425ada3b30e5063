"""Class labels, as networks see them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def one_hot(
    labels: Int[Array, " num"], num_classes: int, dtype: jnp.dtype | type = jnp.float32
) -> Float[Array, "num {num_classes}"]:
    """1 for an example's class, 0 for the others; nan throughout for a label that is no class.

    >>> import jax
    >>> from gan_jax.nets import layers
    >>> layers.one_hot(jax.numpy.array([1, 0]), 3).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    known = (labels >= 0) & (labels < num_classes)
    return jnp.where(known[:, None], jax.nn.one_hot(labels, num_classes, dtype=dtype), jnp.nan)
