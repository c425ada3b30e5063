"""The kernel distance of two sets of features: of Inception's, the KID."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_jax import losses
from gan_jax.checks import AT_LEAST_1, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points, check_values
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.blocks import filled, in_rows, over_blocks, placed

KERNEL = losses.polynomial_kernel(3)


def kernel_distance(
    x: Float[Array | np.ndarray, "n features"],
    y: Float[Array | np.ndarray, "m features"],
    *,
    chunk_size: int = 1024,
) -> float:
    """MMD² = E k(x, x') - 2 E k(x, y) + E k(y, y') with k(x, y) = (⟨x, y⟩/d + 1)³, unbiased.

    Over all pairs but those of a point with itself: nothing is drawn, the mean does not depend on
    the sizes of the sets, and it is negative where they are alike by chance. In other units
    features have another distance: divide those of a network of your own by one number, their root
    mean square over the real set; leave Inception's as they are.

    Args:
        chunk_size: rows of the kernel matrix that are held at a time. Their sums are added up in
            float64 on the host; not to be traced.

    >>> import jax
    >>> from gan_jax import metrics
    >>> x = jax.numpy.array([[0.0], [1.0]])  # k(0, 1) = 1, and k(1, 1) = 8
    >>> print(metrics.kernel_distance(x, x))  # 1 - 2 (1 + 1 + 1 + 8)/4 + 1
    -3.5

    Bińkowski et al. 2018, section 4; Gretton et al. 2012, equation (3).

    Raises:
        ValueError: the sets are no rows of equally many features, hold a number that is not finite,
            or fewer than 2 points; `chunk_size` is below 1.
    """
    check_bound(AT_LEAST_1, chunk_size=chunk_size)
    check_points(x=x, y=y)
    if min(len(x), len(y)) < 2:
        raise Refusal(
            f"The sets have {len(x)} and {len(y)} points; each needs at least 2, since no point is "
            "compared with itself."
        )
    return _unbiased(placed(x), placed(y), chunk_size)


def kernel_distance_subsets(
    x: Float[Array | np.ndarray, "n features"],
    y: Float[Array | np.ndarray, "m features"],
    *,
    indices_x: Int[Array | np.ndarray, "num_subsets size_x"],
    indices_y: Int[Array | np.ndarray, "num_subsets size_y"],
    chunk_size: int = 1024,
) -> tuple[float, float]:
    """The mean of `kernel_distance` over subsets x[indices_x[i]], y[indices_y[i]], and their std.

    As published numbers are made: usually 100 subsets of 1,000 points, each drawn without
    replacement. The std is the subsets' (with 1/num_subsets), no error of the mean, since they
    overlap. To judge a model of your own take `kernel_distance` of all points.

    Raises:
        ValueError: as `kernel_distance`; the indices are no rows of at least 2, as many for x as
            for y, or one is out of range.
    """
    check_bound(AT_LEAST_1, chunk_size=chunk_size)
    check_points(x=x, y=y)
    _check_subsets(len(indices_x), len(x), indices_x=indices_x)
    _check_subsets(len(indices_x), len(y), indices_y=indices_y)
    x, y = placed(x), placed(y)
    values = [
        _unbiased(x[of_x], y[of_y], chunk_size)
        for of_x, of_y in zip(indices_x, indices_y, strict=True)
    ]
    return float(np.mean(values)), float(np.std(values))


def _check_subsets(num_subsets: int, num: int, **indices: Int[Any, "subsets size"]) -> None:
    ((name, given),) = indices.items()
    shape = np.shape(given)
    if len(shape) != 2 or not shape[0] == num_subsets > 0 or shape[1] < 2:
        raise Refusal(
            f"{name} has the shape {shape}; give one row of at least 2 indices for each subset, as "
            "many rows for x as for y."
        )
    check_values(Bound(lambda i: (i >= 0) & (i < num), f"from 0 to {num - 1}"), **indices)


def _unbiased(
    x: Float[Array, "n features"], y: Float[Array, "m features"], chunk_size: int
) -> float:
    def mean_within(a):
        others = _total(_row_sums(a, a, chunk_size)) - _total(_with_itself(a))
        return others / (len(a) * (len(a) - 1))

    between = _total(_row_sums(x, y, chunk_size)) / (len(x) * len(y))
    return mean_within(x) - 2 * between + mean_within(y)


@partial(jax.jit, static_argnames="chunk_size")
def _row_sums(
    x: Float[Array, "n features"], y: Float[Array, "m features"], chunk_size: int
) -> Float[Array, " n"]:
    x, y = at_least_float32(x), at_least_float32(y)
    # Summed along the first axis, which XLA's CPU backend does in two thirds of the time.
    sums = over_blocks(
        lambda rows: jnp.sum(KERNEL(y, rows), axis=0), filled(x, chunk_size), chunk_size=chunk_size
    )
    return in_rows(sums)[: len(x)]


@jax.jit
def _with_itself(x: Float[Array, "n features"]) -> Float[Array, " n"]:
    return jax.vmap(lambda one: KERNEL(one[None], one[None])[0, 0])(at_least_float32(x))


def _total(values: Float[Array, " n"]) -> float:
    return float(np.sum(np.asarray(values, np.float64)))
