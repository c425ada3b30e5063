"""How many dimensions points have: those of the surface on which they lie, and those of a map."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, AT_LEAST_2, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.blocks import placed
from gan_jax.metrics.distances import about, reach
from gan_jax.typing import Scalar


def intrinsic_dimension(
    points: Float[Array | np.ndarray, "num dim"], *, k: int = 20, chunk_size: int = 1024
) -> Scalar:
    """1/m = mean over i of 1/(k - 1) Σ_{j<k} log T_k(x_i)/T_j(x_i).

    T_j is the distance of a point to its j-th nearest neighbour. It is the maximum of a likelihood
    which takes the density for even within T_k: too low where the dimension is high and points are
    few, and by noise too high where k is small. It is 0 where two points are equal, and nan where
    more than k are.

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
    return _intrinsic_dimension(placed(points), k, chunk_size)


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


@partial(jax.jit, static_argnums=(1, 2))
def _intrinsic_dimension(points: Float[Array, "num dim"], k: int, chunk_size: int) -> Scalar:
    points = at_least_float32(points)
    num = len(points)
    about_mean = about(jnp.mean(points, axis=0), points, chunk_size)
    squares = jnp.stack(reach(about_mean, tuple(range(1, k + 1)), chunk_size))[:, :num]
    logs = (jnp.log(squares[-1:]) - jnp.log(squares[:-1])) / 2
    return 1 / jnp.mean(jnp.sum(logs, axis=0) / (k - 1))
