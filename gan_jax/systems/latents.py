"""Diagonal Gaussians over latents, as networks give them, and networks over axes of samples."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax import losses
from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.games import Weights
from gan_jax.losses.precision import at_least_float32
from gan_jax.systems.networks import Run, asked, first, train
from gan_jax.typing import Batch, KeyArray


class Gaussian(NamedTuple):
    """N(μ, diag σ²), by μ and log σ²."""

    mean: Float[Array, "*batch latents"]
    log_variance: Float[Array, "*batch latents"]


def read_gaussian(outputs: Float[Array, "*batch outputs"]) -> Gaussian:
    """Take the first half of a network's outputs for means, the second for log-variances.

    In float32 or wider, so that densities of latents drawn from it are exact.
    """
    return Gaussian(*jnp.split(at_least_float32(outputs), 2, axis=-1))


def repeat(gaussian: Gaussian, num_samples: int) -> Gaussian:
    """Add a leading axis, along which all are the same."""
    return Gaussian(*(jnp.broadcast_to(a, (num_samples, *a.shape)) for a in gaussian))


def draw(key: KeyArray, gaussian: Gaussian) -> Float[Array, "*batch latents"]:
    """Reparameterise: z = μ + σ ⊙ ε, ε ~ N(0, I). Kingma & Welling 2014, section 2.4."""
    mean, log_variance = gaussian
    return mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape, mean.dtype)


def log_density(
    latents: Float[Array, "*batch latents"], gaussian: Gaussian
) -> Float[Array, "*batch"]:
    """log N(z; μ, diag σ²)."""
    return losses.gaussian_log_density(latents, *gaussian)


def over_axes(
    run: Run,
    network: nn.Module,
    weights: Weights,
    key: KeyArray,
    vectors: Float[Array, "*axes numbers"],
) -> tuple[Any, Weights]:
    """Run a network over any number of leading axes, the last of them that of the batch.

    What it returns besides its output is left out. The batch becomes the first axis before all are
    flattened: so a batch that is sharded over devices stays so, instead of being gathered on each.
    """
    if vectors.ndim == 1:
        outputs, weights = over_axes(run, network, weights, key, vectors[None])
        return outputs[0], weights
    vectors = jnp.moveaxis(vectors, -2, 0)
    axes = vectors.shape[:-1]
    outputs, weights = run(network, weights, key, vectors.reshape(-1, vectors.shape[-1]))
    outputs = first(outputs)
    return jnp.moveaxis(outputs.reshape(*axes, *outputs.shape[1:]), 0, len(axes) - 1), weights


class ImportanceWeighted(ABC):
    """A model with an encoder: what its importance weights are, asked and trained."""

    def log_weights(
        self, key: KeyArray, weights: Weights, batch: Batch, num_samples: int
    ) -> Float[Array, "samples batch"]:
        """log p(x, z) - log q(z|x), z ~ q, of x given a condition where there is one.

        Raises:
            ValueError: `num_samples` is below 1.
        """
        check_bound(AT_LEAST_1, num_samples=num_samples)
        return self._log_weights(asked, key, weights, batch, num_samples)[0]

    def trained_log_weights(
        self, key: KeyArray, weights: Weights, batch: Batch, num_samples: int
    ) -> tuple[Float[Array, "samples batch"], Weights]:
        """`log_weights` by the networks as they are trained, and the weights that this leaves."""
        return self._log_weights(train, key, weights, batch, num_samples)

    @abstractmethod
    def _log_weights(
        self, run: Run, key: KeyArray, weights: Weights, batch: Batch, num: int
    ) -> tuple[Float[Array, "samples batch"], Weights]: ...
