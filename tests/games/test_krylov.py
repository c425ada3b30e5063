"""The two solvers against NumPy's, and what they report."""

from functools import partial

import jax
import numpy as np
import pytest

from gan_jax.games.krylov import solve

RNG = np.random.default_rng(0)
SQUARE = RNG.normal(size=(8, 8)).astype(np.float32)
DEFINITE = np.eye(8, dtype=np.float32) + SQUARE @ SQUARE.T
GENERAL = 3 * np.eye(8, dtype=np.float32) + SQUARE
RIGHT = RNG.normal(size=8).astype(np.float32)
SYSTEMS = pytest.mark.parametrize(
    ("matrix", "positive_definite"), [(DEFINITE, True), (DEFINITE, False), (GENERAL, False)]
)


@partial(jax.jit, static_argnames=("positive_definite", "tolerance", "max_iterations"))
def solution(matrix, right, positive_definite, *, tolerance=1e-6, max_iterations=50):
    return solve(
        lambda x: matrix @ x,
        right,
        positive_definite=positive_definite,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


@SYSTEMS
def test_the_system_is_solved_and_the_report_is_true(matrix, positive_definite):
    x, report = solution(matrix, RIGHT, positive_definite)
    np.testing.assert_allclose(x, np.linalg.solve(matrix, RIGHT), rtol=1e-3, atol=1e-4)
    residual = np.linalg.norm(RIGHT - matrix @ x) / np.linalg.norm(RIGHT)
    assert residual < 1e-5
    assert float(report.residual) <= 1e-6
    assert bool(report.converged)
    assert 2 < int(report.iterations) <= 16


@SYSTEMS
def test_too_few_iterations_are_reported(matrix, positive_definite):
    x, report = solution(matrix, RIGHT, positive_definite, max_iterations=2)
    assert not bool(report.converged)
    assert int(report.iterations) == 2
    residual = np.linalg.norm(RIGHT - matrix @ x) / np.linalg.norm(RIGHT)
    np.testing.assert_allclose(report.residual, residual, rtol=1e-3)
    assert residual > 1e-3


@SYSTEMS
def test_nothing_on_the_right_is_solved_by_nothing(matrix, positive_definite):
    x, report = solution(matrix, np.zeros(8, np.float32), positive_definite)
    np.testing.assert_array_equal(x, 0)
    assert (int(report.iterations), bool(report.converged)) == (0, True)
    assert float(report.residual) == 0


def test_a_breakdown_is_reported_and_finite():
    """On a rotation by a right angle BiCGStab divides by ⟨b, A b⟩ = 0 at once."""
    rotation = np.array([[0, -1], [1, 0]], np.float32)
    x, report = solution(rotation, np.array([1, 0], np.float32), positive_definite=False)
    assert np.isfinite(x).all()
    assert not bool(report.converged)
    assert float(report.residual) > 0.1


@SYSTEMS
def test_derivatives_are_those_of_the_solution_also_where_it_is_0(matrix, positive_definite):
    inverse = np.linalg.inv(matrix)
    jacobian = jax.jit(jax.jacfwd(lambda b: solution(matrix, b, positive_definite)[0]))
    for right in (RIGHT, np.zeros(8, np.float32)):
        np.testing.assert_allclose(jacobian(right), inverse, rtol=1e-2, atol=1e-4)


@SYSTEMS
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_so_and_is_reported(matrix, positive_definite, bad):
    right = RIGHT.copy()
    right[0] = bad
    x, report = solution(matrix, right, positive_definite)
    assert np.isnan(x).all()
    assert not bool(report.converged)


def test_a_batch_of_systems_is_solved_as_one_by_one():
    rights = np.stack([RIGHT, 0 * RIGHT, RIGHT[::-1]])
    x, report = jax.jit(jax.vmap(lambda b: solution(GENERAL, b, positive_definite=False)))(rights)
    np.testing.assert_allclose(x, np.linalg.solve(GENERAL, rights.T).T, rtol=1e-3, atol=1e-4)
    assert report.converged.all()
