"""Mean and spread over seeds."""

import math

import numpy as np
import pytest

from gan_jax.metrics import spread


def test_the_spread_of_values_that_are_known():
    mean, std, error = spread(np.array([1, 2, 6]))
    np.testing.assert_allclose([mean, std, error], [3, math.sqrt(14 / 3), math.sqrt(14 / 6)])


def test_an_infinite_value_leaves_no_spread():
    mean, std, error = spread(np.array([1.0, np.inf]))
    assert mean == math.inf
    assert math.isnan(std)
    assert math.isnan(error)


def test_one_value_has_no_spread():
    with pytest.raises(
        ValueError, match="The number of values is 1; it must be an integer, at least 2"
    ):
        spread(np.array([1.0]))
