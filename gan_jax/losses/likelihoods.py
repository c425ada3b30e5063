"""Output heads: what a decoder's raw outputs say about x.

A network answers with raw numbers; a likelihood reads them. Where an example x has C numbers along
its last axis, the outputs have `num_outputs` times as many, block after block (all means, then all
log-variances). In front of the axes of x, outputs may have axes of samples.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import (
    AT_LEAST_2,
    FINITE,
    NOT_NEGATIVE,
    POSITIVE,
    UNIT,
    Bound,
    check_bound,
)
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_support
from gan_jax.losses.precision import at_least_float32
from gan_jax.losses.variational import (
    bernoulli_log_likelihood,
    discretized_logistic_log_likelihood,
    gaussian_log_density,
)
from gan_jax.typing import KeyArray


class Likelihood(NamedTuple):
    """p(x|z), from a decoder's raw outputs at z.

    num_outputs: raw numbers for each number in x.
    support: what each number in x must be.
    log_prob(x, outputs): log p(x|z) in nats, for x (batch, *event) and outputs (*samples, batch,
        *event'), summed over the event; of shape (*samples, batch), in float32 or wider. It refuses
        an x outside of the support; where x is traced, that example's is not finite.
    mean(outputs), sample(key, outputs): E[x|z] and a draw, (*samples, batch, *event).
    """

    num_outputs: int
    support: Bound
    log_prob: Callable[[Array, Array], Float[Array, "*samples batch"]]
    mean: Callable[[Array], Array]
    sample: Callable[[KeyArray, Array], Array]

    def check(self, x: Array) -> None:
        """Raise ValueError at an example outside of the support; what is traced is let through."""
        check_support(self.support, x)


def bernoulli() -> Likelihood:
    """x in {0, 1}, or in [0, 1] as a mean of such; outputs are logits a: p(x = 1|z) = σ(a).

    Kingma & Welling 2014, equation (11).
    """

    def sample(key, logits):
        return jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(jnp.float32)

    return _likelihood(1, UNIT, bernoulli_log_likelihood, jax.nn.sigmoid, sample)


def gaussian(variance: float) -> Likelihood:
    """N(x; μ, cI) of one fixed variance c > 0; outputs are means μ.

    -log p(x|z) = C ‖x - μ‖² + constant, with C = 1/(2c).

    Raises:
        ValueError: `variance` is not positive and finite.
    """
    check_bound(POSITIVE, variance=variance)
    log_variance = math.log(variance)

    def sample(key, mean):
        return mean + math.sqrt(variance) * jax.random.normal(key, mean.shape, mean.dtype)

    return _likelihood(
        1,
        FINITE,
        lambda x, mean: gaussian_log_density(x, mean, log_variance),
        lambda mean: mean,
        sample,
    )


def learned_gaussian(min_variance: float) -> Likelihood:
    """N(x; μ, diag σ²); outputs are means μ and numbers a with σ² = e^a + `min_variance`.

    With a floor of 0 the likelihood of data that repeat a value exactly has no upper bound.

    Kingma & Welling 2014, equation (12).

    Raises:
        ValueError: `min_variance` is negative or not finite.
    """
    check_bound(NOT_NEGATIVE, min_variance=min_variance)

    def floored(log_variance):
        log_variance = at_least_float32(log_variance)
        return jnp.logaddexp(log_variance, math.log(min_variance)) if min_variance else log_variance

    def sample(key, mean, log_variance):
        noise = jax.random.normal(key, mean.shape, mean.dtype)
        return mean + jnp.exp(floored(log_variance) / 2) * noise

    return _likelihood(
        2,
        FINITE,
        lambda x, mean, log_variance: gaussian_log_density(x, mean, floored(log_variance)),
        lambda mean, _: mean,
        sample,
    )


def discretized_logistic(num_levels: int = 256, min_log_scale: float = -7.0) -> Likelihood:
    """The levels i/(L - 1) of [0, 1], under a logistic density that is binned.

    Outputs are means and log-scales, the latter not below `min_log_scale`. Salimans et al. 2017,
    equation (2).

    Raises:
        ValueError: there are fewer than 2 levels, or `min_log_scale` is not finite.
    """
    check_bound(AT_LEAST_2, num_levels=num_levels)
    check_bound(FINITE, min_log_scale=min_log_scale)
    last = num_levels - 1

    def log_prob(x, mean, log_scale):
        log_scale = jnp.maximum(log_scale, min_log_scale)
        return discretized_logistic_log_likelihood(x, mean, log_scale, num_levels=num_levels)

    def sample(key, mean, log_scale):
        noise = jax.random.logistic(key, mean.shape, mean.dtype)
        x = mean + jnp.exp(jnp.maximum(log_scale, min_log_scale)) * noise
        return jnp.round(jnp.clip(x, 0, 1) * last) / last

    def mean_of_levels(mean, log_scale):
        """E[x] = Δ Σ_i P(x ≥ iΔ), with tails that pile up at 0 and 1."""
        scale = jnp.exp(jnp.maximum(log_scale, min_log_scale))

        def add(i, total):
            return total + jax.nn.sigmoid((mean - (i - 0.5) / last) / scale)

        return jax.lax.fori_loop(1, num_levels, add, jnp.zeros_like(mean)) / last

    return _likelihood(2, UNIT, log_prob, mean_of_levels, sample)


def _likelihood(num_outputs: int, support: Bound, log_prob, mean, sample) -> Likelihood:
    """Make a likelihood of functions of x and the blocks; `log_prob` sums over the last axis."""

    def blocks(outputs):
        if outputs.shape[-1] % num_outputs:
            raise Refusal(
                f"The decoder's outputs have {outputs.shape[-1]} numbers along their last axis; "
                f"this likelihood reads {num_outputs} for each number in x."
            )
        return jnp.split(at_least_float32(outputs), num_outputs, axis=-1)

    def of_events(x, outputs):
        event = (*x.shape[1:-1], num_outputs * x.shape[-1])
        if x.ndim < 2 or outputs.shape[-x.ndim :] != (len(x), *event):
            raise Refusal(
                f"The outputs have shape {outputs.shape}, but examples of shape {x.shape} need "
                f"{(len(x), *event)}: {num_outputs} for each number along the last axis."
            )
        check_support(support, x)
        axes = outputs.ndim - len(event)
        flat = [block.reshape(*outputs.shape[:axes], -1) for block in blocks(outputs)]
        x = jnp.broadcast_to(x.reshape(len(x), -1), flat[0].shape)
        return log_prob(x, *flat)

    return Likelihood(
        num_outputs,
        support,
        of_events,
        lambda outputs: mean(*blocks(outputs)),
        lambda key, outputs: sample(key, *blocks(outputs)),
    )
