"""Improved precision and recall (Kynkäänniemi et al. 2019), on whatever features one has."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points
from gan_jax.typing import Scalar

BLOCK = 512  # points whose distances are held at a time


class PrecisionRecall(NamedTuple):
    """precision: the share of generated points in the real manifold; recall: the reverse."""

    precision: Scalar
    recall: Scalar


def precision_recall(
    real: Float[Array, "num_real dim"], generated: Float[Array, "num_generated dim"], *, k: int = 3
) -> PrecisionRecall:
    """Estimate how real the generated points look and how much of the data they cover.

    A set's manifold is the union of balls around its points, each reaching to the point's k-th
    nearest neighbour in the set. Numbers compare only on the same features and set sizes; the
    paper has 50,000 points of 4,096 VGG-16 features. Distances are held of 512 points at a time,
    to all of a set.

    >>> import jax
    >>> from gan_jax import metrics
    >>> real = jax.numpy.arange(8.0).reshape(8, 1)
    >>> measure = jax.jit(metrics.precision_recall, static_argnames="k")
    >>> precision, recall = measure(real, real[:4], k=1)
    >>> print(precision, recall)  # the balls around 0, 1, 2 and 3 reach up to 4
    1.0 0.625

    Kynkäänniemi et al. 2019, equations (1) and (2).

    Raises:
        ValueError: the sets are no rows of equally many features, hold a number that is not finite
            (traced, both shares are nan), or no more than k points; k is below 1.
    """
    check_bound(AT_LEAST_1, k=k)
    check_points(real=real, generated=generated)
    if min(len(real), len(generated)) <= k:
        raise Refusal(
            f"The sets have {len(real)} and {len(generated)} points; with k={k} each needs more "
            f"than {k}."
        )
    finite = jnp.all(jnp.isfinite(real)) & jnp.all(jnp.isfinite(generated))
    shares = (
        jnp.mean(_in_manifold(points, of, k))
        for points, of in ((generated, real), (real, generated))
    )
    return PrecisionRecall(*(jnp.where(finite, share, jnp.nan) for share in shares))


def _in_manifold(
    points: Float[Array, "num dim"], of: Float[Array, "others dim"], k: int
) -> Bool[Array, " num"]:
    # Index k after sorting is the k-th neighbour: index 0 is the point itself.
    radii = _in_blocks(lambda block: jnp.sort(_squared_distances(block, of), axis=1)[:, k], of)
    return _in_blocks(
        lambda block: jnp.any(_squared_distances(block, of) <= radii[None, :], axis=1), points
    )


def _in_blocks(
    function: Callable[[Float[Array, "block dim"]], Shaped[Array, " block"]],
    points: Float[Array, "num dim"],
) -> Shaped[Array, " num"]:
    """function(points), on blocks of one size, of which the last is filled up with zeros."""
    num, dim = points.shape
    size = min(BLOCK, num)
    blocks = jnp.pad(points, ((0, -num % size), (0, 0))).reshape(-1, size, dim)
    return jax.lax.map(function, blocks).reshape(-1)[:num]


def _squared_distances(
    a: Float[Array, "num_a dim"], b: Float[Array, "num_b dim"]
) -> Float[Array, "num_a num_b"]:
    # |a - b|² = |a|² + |b|² - 2 a·b cancels, so the origin is put amid b, and accelerators are
    # asked not to multiply in fewer bits.
    centre = jnp.mean(b, axis=0, keepdims=True)
    a, b = a - centre, b - centre
    squares = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)[None, :]
    return jnp.maximum(squares - 2 * jnp.matmul(a, b.T, precision="highest"), 0)
