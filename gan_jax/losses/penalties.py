"""Penalties on gradients of a network: one number per example; the caller weighs and averages.

`critic` maps a batch to one logit per example (a map of logits is summed), each from its own
example alone: with batch normalisation the gradients of an example would mix those of all.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import NOT_NEGATIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_same_shape
from gan_jax.losses.precision import at_least_float32, root
from gan_jax.typing import KeyArray

Critic: TypeAlias = Callable[[Float[Array, "num *shape"]], Float[Array, "num *logits"]]


def gradient_penalty(
    critic: Critic,
    real: Float[Array, "num *shape"],
    fake: Float[Array, "num *shape"],
    key: KeyArray,
    *,
    target: float = 1.0,
    one_sided: bool = False,
) -> Float[Array, " num"]:
    """(‖∇f(x̂)‖₂ - k)² at x̂ = ε x + (1 - ε) x̃ with ε ~ U[0, 1] drawn for each example.

    k = `target`. `one_sided` punishes norms above it only: max(0, ‖∇f(x̂)‖₂ - k)².

    >>> import jax, jax.numpy as jnp
    >>> from gan_jax import losses
    >>> def critic(x):
    ...     return 3 * x[:, 0] - 4 * x[:, 1]  # its gradient has norm 5 everywhere
    >>> real, fake = jnp.ones((3, 2)), jnp.zeros((3, 2))
    >>> losses.gradient_penalty(critic, real, fake, jax.random.key(0)).tolist()
    [16.0, 16.0, 16.0]

    Gulrajani et al. 2017, equation (3) and Algorithm 1; one-sided: Petzka, Fischer & Lukovnikov
    2018.

    Raises:
        ValueError: the shapes of real and fake differ, the critic does not give each example a
            logit of its own, or `target` is negative or not finite.
    """
    check_same_shape(real=real, fake=fake)
    check_bound(NOT_NEGATIVE, target=target)
    weight = jax.random.uniform(key, (real.shape[0],) + (1,) * (real.ndim - 1), real.dtype)
    return _distance(critic, weight * real + (1 - weight) * fake, target, one_sided)


def dragan(
    critic: Critic,
    real: Float[Array, "num *shape"],
    key: KeyArray,
    *,
    deviation: float = 1.0,
    target: float = 1.0,
) -> Float[Array, " num"]:
    """(‖∇f(x + δ)‖₂ - k)² around real examples, with δ ~ N(0, s² I) and s = `deviation`.

    This is the paper's penalty. Common code has another δ: uniform noise, and scaled by the batch.

    Kodali et al. 2017 (DRAGAN).

    Raises:
        ValueError: the critic does not give each example a logit of its own, or `deviation` or
            `target` is negative or not finite.
    """
    check_bound(NOT_NEGATIVE, deviation=deviation, target=target)
    noise = deviation * jax.random.normal(key, real.shape, real.dtype)
    return _distance(critic, real + noise, target, one_sided=False)


def r1(critic: Critic, real: Float[Array, "num *shape"]) -> Float[Array, " num"]:
    """‖∇f(x)‖₂² at real examples. The paper's R1 is γ/2 times its mean; the γ/2 is the caller's.

    Mescheder, Geiger & Nowozin 2018, equation (9).

    Raises:
        ValueError: the critic does not give each example a logit of its own.
    """
    return _squared_norm(critic, real)


def r2(critic: Critic, fake: Float[Array, "num *shape"]) -> Float[Array, " num"]:
    """‖∇f(x̃)‖₂² at fake examples. The paper's R2 is γ/2 times its mean; the γ/2 is the caller's.

    Mescheder, Geiger & Nowozin 2018, equation (10).

    Raises:
        ValueError: the critic does not give each example a logit of its own.
    """
    return _squared_norm(critic, fake)


def path_lengths(
    synthesise: Callable[[Float[Array, "num layers dim"]], Float[Array, "num *shape"]],
    styles: Float[Array, "num layers dim"],
    key: KeyArray,
) -> Float[Array, " num"]:
    """How far an image goes as its styles w do: ‖J_wᵀ y‖₂ with y ~ N(0, I)/√(height · width).

    J_w is the Jacobian of an example in its styles; squares are summed over the numbers of a style,
    and averaged over layers, as in the authors' code. The penalty is (‖J_wᵀ y‖₂ - a)², a being the
    running mean of the lengths. It is least where J_w is orthogonal up to a scale.

    >>> import jax, jax.numpy as jnp
    >>> from gan_jax import losses
    >>> triple = lambda w: 3 * w[:, :1, None]  # images of 1x1, of as many channels as a style
    >>> styles = jnp.zeros((100_000, 1, 2))
    >>> lengths = losses.path_lengths(triple, styles, jax.random.key(0))
    >>> print(f"{jnp.mean(lengths**2):.0f}")  # 9 E‖y‖² of 2 numbers
    18

    Karras et al. 2020 (StyleGAN2), equation (4).

    Raises:
        ValueError: what is made is no image for each of the styles.
    """
    made, pull = jax.vjp(synthesise, styles)
    if made.ndim != 4 or len(made) != len(styles):
        raise Refusal(
            f"Of styles of shape {styles.shape} the shape {made.shape} is made; it must be an "
            "image for each, (num, height, width, channels)."
        )
    y = jax.random.normal(key, made.shape, made.dtype) / math.sqrt(math.prod(made.shape[1:3]))
    (slopes,) = pull(y)
    return root(jnp.mean(jnp.sum(jnp.square(at_least_float32(slopes)), axis=-1), axis=-1))


def _squared_norm(critic: Critic, x: Array) -> Array:
    def total(x):
        logits = critic(x)
        if logits.shape[:1] != x.shape[:1]:
            raise Refusal(
                f"The critic answers examples of shape {x.shape} with the shape {logits.shape}; it "
                "must give each example a logit of its own: take no mean in it."
            )
        return jnp.sum(logits)

    gradient = jax.grad(total)(x)
    return jnp.sum(jnp.square(at_least_float32(gradient)), axis=range(1, x.ndim))


def _distance(critic: Critic, x: Array, target: float, one_sided: bool) -> Array:
    excess = root(_squared_norm(critic, x)) - target
    return jnp.square(jnp.maximum(excess, 0) if one_sided else excess)
