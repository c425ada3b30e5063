"""Exact divergences between known distributions, in float64: what estimates are compared with.

NumPy and SciPy, on the host; not to be differentiated. `gan_jax.losses.divergence_between` is the
differentiable counterpart of the discrete ones.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import optimize, sparse, special, stats

from gan_jax.errors import Refusal


def kl_divergence(p: ArrayLike, q: ArrayLike) -> Any:
    """Σ p log(p/q) over the last axis, in nats; +inf where q = 0 < p."""
    return np.sum(special.rel_entr(*_float64(p, q)), axis=-1)


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike) -> Any:
    """½ KL(p‖m) + ½ KL(q‖m) with m = (p + q)/2, over the last axis: from 0 to log 2 nats."""
    p, q = _float64(p, q)
    mixed = (p + q) / 2
    return (kl_divergence(p, mixed) + kl_divergence(q, mixed)) / 2


def total_variation_distance(p: ArrayLike, q: ArrayLike) -> Any:
    """½ Σ |p - q| over the last axis: from 0 to 1."""
    p, q = _float64(p, q)
    return np.sum(np.abs(p - q), axis=-1) / 2


def chi2_divergence(p: ArrayLike, q: ArrayLike) -> Any:
    """Pearson's Σ (p - q)²/q over the last axis; +inf where q = 0 < p. Neyman's swaps p and q."""
    p, q = _float64(p, q)
    square = np.square(p - q)
    inside = q > 0
    outside = np.where(square > 0, np.inf, 0.0)
    return np.sum(np.where(inside, square / np.where(inside, q, 1), outside), axis=-1)


def jensen_shannon_on_grid(p: ArrayLike, q: ArrayLike) -> Any:
    """The Jensen-Shannon divergence of two densities, from their values on one even grid.

    The grid may have any number of axes; the values are normalised to sum to 1.
    """
    p, q = _float64(p, q)
    return jensen_shannon_divergence((p / p.sum()).ravel(), (q / q.sum()).ravel())


def wasserstein_1d(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
) -> float:
    """W₁ = ∫ |F - G| between two weighted sets on the line."""
    return float(stats.wasserstein_distance(x, y, x_weights, y_weights))


def wasserstein(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
) -> float:
    """W₁ = min_γ Σ γ_ij ‖x_i - y_j‖ between two weighted sets, γ having their weights as marginals.

    Equal numbers of unweighted points are an assignment (a thousand in a second); else it is a
    linear programme in n·m unknowns.

    Raises:
        ValueError: weights that are negative, sum to nothing, or are too few or too many.
    """
    x, y = _float64(x, y)
    costs = np.linalg.norm(x[:, None] - y[None], axis=-1)
    n, m = costs.shape
    if n == m and x_weights is None and y_weights is None:
        return float(costs[optimize.linear_sum_assignment(costs)].mean())
    marginals = np.concatenate([_normalised(x_weights, n), _normalised(y_weights, m)])
    sums = sparse.vstack(
        [
            sparse.kron(sparse.eye(n), np.ones((1, m))),
            sparse.kron(np.ones((1, n)), sparse.eye(m)),
        ]
    )
    plan = optimize.linprog(costs.ravel(), A_eq=sums, b_eq=marginals, method="highs")
    return float(plan.fun)


def normal_on_grid(
    grid: Float[np.ndarray, " points"], mean: float | np.floating, deviation: float | np.floating
) -> Float[np.ndarray, " points"]:
    """A Gaussian's mass at each point of an even grid; never 0, so that divergences are finite."""
    mean, deviation = float(mean), float(deviation)
    density = np.exp(-np.square((grid - mean) / deviation) / 2) + 1e-300
    return density / density.sum()


def closest_normal(
    divergence: Callable[[Float[np.ndarray, " points"], Float[np.ndarray, " points"]], float],
    mass: Float[np.ndarray, " points"],
    grid: Float[np.ndarray, " points"],
) -> tuple[float, float, float]:
    """The least divergence(mass, Gaussian) of any Gaussian, with its mean and its deviation.

    Searched by Nelder & Mead from the mean and the deviation of `mass`, which is on an even grid.
    """
    mean = float(mass @ grid)
    deviation = float(np.sqrt(mass @ np.square(grid - mean)))
    least = optimize.minimize(
        lambda at: divergence(mass, normal_on_grid(grid, at[0], np.exp(at[1]))),
        (mean, np.log(deviation)),
        method="Nelder-Mead",
    )
    return float(least.fun), float(least.x[0]), float(np.exp(least.x[1]))


def _float64(*arrays: ArrayLike) -> list[Float[np.ndarray, "..."]]:
    return [np.asarray(array, np.float64) for array in arrays]


def _normalised(masses: Any, num: int) -> np.ndarray:
    if masses is None:
        return np.full(num, 1 / num)
    masses = np.asarray(masses, np.float64)
    if masses.shape != (num,) or np.any(masses < 0) or not masses.sum() > 0:
        raise Refusal(f"Give {num} weights, one a point: none negative, and not all 0.")
    return masses / masses.sum()
