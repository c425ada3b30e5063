"""What is read off a moment whose generator is known."""

import numpy as np
import pytest
from scipy import stats

from experiments.learning_process import (
    DATA,
    LATENTS,
    Config,
    X,
    at_moment,
    density_error,
)

NORMAL = stats.norm(2, 1)


def test_of_the_perfect_generator_and_discriminator_nothing_is_amiss():
    z = np.clip(LATENTS, -0.9999, 0.9999).astype(np.float64)
    made = NORMAL.ppf((z + 1) / 2)
    slopes = 1 / (2 * NORMAL.pdf(made))
    moment, numbers = at_moment(made, slopes, np.full_like(X, 0.5))
    bulk = np.abs(X - 2) < 3
    np.testing.assert_allclose(moment.generated[bulk], DATA[bulk], rtol=1e-2)
    assert numbers["from_half"] == 0
    assert numbers["from_best"] < 0.01
    assert numbers["jensen_shannon"] < 5e-3
    assert numbers["contraction"] == pytest.approx(-1, abs=1e-3)
    samples = NORMAL.rvs(20_000, random_state=0)
    assert density_error(moment.generated, samples) < 0.02


def test_a_moment_that_is_off_is_measured():
    made = 4 + 0.5 * LATENTS  # uniform on [3.5, 4.5]
    moment, numbers = at_moment(made, np.full_like(LATENTS, 0.5) + LATENTS / 100, X * 0 + 0.8)
    inside = np.abs(X - 4) < 0.5
    np.testing.assert_allclose(moment.generated[inside], 1, rtol=0.03)
    np.testing.assert_allclose(moment.best[~inside], 1)
    assert numbers["from_half"] == pytest.approx(0.3)
    outside = 1 - (NORMAL.cdf(4.5) - NORMAL.cdf(3.5))
    exact = 0.2 * outside + np.sum(np.abs(0.8 - DATA / (DATA + 1))[inside] * DATA[inside]) * 0.02
    assert numbers["from_best"] == pytest.approx(exact, rel=0.03)
    assert numbers["contraction"] < -0.9  # it expands towards 4.5, where there are less data
    uniform = stats.uniform(3.5, 1).rvs(20_000, random_state=0)
    assert density_error(moment.generated, uniform) < 0.03 < density_error(DATA, uniform)
    np.testing.assert_allclose(moment.made, 4 + np.linspace(-1, 1, 25) / 2, rtol=1e-4)


@pytest.mark.parametrize("far", [False, True])
def test_what_is_made_outside_of_the_bins_counts_as_unlike_the_data(far):
    """Half of it, the other half being as the data, or all."""
    z = np.clip(LATENTS, -0.9999, 0.9999).astype(np.float64)
    made = np.where((LATENTS > 0) | far, 60.0 + LATENTS, NORMAL.ppf((z + 1) / 2))
    _, numbers = at_moment(made, 1 + LATENTS**2, np.full_like(X, 0.5))
    expected = np.log(2) if far else np.log(2) / 2
    assert numbers["jensen_shannon"] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("given", "told"),
    [({"steps": 2_001}, "after 2000 the learning rate is 0"), ({"continue_from": "x"}, "leave it")],
)
def test_a_run_that_would_learn_nothing_or_remember_another_s_moments_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        Config(**given)
