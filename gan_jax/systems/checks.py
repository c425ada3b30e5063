"""What systems ask of batches and networks, and how they say it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gan_jax.errors import Refusal
from gan_jax.typing import Batch, Params


def only_field(batch: Batch, field: str) -> Array:
    """Take the batch's one array; raise ValueError where there is another."""
    if set(batch) != {field}:
        raise Refusal(
            f"The batch holds {', '.join(sorted(batch)) or 'nothing'}; this system models `{field}`"
            f" alone and takes no labels: give it {{'{field}': ...}} and nothing else."
        )
    return batch[field]


def decoded_field(batch: Batch, field: str, decode_one: Callable[[], Array]) -> Array:
    """Take the batch's one array; raise ValueError unless it is like what the decoder makes."""
    x = only_field(batch, field)
    check_examples(x, jax.eval_shape(decode_one), field, "decoder")
    return x


def check_examples(real: Any, made: Any, field: str, network: str = "generator") -> None:
    """Raise ValueError unless both are floating-point examples of one shape."""
    check_floats(real, field)
    if real.shape[1:] != made.shape[1:]:
        raise Refusal(
            f"The batch's `{field}` holds examples of shape {real.shape[1:]}, the {network} makes "
            f"{made.shape[1:]}: give the {network} the data's shape."
        )


def check_floats(examples: Array, field: str) -> None:
    """Raise ValueError unless the examples are floating-point numbers."""
    if not jnp.issubdtype(examples.dtype, jnp.floating):
        raise Refusal(
            f"The batch's `{field}` is {examples.dtype}; scale it to floating-point numbers first: "
            "gan_jax.data.signed to [-1, 1], for a generator that ends in tanh; "
            "gan_jax.data.unit to [0, 1]."
        )


def only_params(variables, name: str) -> Params:
    """Take a network's params; raise ValueError where it keeps something else."""
    if state := sorted(set(variables) - {"params"}):
        raise Refusal(
            f"The {name} keeps {', '.join(state)}, which this system does not train: "
            "give it one without batch normalisation."
        )
    return variables["params"]
