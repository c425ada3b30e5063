"""Gaussians and their mixtures on a grid of the line, and f-divergences between what is there."""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Float

from gan_jax import losses
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_same_shape
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


@partial(jax.jit, static_argnums=0)
def _f_divergence(divergence, p, q):
    return losses.divergence_between(divergence, p, q)
