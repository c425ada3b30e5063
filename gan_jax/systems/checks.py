"""What systems ask of batches and networks, and how they say it."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan_jax.checks import FINITE, SIGNED, UNIT, Bound, is_known
from gan_jax.errors import Refusal
from gan_jax.typing import Batch

DOMAINS = ("source", "target")


def check_made(kind: type, example: str, others: Mapping[type, str] = {}, **values: Any) -> None:
    """Raise ValueError at the first value, by its name, that is not of a kind.

    `others` says of kinds that may be taken for it what to do with them.
    """
    for name, value in values.items():
        if isinstance(value, kind):
            continue
        said = f"{name} is a {type(value).__name__}; it must be a {kind.__name__}, as {example} is."
        if type(value) in others:
            said = f"{name} is a {type(value).__name__}: {others[type(value)]}."
        elif callable(value) and hasattr(value, "__name__"):
            said = f"{name} is {value.__name__} itself: call it, as in {example}."
        raise Refusal(said)


def check_networks(**networks: Any) -> None:
    """Raise ValueError at the first, by its name, that is no Flax module."""
    check_made(nn.Module, "nets.MLPGenerator((2,))", **networks)


def take(batch: Batch, field: str) -> Any:
    """Take what the batch holds under a name; raise ValueError where it holds no such field."""
    if not isinstance(batch, Mapping):
        raise Refusal(
            f"The batch is a {type(batch).__name__}; give its examples by their name, as "
            f'{{"{field}": examples}}.'
        )
    if field not in batch:
        raise Refusal(
            f"The batch holds {', '.join(sorted(batch)) or 'nothing'}; this system needs "
            f"`{field}`: name it among the fields of the feed, or tell the system another field."
        )
    return batch[field]


def take_floats(batch: Batch, field: str) -> Any:
    """As `take`, of floating-point examples."""
    examples = take(batch, field)
    if not jnp.issubdtype(examples.dtype, jnp.floating):
        raise Refusal(
            f"The batch's `{field}` is {examples.dtype}; scale it to floating-point numbers first: "
            "gan_jax.data.signed to [-1, 1], for a generator that ends in tanh; "
            "gan_jax.data.unit to [0, 1]."
        )
    return examples


def take_integers(batch: Batch, field: str) -> Any:
    """As `take`, of whole numbers."""
    tokens = take(batch, field)
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise Refusal(
            f"The batch's `{field}` is {tokens.dtype}; it must hold whole numbers, such as the "
            "places of characters in an alphabet."
        )
    return tokens


def take_labels(batch: Batch, field: str) -> Any:
    """As `take`, of one whole number for each example."""
    labels = take(batch, field)
    if not jnp.issubdtype(labels.dtype, jnp.integer) or labels.ndim != 1:
        raise Refusal(
            f"The batch's `{field}` is {labels.dtype} of shape {labels.shape}; it must be one "
            "whole number for each example, its class."
        )
    return labels


def check_examples(batch: Batch, field: str, bound: Bound | None, maker: str = "") -> None:
    """Raise ValueError where examples are not finite, or lie outside of what a network makes.

    What is traced, has a shape alone, lies with other processes or is no float is not looked at.
    """
    x = take(batch, field)
    if not is_known(x) or 0 in x.shape or not jnp.issubdtype(x.dtype, jnp.floating):
        return
    x = np.asarray(x, np.float64)  # on the host, since inside jit JAX would trace it
    low, high = np.min(x), np.max(x)
    if not (FINITE.holds(low) and FINITE.holds(high)):
        raise Refusal(
            f"The batch's `{field}` holds what is not finite, from {low} to {high}: leave out such "
            "examples."
        )
    if bound is not None and not (bound.holds(low) and bound.holds(high)):
        way = {SIGNED.words: "gan_jax.data.signed", UNIT.words: "gan_jax.data.unit"}
        raise Refusal(
            f"The batch's `{field}` is from {low} to {high}, but the {maker} makes what is "
            f"{bound.words}: scale it by {way.get(bound.words, 'hand')}."
        )


def output_bound(network: nn.Module) -> Bound | None:
    """The range of what a network makes, where it says so."""
    return getattr(network, "output_bound", None)


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


def check_logits(x: Any, logits: Any) -> None:
    """Raise ValueError unless a discriminator gives each example one number, or a map of them."""
    num, *rest = jnp.shape(logits) or (None,)
    places = {len(rest), len(rest) - (rest[-1:] == [1])}
    if num != x.shape[0] or not places & {0, x.ndim - 2}:
        raise Refusal(
            f"The discriminator gives {x.shape[0]} examples of shape {x.shape[1:]} logits of shape "
            f"{jnp.shape(logits)}; it must give each one number, or a map over its places."
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
            of_both = jnp.promote_types(jnp.result_type(args[0]), module.param_dtype)
            return _not_differentiated(jnp.asarray(args[0], module.dtype or of_both))
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


def check_domains(source: Array, target: Array) -> None:
    """Raise ValueError where one network cannot take the examples of both domains."""
    if source.shape[1:] != target.shape[1:]:
        raise Refusal(
            f"The examples of the source are of shape {source.shape[1:]}, those of the target "
            f"{target.shape[1:]}: bring both to one shape, for one network takes both."
        )
