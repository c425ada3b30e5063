"""Maps of one variable: their slopes, and the density of what they make of another."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from gan_jax.checks import FINITE
from gan_jax.losses.inputs import check_same_shape, check_values


def values_and_slopes(
    function: Callable[[Float[Array, "1 1"]], Float[Array, "1 *rest"]],
    x: Float[Array | np.ndarray, " points"],
) -> tuple[Float[Array, " points"], Float[Array, " points"]]:
    """f(x) and f'(x) at each x, of a network whose examples are one number each, and its outputs.

    >>> import jax.numpy as jnp
    >>> from gan_jax import metrics
    >>> values, slopes = metrics.values_and_slopes(lambda x: x**2, jnp.array([1.0, 3.0]))
    >>> print(values, slopes)
    [1. 9.] [2. 6.]
    """

    def at(x: Float[Array, ""]) -> Float[Array, ""]:
        return function(x[None, None]).reshape(())

    return jax.vmap(jax.value_and_grad(at))(jnp.asarray(x))


def pushforward_density(
    at: Float[np.ndarray, " points"],
    *,
    made: ArrayLike,
    slopes: ArrayLike,
    density: ArrayLike,
) -> Float[np.ndarray, " points"]:
    """p(x) = Σ p(z)/|G'(z)| over all z with G(z) = x, for x = `at`; G need not be monotone.

    `made`, `slopes` and `density` are G(z), G'(z) and p(z) along a grid of z that is fine enough
    for G to be a line between neighbours. Where G turns, p(x) has a pole: numbers there are large.

    Raises:
        ValueError: the three are not given at the same z, or are not finite.
    """
    along = {"made": made, "slopes": slopes, "density": density}
    check_same_shape(**along)
    check_values(FINITE, **along)
    made, slopes, density = (np.asarray(values, np.float64) for values in along.values())
    left, right = made[:-1, None], made[1:, None]
    segments, points = np.nonzero((left <= at) != (right <= at))
    shares = ((at - left) / np.where(left == right, 1, right - left))[segments, points]

    def between(values):
        return (1 - shares) * values[segments] + shares * values[segments + 1]

    with np.errstate(divide="ignore"):
        branches = between(density) / np.abs(between(slopes))
    # of no points at all NumPy's sums are integers
    return np.bincount(points, branches, minlength=len(at)).astype(np.float64)
