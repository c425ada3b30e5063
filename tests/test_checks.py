"""Bounds and choices: what is let through, what is refused, and in which words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import checks
from gan_jax.checks import check_bound, check_choice
from gan_jax.errors import Refusal

INSIDE = {
    "AT_LEAST_0": [0, 7, np.int32(0), jnp.int32(0)],
    "AT_LEAST_1": [1, 7],
    "AT_LEAST_2": [2, 256],
    "POSITIVE": [1e-30, 3, np.array([1.0, 2.0])],
    "NOT_NEGATIVE": [0, 0.0, 5],
    "FINITE": [-1e30, 0, 1e30],
    "SHARE": [0, 0.5, 1],
    "INSIDE_SHARE": [1e-9, 0.5],
    "UNIT": [0, 1, np.float32(1 + 2.4e-7), np.array([-1e-6, 0.5])],
    "PART": [1e-30, 0.5, 1],
    "DECAY": [0, 0.999],
    "SIGNED": [-1, 0, 1, np.float32(1 + 2.4e-7), -1 - 1e-6],
}
OUTSIDE = {
    "AT_LEAST_0": [-1, 0.5, 2.0, "1", None, np.nan],
    "AT_LEAST_1": [0, -1, 1.5],
    "AT_LEAST_2": [1, 2.0],
    "POSITIVE": [0, -1, np.inf, np.nan, np.array([1.0, 0.0])],
    "NOT_NEGATIVE": [-1e-9, np.inf, np.nan],
    "FINITE": [np.inf, -np.inf, np.nan],
    "SHARE": [-0.1, 1.1, np.nan],
    "INSIDE_SHARE": [0, 1, np.nan],
    "UNIT": [-1e-4, 1.0001, np.nan, np.array([0.5, np.inf])],
    "PART": [0, 1.1, np.nan],
    "DECAY": [-0.1, 1, np.nan],
    "SIGNED": [-1.0001, 1.0001, np.nan],
}


def cases(table):
    return [(name, value) for name, values in table.items() for value in values]


def test_every_bound_is_tested():
    bounds = {name for name, value in vars(checks).items() if isinstance(value, checks.Bound)}
    assert bounds == set(INSIDE) == set(OUTSIDE)


@pytest.mark.parametrize(("name", "value"), cases(INSIDE))
def test_a_number_inside_passes(name, value):
    check_bound(getattr(checks, name), it=value)


@pytest.mark.parametrize(("name", "value"), cases(OUTSIDE))
def test_a_number_outside_is_refused_by_name(name, value):
    bound = getattr(checks, name)
    with pytest.raises(Refusal) as refusal:
        check_bound(bound, fine=next(iter(INSIDE[name])), it=value)
    assert str(refusal.value) == f"it is {value}; it must be {bound.words}."


def test_traced_numbers_and_shapes_are_not_looked_at():
    @jax.jit
    def f(x):
        check_bound(checks.SHARE, x=x)
        return x

    assert f(7.0) == 7
    check_bound(checks.SHARE, x=jax.ShapeDtypeStruct((3,), jnp.float32))


def test_constants_are_looked_at_under_a_trace_too():
    constant = jnp.float32(7)
    with pytest.raises(Refusal, match=r"x is 7.0; it must be in \[0, 1\]"):
        jax.eval_shape(lambda: check_bound(checks.SHARE, x=constant))


def test_a_choice_is_one_of_those_that_there_are():
    check_choice(("jit", "pmap"), parallel="pmap")
    with pytest.raises(Refusal, match=r"^parallel is 'jitt'; it must be one of 'jit', 'pmap'\.$"):
        check_choice(("jit", "pmap"), parallel="jitt")
