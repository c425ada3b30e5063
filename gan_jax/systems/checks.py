"""What systems ask of batches and networks, and how they say it."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from gan_jax.errors import Refusal
from gan_jax.typing import Batch


def take(batch: Batch, field: str) -> Any:
    """Take what the batch holds under a name; raise ValueError where it holds no such field."""
    if field not in batch:
        raise Refusal(
            f"The batch holds {', '.join(sorted(batch)) or 'nothing'}; this system needs "
            f"`{field}`: name it among the fields of the feed, or tell the system another field."
        )
    return batch[field]


def take_floats(batch: Batch, field: str) -> Array:
    """As `take`, of floating-point examples."""
    examples = take(batch, field)
    if not jnp.issubdtype(examples.dtype, jnp.floating):
        raise Refusal(
            f"The batch's `{field}` is {examples.dtype}; scale it to floating-point numbers first: "
            "gan_jax.data.signed to [-1, 1], for a generator that ends in tanh; "
            "gan_jax.data.unit to [0, 1]."
        )
    return examples


def blank(batch: Batch, field: str) -> Array:
    """One example of zeros, of the shape and type that the batch has under a name."""
    examples = take(batch, field)
    return jnp.zeros((1, *examples.shape[1:]), examples.dtype)


def check_shape(real: Any, made: Any, field: str, network: str = "generator") -> None:
    """Raise ValueError unless a network makes examples of the data's shape."""
    if real.shape[1:] != made.shape[1:]:
        raise Refusal(
            f"The batch's `{field}` holds examples of shape {real.shape[1:]}, the {network} makes "
            f"{made.shape[1:]}: give the {network} the data's shape."
        )


def check_gaussian(numbers: Any, latent_dim: int, name: str) -> None:
    """Raise ValueError unless a network gives a mean and a log-variance for each latent."""
    if numbers.shape[1:] != (2 * latent_dim,):
        raise Refusal(
            f"The {name} gives {numbers.shape[1:]} numbers for each example; {latent_dim} latents "
            f"need {(2 * latent_dim,)}, their means and log-variances."
        )


def check_gradients(play: Callable[..., Any], **arguments: Any) -> None:
    """Raise ValueError where what is played differentiates through batch normalisation.

    Nothing is computed: the function is traced, with what normalises by a batch's own statistics
    (over devices, where it has the name of an axis) as an identity that refuses to be
    differentiated. Running averages are fine, and so is whatever keeps statistics of its weights,
    such as spectral norms.
    """
    with nn.intercept_methods(_watch_batch_norm):
        jax.eval_shape(play, **arguments)


def _watch_batch_norm(method: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
    module = context.module
    if isinstance(module, nn.BatchNorm) and context.method_name == "__call__":
        running = kwargs.get("use_running_average", module.use_running_average)
        if not running:
            return _not_differentiated(args[0])
    return method(*args, **kwargs)


@jax.custom_jvp
def _not_differentiated(x: Any) -> Any:
    return x


@_not_differentiated.defjvp
def _refuse_derivatives(primals: Any, tangents: Any) -> Any:
    raise Refusal(
        "A term takes gradients of the discriminator in its examples, which batch normalisation "
        "mixes: give it a discriminator without, such as DCGANDiscriminator(batch_norm=False), or "
        "with spectral norms."
    )
