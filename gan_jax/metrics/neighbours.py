"""Measures by nearest neighbours: precision and recall, density and coverage of features."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.blocks import over_blocks, placed
from gan_jax.metrics.distances import Points, about, reach, squared_distances
from gan_jax.typing import Scalar


class PrecisionRecall(NamedTuple):
    """precision: the share of generated points in the real manifold; recall: the reverse."""

    precision: Scalar
    recall: Scalar


class DensityCoverage(NamedTuple):
    """density: how close real points lie around generated ones, 1 if as around each other.

    coverage: the share of real points with a generated one nearer than their k-th neighbour.
    """

    density: Scalar
    coverage: Scalar


class PRDC(NamedTuple):
    """The fields of `PrecisionRecall` and of `DensityCoverage`."""

    precision: Scalar
    recall: Scalar
    density: Scalar
    coverage: Scalar


def precision_recall(
    real: Float[Array | np.ndarray, "num_real dim"],
    generated: Float[Array | np.ndarray, "num_generated dim"],
    *,
    k: int = 3,
    chunk_size: int = 1024,
) -> PrecisionRecall:
    """Estimate how real the generated points look and how much of the data they cover.

    A set's manifold is the union of closed balls around its points, each reaching to the point's
    k-th nearest neighbour in the set. Numbers compare only on the same features and set sizes; the
    paper has 50,000 points of 4,096 VGG-16 features.

    Args:
        chunk_size: points whose distances to all of a set are held at a time.

    >>> import jax
    >>> from gan_jax import metrics
    >>> real = jax.numpy.arange(8.0).reshape(8, 1)
    >>> precision, recall = metrics.precision_recall(real, real[:4], k=1)
    >>> print(precision, recall)  # the balls around 0, 1, 2 and 3 reach up to 4
    1.0 0.625

    Kynkäänniemi et al. 2019, equations (1) and (2).

    Raises:
        ValueError: the sets are no rows of equally many features, hold a number that is not finite
            (traced, the shares are nan), or no more than k points; k or `chunk_size` is below 1.
    """
    _check(real, generated, chunk_size, k=k)
    _check_more_than(k, real=real, generated=generated)
    return _precision_recall(placed(real), placed(generated), k, chunk_size)


def density_coverage(
    real: Float[Array | np.ndarray, "num_real dim"],
    generated: Float[Array | np.ndarray, "num_generated dim"],
    *,
    k: int = 5,
    chunk_size: int = 1024,
) -> DensityCoverage:
    """1/(kM) Σ_j Σ_i 1[y_j ∈ B_i] and 1/N Σ_i 1[some y_j ∈ B_i]: x real, y generated.

    B_i is the open ball around x_i that reaches to its k-th nearest neighbour among the N real
    points. Between sets of one law density has the mean 1, and no bound above; coverage is in
    [0, 1] and has the mean 1 - Π_{i=1..k} (N - i)/(M + N - i): numbers compare only at the same
    set sizes.

    Args:
        chunk_size: points whose distances to all of a set are held at a time.

    Naeem et al. 2020, section 3.

    Raises:
        ValueError: as `precision_recall`; of the generated points one is enough.
    """
    _check(real, generated, chunk_size, k=k)
    _check_more_than(k, real=real)
    return _density_coverage(placed(real), placed(generated), k, chunk_size)


def prdc(
    real: Float[Array | np.ndarray, "num_real dim"],
    generated: Float[Array | np.ndarray, "num_generated dim"],
    *,
    k: int = 3,
    k_density: int = 5,
    chunk_size: int = 1024,
) -> PRDC:
    """`precision_recall` with k and `density_coverage` with `k_density`, from the same distances.

    Raises:
        ValueError: as these two.
    """
    _check(real, generated, chunk_size, k=k, k_density=k_density)
    _check_more_than(k, real=real, generated=generated)
    _check_more_than(k_density, real=real)
    return _prdc(placed(real), placed(generated), k, k_density, chunk_size)


def _check(
    real: Float[Any, "n dim"], generated: Float[Any, "m dim"], chunk_size: int, **k: int
) -> None:
    check_bound(AT_LEAST_1, chunk_size=chunk_size, **k)
    check_points(real=real, generated=generated)


def _check_more_than(k: int, **samples: Float[Any, "_ dim"]) -> None:
    for name, points in samples.items():
        if len(points) <= k:
            raise Refusal(
                f"{name} has {len(points)} points; with k={k} it needs more than {k}: a point is "
                "not its own neighbour."
            )


def _measures(
    real: Float[Array, "n dim"], generated: Float[Array, "m dim"], k: int, k_density: int, size: int
) -> PRDC:
    """All four: what a caller leaves is not computed under `jit`."""
    n, m = len(real), len(generated)
    finite = jnp.all(jnp.isfinite(real)) & jnp.all(jnp.isfinite(generated))
    real, generated = at_least_float32(real), at_least_float32(generated)
    centre = jnp.mean(real, axis=0)
    x, y = about(centre, real, size), about(centre, generated, size)
    closed, opened = reach(x, (k, k_density), size)
    (own_reach,) = reach(y, (k,), size)
    realistic, counts, recalled, nearest = over_blocks(
        partial(_compare, x=x, closed=closed, opened=opened), (y, own_reach), chunk_size=size
    )
    shares = PRDC(
        precision=jnp.sum(realistic) / m,
        recall=jnp.sum(jnp.any(recalled, axis=0)) / n,
        density=jnp.sum(counts.astype(jnp.float32)) / (k_density * m),
        coverage=jnp.sum(jnp.min(nearest, axis=0) < opened) / n,
    )
    return jax.tree.map(lambda share: jnp.where(finite, share, jnp.nan), shares)


def _compare(
    block: tuple[Points, Float[Array, " size"]],
    x: Points,
    closed: Float[Array, " n"],
    opened: Float[Array, " n"],
) -> tuple[Bool[Array, " size"], Int[Array, " size"], Bool[Array, " n"], Float[Array, " n"]]:
    """Of each generated point, the real balls that hold it; of each real point, the reverse."""
    y, own_reach = block
    distances = squared_distances(y, x)
    return (
        jnp.any(distances <= closed[None, :], axis=1),
        jnp.sum(distances < opened[None, :], axis=1),
        jnp.any(distances <= own_reach[:, None], axis=0),
        jnp.min(distances, axis=0),
    )


_prdc = jax.jit(_measures, static_argnums=(2, 3, 4))


@partial(jax.jit, static_argnums=(2, 3))
def _precision_recall(
    real: Float[Array, "n dim"], generated: Float[Array, "m dim"], k: int, chunk_size: int
) -> PrecisionRecall:
    return PrecisionRecall(*_measures(real, generated, k, k, chunk_size)[:2])


@partial(jax.jit, static_argnums=(2, 3))
def _density_coverage(
    real: Float[Array, "n dim"], generated: Float[Array, "m dim"], k: int, chunk_size: int
) -> DensityCoverage:
    return DensityCoverage(*_measures(real, generated, k, k, chunk_size)[2:])
