"""What the experiments' docstrings say is found, by their default configurations. Minutes long."""

import numpy as np
import pytest

from experiments import density_ratio, fgan_gaussian, parallel_lines

pytestmark = pytest.mark.slow


def test_f_gan_finds_the_optimum_of_every_divergence(tmp_path):
    result = fgan_gaussian.run(fgan_gaussian.CONFIGS["table"], tmp_path)
    columns = np.array([fit.divergences.mean(axis=1) for fit in result.fits.values()])
    np.testing.assert_array_equal(columns.argmin(axis=0), np.arange(5))
    for name, fit in result.fits.items():
        least, mean, deviation = fgan_gaussian.optimum(name)
        paper = fgan_gaussian.PAPER[name]
        np.testing.assert_allclose([least, mean, deviation], paper, atol=1e-3)
        assert np.all(np.abs(fit.mean - mean) < 0.1)
        assert np.all(np.abs(fit.deviation - deviation) < 0.1)
        assert np.all(np.abs(fit.bound / least - 1) < 0.1)


def test_on_parallel_lines_the_wasserstein_critic_alone_pulls(tmp_path):
    result = parallel_lines.run(parallel_lines.CONFIGS["lines"], tmp_path)
    for theta, estimate in result.estimates.items():
        assert abs(estimate / abs(theta) - 1) < 0.05
    assert abs(result.wgan) < 0.05
    assert result.gan > 0.9
    assert result.gan_slope < 1e-6


def test_discriminators_know_the_ratio_of_two_gaussians(tmp_path):
    result = density_ratio.run(density_ratio.CONFIGS["gaussians"], tmp_path)
    for name, log_ratio in result.log_ratios.items():
        largest = np.max(np.abs(log_ratio - density_ratio.EXACT))
        assert largest < (0.25 if name == "pearson_chi2" else 0.05), name
