"""Exact divergences between known distributions, in float64: what estimates are compared with.

NumPy and SciPy, on the host; not to be differentiated. `gan_jax.losses.divergence_between` is the
differentiable counterpart of the discrete ones.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import optimize, sparse, special, stats
from scipy.spatial import distance

from gan_jax.checks import FINITE, NOT_NEGATIVE, POSITIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points, check_same_shape, check_values


def kl_divergence(p: ArrayLike, q: ArrayLike) -> Any:
    """Σ p log(p/q) over the last axis, in nats; +inf where q = 0 < p.

    Raises:
        ValueError: a mass is negative or not finite, or the last axes differ. So for all below.
    """
    return np.sum(special.rel_entr(*masses(p, q)), axis=-1)


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike) -> Any:
    """½ KL(p‖m) + ½ KL(q‖m) with m = (p + q)/2, over the last axis: from 0 to log 2 nats."""
    p, q = masses(p, q)
    mixed = (p + q) / 2
    return (kl_divergence(p, mixed) + kl_divergence(q, mixed)) / 2


def total_variation_distance(p: ArrayLike, q: ArrayLike) -> Any:
    """½ Σ |p - q| over the last axis: from 0 to 1."""
    p, q = masses(p, q)
    return np.sum(np.abs(p - q), axis=-1) / 2


def chi2_divergence(p: ArrayLike, q: ArrayLike) -> Any:
    """Pearson's Σ (p - q)²/q over the last axis; +inf where q = 0 < p. Neyman's swaps p and q."""
    p, q = masses(p, q)
    square = np.square(p - q)
    inside = q > 0
    outside = np.where(square > 0, np.inf, 0.0)
    return np.sum(np.where(inside, square / np.where(inside, q, 1), outside), axis=-1)


def jensen_shannon_on_grid(p: ArrayLike, q: ArrayLike) -> Any:
    """The Jensen-Shannon divergence of two densities, from their values on one even grid.

    The grid may have any number of axes; the values are normalised to sum to 1.

    Raises:
        ValueError: a value is negative or not finite, all are 0, or the shapes differ.
    """
    check_same_shape(p=p, q=q)
    p, q = (np.ravel(values) for values in (p, q))
    return jensen_shannon_divergence(*(_normalised(values, len(p)) for values in (p, q)))


def wasserstein_1d(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
) -> float:
    """W₁ = ∫ |F - G| between two weighted sets on the line.

    Raises:
        ValueError: the sets are no numbers along one axis, or as `wasserstein`.
    """
    for name, points in (("x", x), ("y", y)):
        if np.ndim(points) != 1:
            raise Refusal(
                f"{name} has the shape {np.shape(points)}; give it as numbers along one axis, or "
                "use `wasserstein` for points of more dimensions."
            )
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    check_points(x=x[:, None], y=y[:, None])
    weights = (
        None if given is None else _normalised(given, len(points))
        for given, points in ((x_weights, x), (y_weights, y))
    )
    return float(stats.wasserstein_distance(x, y, *weights))


class Transport(NamedTuple):
    """The least cost Σ γ_ij ‖x_i - y_j‖, and its plan γ: how much goes from x_i to y_j."""

    cost: float
    plan: Float[np.ndarray, "x y"]


def wasserstein(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
) -> float:
    """W₁ = min_γ Σ γ_ij ‖x_i - y_j‖ between two weighted sets: the cost of `optimal_transport`."""
    return optimal_transport(x, y, x_weights, y_weights).cost


def optimal_transport(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
) -> Transport:
    """argmin_γ Σ γ_ij ‖x_i - y_j‖ between two weighted sets, γ having their weights as marginals.

    Equal numbers of unweighted points are an assignment (a thousand in a second); else it is a
    linear programme in n·m unknowns. Both hold all n·m costs, in 8 bytes each.

    Raises:
        ValueError: points that are no rows of equally many features, or not finite; weights that
            are negative or not finite, sum to nothing, or are too few or too many.
    """
    check_points(x=x, y=y)
    costs = distance.cdist(np.asarray(x, np.float64), np.asarray(y, np.float64))
    n, m = costs.shape
    if n == m and x_weights is None and y_weights is None:
        pairs = optimize.linear_sum_assignment(costs)
        plan = np.zeros((n, n))
        plan[pairs] = 1 / n
        return Transport(float(costs[pairs].mean()), plan)
    marginals = np.concatenate([_normalised(x_weights, n), _normalised(y_weights, m)])
    sums = sparse.vstack(
        [
            sparse.kron(sparse.eye(n), np.ones((1, m))),
            sparse.kron(np.ones((1, n)), sparse.eye(m)),
        ]
    )
    found = optimize.linprog(costs.ravel(), A_eq=sums, b_eq=marginals, method="highs")
    return Transport(float(found.fun), found.x.reshape(n, m))


def normal_on_grid(
    grid: Float[np.ndarray, " points"], mean: float | np.floating, deviation: float | np.floating
) -> Float[np.ndarray, " points"]:
    """A Gaussian's mass at each point of an even grid; never 0, so that divergences are finite.

    Raises:
        ValueError: `deviation` is not positive and finite, or the mean not finite.
    """
    mean, deviation = float(mean), float(deviation)
    check_bound(FINITE, mean=mean)
    check_bound(POSITIVE, deviation=deviation)
    density = np.exp(-np.square((grid - mean) / deviation) / 2) + 1e-300
    return density / density.sum()


def closest_normal(
    divergence: Callable[[Float[np.ndarray, " points"], Float[np.ndarray, " points"]], float],
    mass: Float[np.ndarray, " points"],
    grid: Float[np.ndarray, " points"],
) -> tuple[float, float, float]:
    """The least divergence(mass, Gaussian) of any Gaussian, with its mean and its deviation.

    Searched by Nelder & Mead from the mean and the deviation of `mass`, which is on an even grid.

    Raises:
        ValueError: a mass is negative or not finite, they sum to nothing, or they are not one for
            each point of the grid.
    """
    mass = _normalised(mass, len(grid))
    mean = float(mass @ grid)
    deviation = float(np.sqrt(mass @ np.square(grid - mean)))
    least = optimize.minimize(
        lambda at: divergence(mass, normal_on_grid(grid, at[0], np.exp(at[1]))),
        (mean, np.log(deviation)),
        method="Nelder-Mead",
    )
    return float(least.fun), float(least.x[0]), float(np.exp(least.x[1]))


def masses(p: ArrayLike, q: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both in float64; raise ValueError unless they are masses of the same outcomes."""
    check_values(NOT_NEGATIVE, p=p, q=q)
    if np.shape(p)[-1:] != np.shape(q)[-1:] or not np.ndim(p):
        raise Refusal(
            f"p has the shape {np.shape(p)}, q has {np.shape(q)}; give both the same outcomes, "
            "along their last axis."
        )
    return np.asarray(p, np.float64), np.asarray(q, np.float64)


def _normalised(weights: Any, num: int) -> np.ndarray:
    if weights is None:
        return np.full(num, 1 / num)
    weights = np.asarray(weights, np.float64)
    if weights.shape != (num,) or not np.all(NOT_NEGATIVE.holds(weights)) or not weights.sum() > 0:
        raise Refusal(
            f"Give {num} weights, one a point: finite, none of them negative, and not all 0."
        )
    return weights / weights.sum()
