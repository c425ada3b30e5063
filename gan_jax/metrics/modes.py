"""Which modes of a mixture a sample covers, and how well."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import FINITE, POSITIVE
from gan_jax.losses.inputs import check_features, check_values
from gan_jax.typing import Scalar


class ModeCoverage(NamedTuple):
    """modes: how many are captured. high_quality: the share of points near a mode, in [0, 1].

    reverse_kl: KL(histogram of high-quality points over modes ‖ uniform) in nats; log(K / m) where
    m of K modes share them equally, infinite where there is none.
    """

    modes: Int[Array, ""]
    high_quality: Scalar
    reverse_kl: Scalar


def mode_coverage(
    points: Float[Array, "num dim"], means: Float[Array, "modes dim"], std: float | Scalar
) -> ModeCoverage:
    """Count the modes that a sample captures.

    A point is of high quality if it lies within 3 std of the nearest mean; a mode is captured if at
    least one high-quality point is nearest to it. Published tables use 2,500 points. A perfect
    sampler of a mixture in the plane has a share of 1 - exp(-4.5) = 0.98889; more means
    over-concentration. A point that is not finite is of low quality.

    >>> import jax
    >>> from gan_jax import data, metrics
    >>> ring = data.ring(8)
    >>> measure = jax.jit(metrics.mode_coverage, static_argnames="std")
    >>> coverage = measure(ring.means[:2], ring.means, std=ring.std)
    >>> print(coverage.modes, coverage.high_quality, f"{coverage.reverse_kl:.4f}")  # log(8/2)
    2 1.0 1.3863

    Srivastava et al. (VEEGAN) 2017; Lin et al. (PacGAN) 2018.

    Raises:
        ValueError: points and means are no rows of equally many features; `std` is not positive,
            or `std` or a mean is not finite (traced, the shares are nan).
    """
    check_features(points=points, means=means)
    check_values(FINITE, means=means)
    check_values(POSITIVE, std=std)
    distances = jnp.linalg.norm(points[:, None, :] - means[None, :, :], axis=-1)
    near = jnp.min(distances, axis=1) < 3 * std
    nearest = jnp.argmin(distances, axis=1)
    counts = jnp.zeros(means.shape[0]).at[nearest].add(near)
    shares = counts / jnp.sum(counts)
    terms = jnp.where(counts > 0, shares * jnp.log(shares * means.shape[0]), 0.0)
    reverse_kl = jnp.where(jnp.any(near), jnp.sum(terms), jnp.inf)
    known = jnp.all(jnp.isfinite(means)) & POSITIVE.holds(std)
    return ModeCoverage(
        modes=jnp.sum(counts > 0),
        high_quality=jnp.where(known, jnp.mean(near), jnp.nan),
        reverse_kl=jnp.where(known, reverse_kl, jnp.nan),
    )
