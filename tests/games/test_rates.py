"""The factors of all methods, from the eigenvalues of each."""

import numpy as np
import pytest

from experiments.harness.methods import METHODS
from gan_jax.games import rates
from gan_jax.games.analysis import growth_factor, spectrum_extent

OPTIONS = {"weight": 0.4, "momentum": -0.5, "num_unrolled_steps": 3, "interval": 5, "rate": 0.5}


def test_every_method_has_the_factor_of_its_eigenvalues():
    factors = rates.factors(0.3, 0.7, **OPTIONS)
    assert set(factors) == set(METHODS)
    expected = {
        "simultaneous": np.sqrt(1 + 0.21**2),
        "alternating": 1.0,
        "extragradient": np.sqrt(1 - 0.21**2 + 0.21**4),
        "consensus": abs(1 - 0.3 * 0.4 * 0.49 + 0.21j),
        "symplectic": abs(1 - 0.3 * 0.4 * 0.49 + 0.21j),
        "competitive": 1 / np.sqrt(1 + 0.21**2),
        "negative_momentum": rates.radius(rates.alternating_momentum(0.3, -0.5, 0.7)),
        "unrolled": rates.radius(rates.unrolled(0.3, 0.3, 3, 0.7)),
        "lookahead": abs(0.5 + 0.5 * (1 + 0.21j) ** 5) ** (1 / 5),
    }
    for name, factor in expected.items():
        assert factors[name] == pytest.approx(factor), name
    assert factors["past_extragradient"] == factors["optimistic"] < 1


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_the_growth_of_a_run_is_that_of_its_second_half_above_round_off(factor):
    steps = np.arange(400)
    distances = factor**steps * np.where(steps < 100, 5.0, 1.0)
    assert growth_factor(distances) == pytest.approx(factor, rel=1e-9)
    with_round_off = np.concatenate([0.5 ** np.arange(80), np.full(80, 1e-40), [0.0]])
    assert growth_factor(with_round_off) == pytest.approx(0.5)


def test_the_extent_of_a_spectrum_leaves_small_eigenvalues_out_of_its_angle():
    values = np.array([-3 + 0j, 2 + 1j, 2 - 1j, 1e-6j])
    left, right, height, angle = spectrum_extent(values)
    assert (left, right, height) == (3, 2, 1)
    assert angle == pytest.approx(1 / np.sqrt(5))
