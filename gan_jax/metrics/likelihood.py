"""Log-likelihoods of models with latents: estimates of what a bound only bounds. In nats."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from gan_jax import losses
from gan_jax.checks import AT_LEAST_1, AT_LEAST_2, NOT_NEGATIVE, POSITIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points, check_same_shape
from gan_jax.losses.precision import at_least_float32
from gan_jax.typing import Batch, KeyArray, Scalar

LogWeights: TypeAlias = Callable[[KeyArray, int], Float[Array, "samples batch"]]


class Estimate(NamedTuple):
    """For each example: the logarithm of the mean weight, and how many samples carried it."""

    log_likelihood: Float[Array, " batch"]
    effective_samples: Float[Array, " batch"]


def importance_log_likelihood(
    key: KeyArray, log_weights: LogWeights, *, num_samples: int = 5_000, chunk_size: int = 100
) -> Estimate:
    """log 1/k Σ_i p(x, z_i)/q(z_i|x), with memory for `chunk_size` samples at a time.

    In the mean a lower bound of log p(x), tight as k = `num_samples` grows; an effective sample
    size near 1 says that it is not.

    Args:
        log_weights: (key, num) -> log p(x, z) - log q(z|x), (num, batch), as
            `lambda key, num: model.log_weights(key, weights, batch, num)`.

    Burda, Grosse & Salakhutdinov 2016, section 5: k = 5,000.

    Raises:
        ValueError: `chunk_size` is below 1 or does not divide `num_samples`, or `log_weights` does
            not give one number for each sample and example.
    """
    check_bound(AT_LEAST_1, num_samples=num_samples, chunk_size=chunk_size)
    if num_samples % chunk_size:
        raise Refusal(
            f"num_samples is {num_samples} and chunk_size {chunk_size}; the first must be a "
            "multiple of the second."
        )
    chunk = jax.eval_shape(lambda key: log_weights(key, chunk_size), key)
    if len(chunk.shape) != 2 or len(chunk) != chunk_size:
        raise Refusal(
            f"log_weights gives the shape {chunk.shape} for {chunk_size} samples; it must give one "
            "number for each sample and example, (samples, batch)."
        )

    def add(sums, key):
        """Σ w and Σ w², as multiples of the largest w so far and of its square."""
        largest, first, second = sums
        chunk = at_least_float32(log_weights(key, chunk_size))
        found = jnp.maximum(largest, jnp.max(chunk, axis=0))
        unit = jnp.where(jnp.isfinite(found), found, 0)
        weights, kept = jnp.exp(chunk - unit[None]), jnp.exp(largest - unit)
        first = first * kept + jnp.sum(weights, axis=0)
        second = second * kept**2 + jnp.sum(weights**2, axis=0)
        return (found, first, second), None

    nothing = jnp.zeros(chunk.shape[1:], jnp.promote_types(chunk.dtype, jnp.float32))
    keys = jax.random.split(key, num_samples // chunk_size)
    sums, _ = jax.lax.scan(add, (jnp.full_like(nothing, -jnp.inf), nothing, nothing), keys)
    largest, first, second = sums
    unit = jnp.where(jnp.isfinite(largest), largest, 0)
    return Estimate(unit + jnp.log(first) - math.log(num_samples), first**2 / second)


def log_likelihoods_in_parts(
    key: KeyArray,
    log_weights: Callable[[KeyArray, Batch, int], Float[Array, "samples part"]],
    batch: Batch,
    *,
    num_samples: int,
    part_size: int = 50,
    chunk_size: int = 50,
) -> Float[np.ndarray, " batch"]:
    """`importance_log_likelihood` of many examples, `part_size` at a time, on the host at the end.

    Args:
        log_weights: (key, part of the batch, num) -> (num, part).

    Raises:
        ValueError: as `importance_log_likelihood`; `part_size` is below 1, or there is no example.
    """
    check_bound(AT_LEAST_1, part_size=part_size)
    num = len(next(iter(batch.values()), ()))
    check_bound(AT_LEAST_1, **{"The number of examples": num})

    @jax.jit
    def estimate(key: KeyArray, part: Batch) -> Float[Array, " part"]:
        return importance_log_likelihood(
            key,
            lambda key, num: log_weights(key, part, num),
            num_samples=num_samples,
            chunk_size=chunk_size,
        ).log_likelihood

    estimates = []
    for start in range(0, num, part_size):
        part = {field: examples[start : start + part_size] for field, examples in batch.items()}
        estimates.append(np.asarray(estimate(jax.random.fold_in(key, start), part)))
    return np.concatenate(estimates)


def parzen_log_likelihood(
    x: Float[Array, "num features"],
    samples: Float[Array, "num_samples features"],
    bandwidth: float,
    *,
    chunk_size: int = 16,
) -> Float[Array, " num"]:
    """log 1/n Σ_i N(x; s_i, h² I): the density of a kernel estimate on a model's samples.

    The protocol of Goodfellow et al. 2014: 10,000 samples, and the bandwidth h that
    `parzen_bandwidth` chooses on a validation set. In many dimensions it says little about a model
    (Theis, van den Oord & Bethge 2016).

    Args:
        chunk_size: rows of x that are compared with all samples at a time.

    Raises:
        ValueError: `bandwidth` is not positive and finite, `chunk_size` is below 1, or the points
            are no rows of equally many features, or not finite (traced, their density is nan).
    """
    check_bound(POSITIVE, bandwidth=bandwidth)
    check_bound(AT_LEAST_1, chunk_size=chunk_size)
    check_points(x=x, samples=samples)

    def one(row):
        row = jnp.broadcast_to(row, samples.shape)
        return losses.iwae(losses.gaussian_log_likelihood(row, samples, bandwidth**2))

    return jax.lax.map(one, x, batch_size=chunk_size)


def parzen_bandwidth(
    validation: Float[Array, "num features"],
    samples: Float[Array, "num_samples features"],
    candidates: Sequence[float],
) -> float:
    """The candidate under which held-out data are likeliest on average.

    Raises:
        ValueError: there is no candidate, or as `parzen_log_likelihood`.
    """
    if not len(candidates):
        raise Refusal("There are no candidates; give at least one bandwidth.")
    return max(
        candidates,
        key=lambda bandwidth: float(
            jnp.mean(parzen_log_likelihood(validation, samples, bandwidth))
        ),
    )


def bits_per_dimension(nats: Float[Any, "*shape"], num_dimensions: int) -> Float[Any, "*shape"]:
    """-log₂ p(x)/D, from -log p(x) in nats, D the numbers (pixels times channels) in an example.

    Of a likelihood of levels, such as `losses.discretized_logistic`. Theis, van den Oord & Bethge
    2016, section 3.1: a density has none, unless noise spreads the levels.

    Raises:
        ValueError: `num_dimensions` is below 1.
    """
    check_bound(AT_LEAST_1, num_dimensions=num_dimensions)
    return nats / (num_dimensions * math.log(2))


def active_units(
    means: Float[Array, "num latents"], threshold: float = 0.01
) -> Bool[Array, " latents"]:
    """Which latents say something: Var_x(E_q(z|x) z) > 0.01, over examples.

    Burda, Grosse & Salakhutdinov 2016, section 5.

    Raises:
        ValueError: the means are no rows, one an example, of at least 2; one is not finite; or the
            threshold is negative or not finite.
    """
    check_points(means=means)
    check_bound(AT_LEAST_2, **{"The number of examples": len(means)})
    check_bound(NOT_NEGATIVE, threshold=threshold)
    return jnp.var(means, axis=0) > threshold


class InferenceGaps(NamedTuple):
    """Where log p(x) - ELBO comes from: the family of q, and the encoder's choice within it."""

    approximation: Scalar
    amortisation: Scalar


def inference_gaps(
    *,
    log_likelihood: Float[Array, " batch"],
    best_bound: Float[Array, " batch"],
    amortised_bound: Float[Array, " batch"],
) -> InferenceGaps:
    """Means of log p(x) - L[q*] and L[q*] - L[q_φ], for q* the best of the family at each example.

    Their sum is the gap of the encoder's bound, KL(q_φ(z|x) ‖ p(z|x)) in the mean.

    Cremer, Li & Duvenaud 2018.

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(
        log_likelihood=log_likelihood, best_bound=best_bound, amortised_bound=amortised_bound
    )
    return InferenceGaps(
        jnp.mean(log_likelihood - best_bound), jnp.mean(best_bound - amortised_bound)
    )
