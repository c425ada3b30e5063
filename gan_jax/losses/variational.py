"""Terms of the evidence lower bound: one number per example, summed over the last axis.

Bounds are to be maximised; the minus is the caller's, and so are a weight on the KL (β-VAE:
`elbo(log_likelihood, beta * kl)`) and free bits (`jnp.maximum(kl, free_nats)`, on the KL of each
latent or of a group). Natural logarithms: all is in nats.
"""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_2, POSITIVE, UNIT, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_same_shape, check_support, check_values, nan_outside
from gan_jax.losses.precision import at_least_float32


def gaussian_kl(
    mean: Float[Array, "*batch latents"],
    log_variance: Float[Array, "*batch latents"],
    prior_mean: ArrayLike = 0.0,
    prior_log_variance: ArrayLike = 0.0,
) -> Float[Array, "*batch"]:
    """KL(N(μ, σ²) ‖ N(m, s²)) = ½ Σ (log s²/σ² + (σ² + (μ - m)²)/s² - 1), diagonal Gaussians.

    With the prior N(0, I) it is -½ Σ (1 + log σ² - μ² - σ²).

    Kingma & Welling 2014, equation (10) and appendix B.

    Raises:
        ValueError: the mean and the log-variance have different shapes.
    """
    check_same_shape(mean=mean, log_variance=log_variance)
    mean, log_variance = at_least_float32(mean), at_least_float32(log_variance)
    prior_log_variance = jnp.asarray(prior_log_variance, log_variance.dtype)
    difference = log_variance - prior_log_variance
    shift = jnp.square(mean - jnp.asarray(prior_mean, mean.dtype)) * jnp.exp(-prior_log_variance)
    return jnp.sum(jnp.expm1(difference) - difference + shift, axis=-1) / 2


def bernoulli_log_likelihood(
    x: Float[Array, "*batch features"], logits: Float[Array, "*batch features"]
) -> Float[Array, "*batch"]:
    """Σ x log σ(a) + (1 - x) log(1 - σ(a)), for logits a and x in [0, 1].

    It is nan where a traced example has a number outside.

    Kingma & Welling 2014, equation (11).

    Raises:
        ValueError: x is outside [0, 1], or the shapes differ.
    """
    check_same_shape(x=x, logits=logits)
    check_support(UNIT, x)
    x, logits = at_least_float32(x), at_least_float32(logits)
    terms = x * jax.nn.softplus(-logits) + (1 - x) * jax.nn.softplus(logits)
    return nan_outside(UNIT, -jnp.sum(terms, axis=-1), x)


def gaussian_log_likelihood(
    x: Float[Array, "*batch features"], mean: Float[Array, "*batch features"], variance: ArrayLike
) -> Float[Array, "*batch"]:
    """Σ log N(x; μ, c) = -½ Σ ((x - μ)²/c + log 2πc), for the variance c.

    With one fixed c this is -C ‖x - μ‖² + constant with C = 1/(2c): a loss that is said to be
    "‖x - μ‖² + KL" has c = ½.

    Raises:
        ValueError: a variance is not positive and finite, or the shapes of x and μ differ.
    """
    check_values(POSITIVE, variance=variance)
    return gaussian_log_density(x, mean, jnp.log(at_least_float32(jnp.asarray(variance))))


def gaussian_log_density(
    x: Float[Array, "*batch features"],
    mean: Float[Array, "*batch features"] | float = 0.0,
    log_variance: ArrayLike = 0.0,
) -> Float[Array, "*batch"]:
    """Σ log N(x; μ, σ²) = -½ Σ ((x - μ)²/σ² + log σ² + log 2π), for log σ².

    With x alone, that of N(0, I). Kingma & Welling 2014, appendix C.2.

    Raises:
        ValueError: the mean is neither one number nor of the shape of x.
    """
    if jnp.ndim(mean):
        check_same_shape(x=x, mean=mean)
    x = at_least_float32(x)
    log_variance = jnp.asarray(log_variance, jnp.result_type(x, log_variance))
    log_variance = jnp.broadcast_to(log_variance, x.shape)
    squares = jnp.square(x - mean) * jnp.exp(-log_variance)
    return -jnp.sum(squares + log_variance + math.log(2 * math.pi), axis=-1) / 2


