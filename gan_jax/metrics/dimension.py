"""How many dimensions points have: those of the surface on which they lie, and those of a map."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.spatial import distance

from gan_jax.checks import AT_LEAST_1, AT_LEAST_2, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points


def intrinsic_dimension(
    points: Float[Array | np.ndarray, "num dim"], *, k: int = 20, chunk_size: int = 1024
) -> float:
    """1/m = mean over i of 1/(k - 1) Σ_{j<k} log T_k(x_i)/T_j(x_i).

    T_j is the distance of a point to its j-th nearest neighbour. It is the maximum of a likelihood
    which takes the density for even within T_k: too low where the dimension is high and points are
    few, and by noise too high where k is small. It is 0 where two points are equal, and nan where
    more than k are. On the host, in float64: what is smooth in few latents has near neighbours.

    Args:
        chunk_size: points whose distances to all are held at a time.

    Levina & Bickel 2004, equation (8), with points averaged as by MacKay & Ghahramani 2005.

    Raises:
        ValueError: the points are no rows of features, hold a number that is not finite, or are no
            more than k; k is below 2 or `chunk_size` below 1.
    """
    check_points(points=points)
    check_bound(AT_LEAST_2, k=k)
    check_bound(AT_LEAST_1, chunk_size=chunk_size)
    if len(points) <= k:
        raise Refusal(
            f"k is {k}, and there are {len(points)} points; take more of them, or a smaller k."
        )
    points = np.asarray(points, np.float64)
    totals = []
    for start in range(0, len(points), chunk_size):
        distances = distance.cdist(points[start : start + chunk_size], points)
        nearest = np.sort(np.partition(distances, k, axis=1)[:, : k + 1], axis=1)[:, 1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            totals.append(np.sum(np.log(nearest[:, -1:] / nearest[:, :-1]), axis=1))
    return float(1 / np.mean(np.concatenate(totals) / (k - 1)))


def jacobian_spectra(
    function: Callable[[Float[Array, " latents"]], Float[Array, "..."]],
    latents: Float[Array, "num latents"],
) -> Float[Array, "num latents"]:
    """The singular values of ∂f/∂z at each z, from the largest on.

    By them f(z + δ) moves with δ. f maps onto a surface of at most as many dimensions as there are
    of z; where values are 0 it has fewer, and several z have one image (Arjovsky & Bottou 2017,
    lemma 1).
    """

    def at(z: Float[Array, " latents"]) -> Float[Array, " latents"]:
        jacobian = jax.jacfwd(function)(z).reshape(-1, len(z))
        values = jnp.linalg.svd(jacobian, compute_uv=False)
        return jnp.pad(values, (0, len(z) - len(values)))

    return jax.lax.map(at, latents)


def numerical_rank(
    spectra: Float[Array | np.ndarray, "num values"], size: int
) -> Int[np.ndarray, " num"]:
    """How many singular values are above those that rounding makes: ε · `size` · the largest.

    `size` is the larger side of the matrix.
    """
    spectra = np.asarray(spectra)
    least = np.finfo(spectra.dtype).eps * size * spectra.max(axis=1, keepdims=True)
    return np.sum(spectra > least, axis=1)


def participation_ratio(
    spectra: Float[Array | np.ndarray, "num values"],
) -> Float[np.ndarray, " num"]:
    """(Σ σ²)²/Σ σ⁴ of each row of singular values σ, from 1 to as many as there are.

    It is k where k of them are equal and the others 0, for instance of a Jacobian whose image moves
    alike in k directions; 0 where all are 0. On the host, in float64.

    >>> import numpy as np
    >>> from gan_jax import metrics
    >>> print(metrics.participation_ratio(np.array([[3.0, 3.0, 0.0], [2.0, 1.0, 0.0]])))
    [2.         1.47058824]

    Raises:
        ValueError: the spectra are no rows, or hold a number that is not finite.
    """
    check_points(spectra=spectra)
    squares = np.asarray(spectra, np.float64) ** 2
    squared, fourth = np.sum(squares, axis=1) ** 2, np.sum(squares**2, axis=1)
    return np.divide(squared, fourth, out=np.zeros_like(fourth), where=fourth > 0)
