"""Lengths of what a generator draws along paths between latents (Karras et al. 2019, 2020)."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.checks import FINITE, NOT_NEGATIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_same_shape, check_values, nan_outside
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.blocks import placed
from gan_jax.typing import Scalar

Generate: TypeAlias = Callable[[Float[Array, "num *latent"]], Float[Array, "num *features"]]
"""Latents -> features, whose squared distance is what a step is long: images, or what a network
sees in them. A pure function: noise, if any, is the same for all calls."""


def path_length_slerp(
    generate: Generate,
    z0: Float[Array, "num *latent"],
    z1: Float[Array, "num *latent"],
    t: Float[Array, " num"],
    *,
    epsilon: float | int = 1e-4,
) -> Float[Array, " num"]:
    """‖f(γ(t + ε)) - f(γ(t))‖² / ε² for each pair, γ the arc between the directions of z₀ and z₁.

    γ lies on the unit sphere: the path is of z / ‖z‖, and for a generator that normalises its
    latents. Under the identity it is ω², ω being the angle between z₀ and z₁. Where an end is 0, or
    the two are opposite, there is no one arc: nan. The perceptual path length is the
    `trimmed_mean` over pairs with t ~ U(0, 1).

    Args:
        generate: f.
        t: where each pair's step begins: ~ U(0, 1), or 0 for steps at the ends z₀.
        epsilon: ε; 0 gives the limit ‖d/dt f(γ(t))‖² by a forward derivative, exact and no dearer.
            In float32 a difference at ε = 10⁻⁴ is right to about one part in a thousand.

    >>> import jax.numpy as jnp
    >>> from gan_jax import metrics
    >>> z0, z1 = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 5.0]])
    >>> lengths = metrics.path_length_slerp(lambda z: z, z0, z1, jnp.array([0.3]), epsilon=0)
    >>> print(f"{lengths[0]:.4f}")  # (π/2)²
    2.4674

    Karras, Laine & Aila 2019, equation (2), with a distance that is squared.

    Raises:
        ValueError: the pairs are not of one shape, or hold a number that is not finite (traced,
            nan); there is not one t, or not one row of features, for each; ε is negative.
    """
    return _path_length(generate, _arc, z0, z1, t, epsilon)


def path_length_lerp(
    generate: Generate,
    z0: Float[Array, "num *latent"],
    z1: Float[Array, "num *latent"],
    t: Float[Array, " num"],
    *,
    epsilon: float | int = 1e-4,
) -> Float[Array, " num"]:
    """As `path_length_slerp`, along γ(t) = z₀ + t (z₁ - z₀): for a space without a sphere, as W.

    Under a linear map f it is ‖f(z₁ - z₀)‖².

    Karras, Laine & Aila 2019, equation (3); t = 0 alone in Karras et al. 2020.

    Raises:
        ValueError: as `path_length_slerp`.
    """
    return _path_length(generate, lambda a, b, t: a + t * (b - a), z0, z1, t, epsilon)


def trimmed_mean(values: Float[Array, " num"]) -> Scalar:
    """Mean of the values from the 1st to the 99th percentile, both of them included.

    The percentiles are values: the lower rounded down, the upper up to the next one there is. So
    at most a hundredth is left out at each end, and nothing of up to 100 values. nan if one is nan.

    The rule of Karras, Laine & Aila 2019 (their code).

    Raises:
        ValueError: the values are not along one axis, or there is none.
    """
    if np.ndim(values) != 1 or not len(values):
        raise Refusal(
            f"The values have the shape {np.shape(values)}; give at least one, along one axis."
        )
    values = at_least_float32(values)
    ordered = jnp.sort(values)  # nan comes last
    left_out = (len(values) - 1) // 100
    kept = (values >= ordered[left_out]) & (values <= ordered[-1 - left_out])
    mean = jnp.sum(jnp.where(kept, values, 0)) / jnp.sum(kept)
    return jnp.where(jnp.isnan(ordered[-1]), jnp.nan, mean)


def _path_length(
    generate: Generate,
    path: Callable[[Array, Array, Array], Array],
    z0: Array,
    z1: Array,
    t: Array,
    epsilon: float | int,
) -> Float[Array, " num"]:
    check_same_shape(z0=z0, z1=z1)
    check_values(FINITE, z0=z0, z1=z1, t=t)
    check_bound(NOT_NEGATIVE, epsilon=epsilon)
    if np.shape(t) != np.shape(z0)[:1]:
        raise Refusal(
            f"t has the shape {np.shape(t)} for latents of shape {np.shape(z0)}; give one number "
            "for each pair."
        )
    z0, z1, t = (at_least_float32(placed(x)) for x in (z0, z1, t))

    def features(t: Array) -> Array:
        found = generate(jax.vmap(path)(z0, z1, t))
        if found.shape[:1] != t.shape:
            raise Refusal(
                f"generate gives the shape {found.shape} for {len(t)} latents; it must give one "
                "row of features for each."
            )
        return at_least_float32(found).reshape(len(t), -1)

    if epsilon == 0:
        change = jax.jvp(features, (t,), (jnp.ones_like(t),))[1]
    else:
        later = t + epsilon
        change = (features(later) - features(t)) / (later - t)[:, None]  # ε as rounded in t + ε
    given = jnp.concatenate([z.reshape(len(t), -1) for z in (z0, z1, t)], axis=1)
    return nan_outside(FINITE, jnp.sum(change**2, axis=1), given)


def _arc(start: Float[Array, "*latent"], end: Float[Array, "*latent"], t: Scalar) -> Array:
    """a cos tω + b sin tω, a being the direction of the start and b across it, towards the end."""
    a, b = (z / jnp.linalg.norm(z) for z in (start, end))
    cosine = jnp.sum(a * b)
    across = b - cosine * a
    sine = jnp.linalg.norm(across)
    apart = sine > 1e-6
    towards = across / jnp.where(apart, sine, jnp.inf)
    angle = t * jnp.arctan2(sine, cosine)
    arc = a * jnp.cos(angle) + towards * jnp.sin(angle)
    return arc * jnp.where(apart | (cosine > 0), 1, jnp.nan)  # its derivative is nan too
