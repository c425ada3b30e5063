"""Gaussians: on a grid of the line, f-divergences between what is there, and their overlap."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax import losses
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_same_shape
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.divergences import masses, normal_on_grid


def normals_on_grid(
    grid: Float[np.ndarray, " points"],
    means: Sequence[float] | Float[np.ndarray, " num"],
    deviations: Sequence[float] | Float[np.ndarray, " num"],
) -> Float[np.ndarray, "num points"]:
    """Each Gaussian's mass at each point of an even grid, as `normal_on_grid` has it.

    A mixture is `weights @ normals_on_grid(grid, means, deviations)`.

    Raises:
        ValueError: there are not as many means as deviations, or as `normal_on_grid`.
    """
    check_same_shape(means=means, deviations=deviations)
    pairs = zip(means, deviations, strict=True)
    return np.stack([normal_on_grid(grid, mean, deviation) for mean, deviation in pairs])


def f_divergence(
    divergence: losses.FDivergence,
    p: Float[np.ndarray, "*#batch outcomes"],
    q: Float[np.ndarray, "*#batch outcomes"],
) -> np.ndarray:
    """D_f(p ‖ q) over the last axis, by `losses.divergence_between` in float64, on the host.

    Raises:
        ValueError: as `kl_divergence`.
    """
    p, q = masses(p, q)
    with jax.enable_x64(True):
        return np.asarray(_f_divergence(divergence, *np.broadcast_arrays(p, q)))


def f_gan_bound(
    loss: losses.AdversarialLoss,
    outputs: Float[Array, "*#batch outcomes"],
    p: Float[np.ndarray, "*#batch outcomes"],
    q: Float[np.ndarray, "*#batch outcomes"],
) -> np.ndarray:
    """E_p g_f(v) - E_q f*(g_f(v)), a lower bound of D_f(p ‖ q), exactly, for a critic's outputs v.

    `loss` is `losses.f_gan` of the divergence; p and q are masses, as the outputs on the last axis.

    Nowozin, Cseke & Tomioka 2016, equations (4) and (6).

    Raises:
        ValueError: as `kl_divergence`, or there is not one output for each outcome.
    """
    p, q = masses(p, q)
    if np.shape(outputs)[-1:] != p.shape[-1:]:
        raise Refusal(
            f"The outputs have the shape {np.shape(outputs)}, p has {p.shape}; give one output "
            "for each outcome, along the last axis."
        )
    real, fake = (np.asarray(curve(outputs), np.float64) for curve in (loss.real, loss.fake))
    return -np.sum(p * real + q * fake, axis=-1)


def gaussian_overlap(
    mean: Float[Array, "*batch latents"],
    log_variance: Float[Array, "*batch latents"],
    other_mean: Float[Array, "*batch latents"],
    other_log_variance: Float[Array, "*batch latents"],
) -> Float[Array, "*batch"]:
    """∫ √(p q) of N(μ, σ²) and N(m, s²), diagonal: 1 if they are equal, 0 where they share nothing.

    log of it is Σ ½ log(2σs/(σ² + s²)) - ¼ (μ - m)²/(σ² + s²).

    Bhattacharyya 1943.

    Raises:
        ValueError: the shapes differ.
    """
    given = {"mean": mean, "log_variance": log_variance}
    check_same_shape(**given, other_mean=other_mean, other_log_variance=other_log_variance)
    mean, log_variance = at_least_float32(mean), at_least_float32(log_variance)
    sum_of_logs = jnp.logaddexp(log_variance, other_log_variance)
    widths = jnp.log(2.0) + (log_variance + other_log_variance) / 2 - sum_of_logs
    shifts = jnp.square(mean - other_mean) * jnp.exp(-sum_of_logs)
    return jnp.exp(jnp.sum(widths / 2 - shifts / 4, axis=-1))


@partial(jax.jit, static_argnums=0)
def _f_divergence(divergence, p, q):
    return losses.divergence_between(divergence, p, q)
