"""The evidence lower bound where latents are discrete, and nothing can be reparameterised."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from gan_jax.losses.inputs import check_same_shape
from gan_jax.losses.precision import at_least_float32


def summed_elbo(
    logits: Float[Array, "*batch values"], log_joint: Float[Array, "*batch values"]
) -> Float[Array, "*batch"]:
    """Σ_h q(h|x) (log p(x, h) - log q(h|x)) ≤ log p(x), summed over all values of h.

    `logits` are q's, before they are normalised. A value of probability 0 adds 0, whatever its
    log p(x, h). For q(h|x) = p(h|x) it is log p(x), here log 0.5:

    >>> import jax.numpy as jnp
    >>> from gan_jax import losses
    >>> log_joint = jnp.log(jnp.array([0.1, 0.4]))
    >>> print(f"{losses.summed_elbo(log_joint, log_joint):.4f}")
    -0.6931

    Kingma & Welling 2014, equation (2).

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(logits=logits, log_joint=log_joint)
    log_q = jax.nn.log_softmax(at_least_float32(logits), axis=-1)
    q = jnp.exp(log_q)
    difference = jnp.where(q > 0, at_least_float32(log_joint) - log_q, 0)
    return jnp.sum(q * difference, axis=-1)


def score_function_elbo(
    log_joint: Float[Array, "*shape"],
    log_q: Float[Array, "*shape"],
    baseline: ArrayLike = 0.0,
) -> Float[Array, "*shape"]:
    """f = log p(x, h) - log q(h|x) at a draw h ~ q(h|x), with the score function's gradient.

    That is ∇ log p(x, h) + (f - b) ∇ log q(h|x), whose mean is the gradient of E_q f for any b that
    does not depend on h; nearer to E_q f it varies less. Only the values of f count, so that h may
    be discrete. The draw is no function of q's parameters.

    Williams 1992 (REINFORCE); Mnih & Gregor 2014, equation (7).

    Raises:
        ValueError: the shapes of log p and log q differ.
    """
    check_same_shape(log_joint=log_joint, log_q=log_q)
    log_joint, log_q = at_least_float32(log_joint), at_least_float32(log_q)
    value = jax.lax.stop_gradient(log_joint - log_q)
    score = log_q - jax.lax.stop_gradient(log_q)
    return log_joint - jax.lax.stop_gradient(log_q) + (value - baseline) * score
