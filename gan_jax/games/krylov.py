"""Linear systems that are known only by their products with vectors, and what solving them took.

JAX's own solvers in `jax.scipy.sparse.linalg` do not say how many iterations they made.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gan_jax.typing import Scalar

Matvec = Callable[[Float[Array, " n"]], Float[Array, " n"]]


class Report(NamedTuple):
    """How well a system was solved: ‖b - A x‖ / ‖b‖ by the solver's recurrence, and how soon."""

    residual: Scalar
    iterations: Int[Array, ""]
    converged: Bool[Array, ""]


def solve(
    matvec: Matvec,
    b: Float[Array, " n"],
    *,
    positive_definite: bool,
    tolerance: float,
    max_iterations: int,
) -> tuple[Float[Array, " n"], Report]:
    """Solve A x = b for A given by `matvec`, until ‖b - A x‖ ≤ `tolerance` ‖b‖.

    Conjugate gradients where A is symmetric and positive definite, BiCGStab where it need not be.
    Starts at 0. Where `max_iterations` or a breakdown ends it, the last iterate is returned with
    `converged` False; where b or a product is not finite, so is the solution. Forward derivatives
    are those of the solution, by a second solve (reverse ones where A is positive definite).

    Hestenes & Stiefel 1952; van der Vorst 1992.
    """
    method = _conjugate_gradients if positive_definite else _bicgstab

    def iterate(matvec, b):
        limit = tolerance * jnp.linalg.norm(b)
        x, r, iterations = method(matvec, b, limit, max_iterations)
        length, left = jnp.linalg.norm(b), jnp.linalg.norm(r)
        residual = left / jnp.where(length > 0, length, 1)
        finite = jnp.isfinite(residual)
        report = Report(residual, jnp.asarray(iterations), finite & (left <= limit))
        return jnp.where(finite, x, jnp.nan), report

    return jax.lax.custom_linear_solve(
        matvec, b, iterate, symmetric=positive_definite, has_aux=True
    )


def _conjugate_gradients(matvec, b, limit, max_iterations):
    def unfinished(carry):
        _, r, _, squared, iterations = carry
        return (jnp.linalg.norm(r) > limit) & (squared > 0) & (iterations < max_iterations)

    def advance(carry):
        x, r, p, squared, iterations = carry
        product = matvec(p)
        length = _ratio(squared, jnp.vdot(p, product))
        r = r - length * product
        new_squared = jnp.vdot(r, r)
        return x + length * p, r, r + new_squared / squared * p, new_squared, iterations + 1

    start = (jnp.zeros_like(b), b, b, jnp.vdot(b, b), 0)
    x, r, _, _, iterations = jax.lax.while_loop(unfinished, advance, start)
    return x, r, iterations


def _bicgstab(matvec, b, limit, max_iterations):
    def unfinished(carry):
        _, r, _, _, rho, _, omega, iterations = carry
        broken = (rho == 0) | (omega == 0)
        return (jnp.linalg.norm(r) > limit) & ~broken & (iterations < max_iterations)

    def advance(carry):
        x, r, p, v, rho, alpha, omega, iterations = carry
        new_rho = jnp.vdot(b, r)
        p = r + new_rho / rho * alpha / omega * (p - omega * v)
        v = matvec(p)
        alpha = _ratio(new_rho, jnp.vdot(b, v))
        s = r - alpha * v
        t = matvec(s)
        omega = _ratio(jnp.vdot(t, s), jnp.vdot(t, t))
        x = x + alpha * p + omega * s
        return x, s - omega * t, p, v, new_rho, alpha, omega, iterations + 1

    one = jnp.ones((), b.dtype)
    start = (jnp.zeros_like(b), b, jnp.zeros_like(b), jnp.zeros_like(b), one, one, one, 0)
    x, r, *_, iterations = jax.lax.while_loop(unfinished, advance, start)
    return x, r, iterations


def _ratio(numerator: Scalar, denominator: Scalar) -> Scalar:
    """0 where there is nothing to divide by: the iteration then stops as broken down."""
    safe = jnp.where(denominator == 0, 1, denominator)
    return jnp.where(denominator == 0, 0, numerator / safe)
