"""Bins that samples fill otherwise than data does (NDB, Richardson & Weiss 2018)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike
from scipy import special

from gan_jax.checks import Bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points, check_same_shape, check_values
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.blocks import placed
from gan_jax.metrics.distances import nearest_of
from gan_jax.metrics.divergences import jensen_shannon_divergence

SIGNIFICANCE = 0.05
COUNTS = Bound(lambda x: (x >= 0) & (x < np.inf) & (np.floor(x) == x), "a whole number, at least 0")


class DifferentBins(NamedTuple):
    """number: how many bins differ. p_values: one a bin. jensen_shannon: in nats."""

    number: int
    p_values: Float[np.ndarray, " bins"]
    jensen_shannon: float


def different_bins(counts_real: ArrayLike, counts_generated: ArrayLike) -> DifferentBins:
    """Count the bins whose share of the samples differs from their share of the data.

    A bin differs where p < 0.05, two-sided, for z = (p̂ - q̂) / √(r̂ (1 - r̂) (1/n + 1/m)), with its
    shares p̂ of n real points, q̂ of m generated ones and r̂ of all. Of one distribution about 0.05
    of the bins differ. A bin that is empty in both sets, or holds all of both, has p = 1.

    The Jensen-Shannon divergence is of the shares, from 0 to log 2. On the host, in float64.

    >>> from gan_jax import metrics
    >>> number, p_values, jensen_shannon = metrics.different_bins([50, 50, 0], [50, 10, 40])
    >>> print(number, p_values.round(3), round(jensen_shannon, 4))
    2 [1. 0. 0.] 0.2114

    Richardson & Weiss 2018: 100 bins.

    Raises:
        ValueError: the counts are not along one axis, of the same bins in both sets, whole and
            not negative, or a set has no point.
    """
    check_same_shape(counts_real=counts_real, counts_generated=counts_generated)
    check_values(COUNTS, counts_real=counts_real, counts_generated=counts_generated)
    real, generated = (np.asarray(c, np.float64) for c in (counts_real, counts_generated))
    if real.ndim != 1 or not real.sum() or not generated.sum():
        raise Refusal(
            f"The counts have the shape {real.shape} and sum to {real.sum():g} and "
            f"{generated.sum():g}; give one number for each bin, of at least one point in each set."
        )
    n, m = real.sum(), generated.sum()
    pooled = (real + generated) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    gap = np.abs(real / n - generated / m)
    z = np.divide(gap, error, out=np.zeros_like(gap), where=error > 0)
    p_values = special.erfc(z / np.sqrt(2))
    jensen_shannon = float(jensen_shannon_divergence(real / n, generated / m))
    return DifferentBins(int(np.sum(p_values < SIGNIFICANCE)), p_values, jensen_shannon)


def bin_counts(
    points: Float[Array | np.ndarray, "num dim"], centres: Float[Array | np.ndarray, "bins dim"]
) -> Int[Array, " bins"]:
    """Count the points whose nearest centre is each of the centres, as k-means assigns them.

    Richardson & Weiss take the centres of k-means on the data, for instance
    `sklearn.cluster.KMeans(100).fit(data).cluster_centers_`.

    Raises:
        ValueError: points and centres are no rows of equally many features, or hold a number that
            is not finite (traced, such a point is in no bin).
    """
    check_points(points=points, centres=centres)
    points, centres = (at_least_float32(placed(x)) for x in (points, centres))
    nearest = nearest_of(centres, points)
    known = jnp.all(jnp.isfinite(points), axis=1) & jnp.all(jnp.isfinite(centres))
    return jnp.zeros(len(centres), int).at[nearest].add(known)