def discretized_logistic_log_likelihood(
    x: Float[Array, "*batch features"],
    mean: Float[Array, "*batch features"],
    log_scale: Float[Array, "*batch features"],
    *,
    num_levels: int = 256,
) -> Float[Array, "*batch"]:
    """The mass that a logistic distribution has in the bin of each level: a proper likelihood.

    Levels are x = i/(L - 1) in [0, 1]. With Δ = 1/(L - 1), P(x) = σ(b) - σ(a) for
    b = (x + Δ/2 - μ)/s and a = (x - Δ/2 - μ)/s, where a = -∞ at x = 0 and b = ∞ at x = 1. Computed
    by σ(b) - σ(a) = σ(b) σ(-a) (1 - e^(a-b)). It is nan where a traced example has a number outside
    [0, 1].

    Kingma et al. 2016 (inverse autoregressive flow), appendix; Salimans et al. 2017, equation (2).

    Raises:
        ValueError: x is outside [0, 1], there are fewer than 2 levels, or the shapes differ.
    """
    check_bound(AT_LEAST_2, num_levels=num_levels)
    check_same_shape(x=x, mean=mean, log_scale=log_scale)
    check_support(UNIT, x)
    x, mean, log_scale = map(at_least_float32, (x, mean, log_scale))
    width = 1 / (num_levels - 1)
    above = (x + width / 2 - mean) * jnp.exp(-log_scale)
    below = (x - width / 2 - mean) * jnp.exp(-log_scale)
    log_below, log_above = -jax.nn.softplus(-above), -jax.nn.softplus(below)
    inside = log_below + log_above + _log1mexpexp(math.log(width) - log_scale)
    first, last = x < width / 2, x > 1 - width / 2
    terms = jnp.where(first, log_below, jnp.where(last, log_above, inside))
    return nan_outside(UNIT, jnp.sum(terms, axis=-1), x)


def elbo(
    log_likelihood: Float[Array, "*batch"], kl: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """E_q log p(x|z) - KL(q(z|x) ‖ p(z)) ≤ log p(x), with an estimate of the first term.

    Where q is the posterior the two are equal. For z ~ N(0, 1) and x|z ~ N(z, 1) it is N(x/2, 1/2),
    and E_q (x - z)² = x²/4 + 1/2:

    >>> import jax.numpy as jnp
    >>> from gan_jax import losses
    >>> x, half = jnp.array([1.0]), jnp.array([0.5])
    >>> kl = losses.gaussian_kl(x / 2, jnp.log(half))
    >>> log_likelihood = losses.gaussian_log_likelihood(x, x / 2, 1.0) - 1 / 4
    >>> exact = losses.gaussian_log_likelihood(x, jnp.zeros(1), 2.0)
    >>> print(f"{losses.elbo(log_likelihood, kl):.4f} {exact:.4f}")
    -1.5155 -1.5155

    Kingma & Welling 2014, equation (3).

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(log_likelihood=log_likelihood, kl=kl)
    return at_least_float32(log_likelihood) - at_least_float32(kl)


def iwae(log_weights: Float[Array, "*shape"], axis: int = 0) -> Float[Array, "*batch"]:
    """log 1/k Σ_i w_i, for log w_i = log p(x, z_i) - log q(z_i|x) along an axis of k samples.

    In the mean a lower bound of log p(x) that rises with k; for k = 1 the ELBO.

    Burda, Grosse & Salakhutdinov 2016, equation (8).

    Raises:
        ValueError: there is no sample.
    """
    num_samples = _num_samples(log_weights, axis)
    return jax.nn.logsumexp(at_least_float32(log_weights), axis=axis) - math.log(num_samples)


def effective_samples(log_weights: Float[Array, "*shape"], axis: int = 0) -> Float[Array, "*batch"]:
    """(Σ w)²/Σ w² = 1/Σ w̃², for w̃ = w/Σ w: between 1 and the number of samples.

    Kong 1992.

    Raises:
        ValueError: there is no sample.
    """
    _num_samples(log_weights, axis)
    normalised = jax.nn.softmax(at_least_float32(log_weights), axis=axis)
    return 1 / jnp.sum(jnp.square(normalised), axis=axis)


def _num_samples(log_weights: Array, axis: int) -> int:
    shape = jnp.shape(log_weights)
    if not -len(shape) <= axis < len(shape) or shape[axis] < 1:
        raise Refusal(
            f"The log-weights have the shape {shape}, with no sample along axis {axis}; give them "
            "an axis of at least one sample."
        )
    return shape[axis]


def _log1mexpexp(t: Array) -> Array:
    """log(1 - e^(-e^t)), which is t - e^t/2 + O(e^2t) where e^t is tiny or underflows."""
    tiny = t < -10
    return jnp.where(
        tiny, t - jnp.exp(t) / 2, jnp.log(-jnp.expm1(-jnp.exp(jnp.where(tiny, 0.0, t))))
    )
