"""Moment matching: kernels, the maximum mean discrepancy, and the loss of GMMN."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, NOT_NEGATIVE, POSITIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points
from gan_jax.losses.precision import at_least_float32, root

Kernel: TypeAlias = Callable[
    [Float[Array, "n features"], Float[Array, "m features"]], Float[Array, "n m"]
]


def gaussian_kernel(bandwidths: Sequence[float]) -> Kernel:
    """k(x, y) = Σ_s exp(-‖x - y‖² / (2 s²)), over the bandwidths s, in the units of x.

    Li, Swersky & Zemel 2015.

    Raises:
        ValueError: there is no bandwidth, or one is not positive and finite.
    """
    bandwidths = _positive(bandwidths=bandwidths)

    def kernel(x, y):
        distances = _squared_distances(x, y)
        return sum(
            (jnp.exp(-distances / (2 * s**2)) for s in bandwidths), jnp.zeros_like(distances)
        )

    return kernel


def rational_quadratic_kernel(alphas: Sequence[float]) -> Kernel:
    """k(x, y) = Σ_α (1 + ‖x - y‖² / (2 α))^(-α): heavier tails than a Gaussian's.

    Bińkowski et al. 2018, who take α in {0.2, 0.5, 1, 2, 5}.

    Raises:
        ValueError: there is no α, or one is not positive and finite.
    """
    alphas = _positive(alphas=alphas)

    def kernel(x, y):
        distances = _squared_distances(x, y)
        return sum(((1 + distances / (2 * a)) ** -a for a in alphas), jnp.zeros_like(distances))

    return kernel


def linear_kernel() -> Kernel:
    """k(x, y) = ⟨x, y⟩: the discrepancy is ‖E x - E y‖²."""
    return _inner_products


def polynomial_kernel(degree: int = 3, *, offset: float = 1.0) -> Kernel:
    """k(x, y) = (⟨x, y⟩/d + c)^degree, for d features and c = `offset`: all moments up to `degree`.

    Bińkowski et al. 2018, whose kernel inception distance has degree 3 and c = 1.

    Raises:
        ValueError: the degree is below 1, or c negative: then it is no kernel.
    """
    check_bound(AT_LEAST_1, degree=degree)
    check_bound(NOT_NEGATIVE, offset=offset)
    return lambda x, y: (_inner_products(x, y) / x.shape[-1] + offset) ** degree


def mmd2(
    x: Float[Array, "n features"],
    y: Float[Array, "m features"],
    kernel: Kernel,
    *,
    unbiased: bool = False,
    chunk_size: int | None = None,
) -> Float[Array, ""]:
    """MMD² = E k(x, x') - 2 E k(x, y) + E k(y, y'), between two samples.

    Biased, it averages over all pairs, equal ones included: never negative, and 0 for equal
    samples. Unbiased, it leaves the pairs of an example with itself out: its mean is right, and it
    may be negative.

    Args:
        chunk_size: rows of the kernel matrix that are held at a time, also by the gradient: memory
            is then linear in the size of a sample. None: the whole matrix, of 1.6 GB for samples of
            20,000.

    Raises:
        ValueError: the samples are no rows of equally many features, hold a number that is not
            finite (traced, the result is nan), or are empty; unbiased, and a sample has fewer than
            two examples; `chunk_size` is below 1.

    Gretton et al. 2012, equations (3) and (5).
    """
    check_points(x=x, y=y)
    if chunk_size is not None:
        check_bound(AT_LEAST_1, chunk_size=chunk_size)
    if unbiased and min(len(x), len(y)) < 2:
        raise Refusal(
            f"The unbiased estimate needs two examples on each side, not {len(x)} and {len(y)}."
        )

    x, y = at_least_float32(x), at_least_float32(y)

    def total(a, b):
        if chunk_size is None:
            return jnp.sum(kernel(a, b))
        row = jax.checkpoint(lambda one: jnp.sum(kernel(one[None], b)))
        return jnp.sum(jax.lax.map(row, a, batch_size=chunk_size))

    def within(a):
        if not unbiased:
            return total(a, a) / len(a) ** 2
        itself = jnp.sum(jax.vmap(lambda one: kernel(one[None], one[None])[0, 0])(a))
        return (total(a, a) - itself) / (len(a) * (len(a) - 1))

    return within(x) - 2 * total(x, y) / (len(x) * len(y)) + within(y)


def gmmn(
    generated: Float[Array, "n features"],
    data: Float[Array, "m features"],
    kernel: Kernel,
    *,
    chunk_size: int | None = None,
) -> Float[Array, ""]:
    """√MMD², biased: what a generative moment matching network minimises.

    The root weighs small discrepancies up; at 0, where it has no slope, the gradient is 0.

    Li, Swersky & Zemel 2015.

    Raises:
        ValueError: as `mmd2`.
    """
    return root(mmd2(generated, data, kernel, chunk_size=chunk_size))


def _positive(**numbers: Sequence[float]) -> tuple[float, ...]:
    (name, values), *_ = numbers.items()
    if np.ndim(values) != 1 or not len(values):
        raise Refusal(f"{name} is {values}; it must be a sequence of at least one number.")
    for number in values:
        check_bound(POSITIVE, **{f"One of the {name}": number})
    return tuple(values)


def _squared_distances(x: Array, y: Array) -> Array:
    """‖x - y‖² as ‖x‖² - 2⟨x, y⟩ + ‖y‖², about a common origin near the points."""
    check_points(x=x, y=y)
    origin = jax.lax.stop_gradient(jnp.mean(y, axis=0, keepdims=True))
    x, y = x - origin, y - origin
    squares = jnp.sum(x * x, axis=1)[:, None] + jnp.sum(y * y, axis=1)[None, :]
    return jnp.maximum(squares - 2 * _inner_products(x, y), 0)


def _inner_products(x: Array, y: Array) -> Array:
    return jnp.matmul(x, y.T, precision="highest")
