"""Whether samples are copies of training examples: distances to the nearest, and what they say."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike
from scipy import stats

from gan_jax.checks import AT_LEAST_1, FINITE, NOT_NEGATIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points, check_values, nan_outside
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.blocks import filled, in_rows, over_blocks, placed
from gan_jax.metrics.distances import nearest_of


class DataCopying(NamedTuple):
    """nearer: the share of pairs whose sample is nearer than the held-out example; z: a score."""

    nearer: float
    z: float


def data_copying(generated: ArrayLike, held_out: ArrayLike) -> DataCopying:
    """Compare the distances of samples to the training set with those of held-out examples.

    `nearer` is P(d(sample) < d(held out)) + ½ P(equal), over all pairs: 0.5 without copying, 1
    where every sample is nearer than every held-out example, below 0.5 where samples lie off the
    data. z = (U - ½mn) / √(mn (m + n + 1)/12), U being the number of pairs whose sample is farther,
    is nearly N(0, 1) without copying and far below 0 with it; ties, which exact copies are, make
    its denominator smaller as in Mann & Whitney's test. 0 where all distances are equal.

    Samples far from all data hide copies among the others: compare class by class where one is
    drawn worse, which is why the paper has cells. On the host, in float64.

    Args:
        generated: of samples, `nearest_distances(samples, training)`.
        held_out: of data that the model has not seen, `nearest_distances(data, training)`.

    >>> from gan_jax import metrics
    >>> nearer, z = metrics.data_copying(generated=[0.0, 0.1, 3.0], held_out=[1.0, 2.0])
    >>> print(f"{nearer:.3f} {z:.3f}")  # 4 of 6 pairs
    0.667 -0.577

    Meehan, Chaudhuri & Dasgupta 2020 (Z_U), with all of space as the one cell.

    Raises:
        ValueError: the distances are not along one axis, negative or not finite, or there is none.
    """
    check_values(NOT_NEGATIVE, generated=generated, held_out=held_out)
    for name, given in (("generated", generated), ("held_out", held_out)):
        if np.ndim(given) != 1 or not np.size(given):
            raise Refusal(
                f"{name} has the shape {np.shape(given)}; give at least one distance, along one "
                "axis."
            )
    generated, held_out = np.asarray(generated, np.float64), np.asarray(held_out, np.float64)
    m, n = len(generated), len(held_out)
    together = np.concatenate([generated, held_out])
    farther = stats.rankdata(together)[:m].sum() - m * (m + 1) / 2
    tied = np.unique(together, return_counts=True)[1].astype(float)
    variance = m * n / 12 * (m + n + 1 - np.sum(tied**3 - tied) / ((m + n) * (m + n - 1)))
    z = (farther - m * n / 2) / np.sqrt(variance) if len(tied) > 1 else 0.0
    return DataCopying(float(1 - farther / (m * n)), float(z))


def nearest_distances(
    points: Float[Array | np.ndarray, "num dim"],
    examples: Float[Array | np.ndarray, "others dim"],
    *,
    chunk_size: int = 1024,
) -> Float[Array, " num"]:
    """min_j ‖x_i - e_j‖ for each point: to the training example that is nearest.

    It is 0 for a copy, exactly.

    Args:
        chunk_size: points that are compared with all examples at a time.

    Raises:
        ValueError: points and examples are no rows of equally many features, or hold a number that
            is not finite (traced, a point's distance is nan, or all are); `chunk_size` is below 1.
    """
    check_points(points=points, examples=examples)
    check_bound(AT_LEAST_1, chunk_size=chunk_size)
    points, examples = (at_least_float32(placed(x)) for x in (points, examples))

    def of(block: Float[Array, "block dim"]) -> Float[Array, " block"]:
        return jnp.linalg.norm(block - examples[nearest_of(examples, block)], axis=1)

    found = over_blocks(of, filled(points, chunk_size), chunk_size=chunk_size)
    distances = in_rows(found)[: len(points)]
    distances = jnp.where(jnp.all(jnp.isfinite(examples)), distances, jnp.nan)
    return nan_outside(FINITE, distances, points)
