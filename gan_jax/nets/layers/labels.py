"""Class labels, as networks see them."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal


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


def check_num_classes(num_classes: int | None) -> None:
    """Raise ValueError unless it is None, or at least 1."""
    if num_classes is not None:
        check_bound(AT_LEAST_1, num_classes=num_classes)


def told_classes(
    module: Any, labels: Int[Array, " num"] | None
) -> Float[Array, "num classes"] | None:
    """What a module that may be told classes is told: one-hot, or None where it knows of none.

    Raises:
        ValueError: labels are given without `module.num_classes`, or missing with it.
    """
    if (labels is None) != (module.num_classes is None):
        raise Refusal(
            f"{type(module).__name__} of num_classes {module.num_classes} is given "
            f"{'no labels' if labels is None else 'labels'}: give it both, or neither."
        )
    return None if labels is None else one_hot(labels, module.num_classes)
