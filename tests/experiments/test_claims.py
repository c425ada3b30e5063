"""What the experiments' documents say is found, by their defaults. Minutes long."""

import dataclasses

import numpy as np
import pytest

from experiments import (
    critic_slopes,
    density_ratio,
    estimates,
    fgan_gaussian,
    learning_process,
    parallel_lines,
    vanishing_gradients,
)
from experiments.harness import published

pytestmark = pytest.mark.slow


def test_f_gan_finds_the_optimum_of_every_divergence(tmp_path):
    metrics = fgan_gaussian.run(fgan_gaussian.CONFIGS["table"], tmp_path).metrics
    rows = list(fgan_gaussian.ROWS)
    columns = np.array([[metrics[f"{fit}/{row}"] for row in rows] for fit in rows])
    np.testing.assert_array_equal(columns.argmin(axis=0), np.arange(5))
    for name in rows:
        least, mean, deviation = fgan_gaussian.optimum(name)
        paper = published.F_GAN[name]
        np.testing.assert_allclose([least, mean, deviation], paper, atol=1e-3)
        assert abs(metrics[f"{name}/mean"] - mean) < 0.1
        assert abs(metrics[f"{name}/deviation"] - deviation) < 0.1
        assert abs(metrics[f"{name}/bound"] / least - 1) < 0.1


def test_on_parallel_lines_the_wasserstein_critic_alone_pulls(tmp_path):
    metrics = parallel_lines.run(parallel_lines.CONFIGS["lines"], tmp_path).metrics
    for theta in parallel_lines.THETAS:
        assert abs(metrics[f"estimate/{theta}"] / abs(theta) - 1) < 0.05
    assert abs(metrics["wgan/end"]) < 0.05
    assert metrics["gan/end"] > 0.9
    assert metrics["gan/slope"] < 1e-6


def test_discriminators_know_the_ratio_of_two_gaussians(tmp_path):
    metrics = density_ratio.run(density_ratio.CONFIGS["gaussians"], tmp_path).metrics
    for name in density_ratio.ESTIMATORS:
        limit = 0.25 if name == "pearson_chi2" else 0.05
        assert metrics[f"{name}/error"] < limit, name
        assert abs(metrics[f"{name}/slope"] + 1) < limit
        assert abs(metrics[f"{name}/intercept"] - 0.5) < limit


def test_a_gan_s_discriminator_ends_at_a_half_where_its_generator_contracts(tmp_path):
    config = learning_process.CONFIGS["normal"]
    metrics = learning_process.run(config, tmp_path).metrics
    assert metrics["20/from_half"] > 0.2  # D tells well before G has learnt
    assert metrics["20/from_best"] < metrics["0/from_best"] / 2
    assert metrics["from_half"] < 0.12
    assert metrics["from_best"] < 0.08
    assert metrics["jensen_shannon"] < 0.1 < metrics["20/jensen_shannon"]
    assert metrics["contraction"] < -0.6
    assert metrics["density_error"] < 0.03


def test_a_better_discriminator_s_gradient_vanishes_or_grows_with_its_spread(tmp_path, monkeypatch):
    monkeypatch.setattr(vanishing_gradients, "NUM_BATCHES", 8)
    config = dataclasses.replace(
        vanishing_gradients.CONFIGS["digits"],
        generator_steps=200,
        steps=300,
        evaluate_every=300,
        checkpoint_every=300,
    )
    metrics = vanishing_gradients.run(config, tmp_path).metrics
    for what in ("norm", "spread"):
        assert metrics[f"minimax/{what}"] < metrics[f"minimax/1/{what}"] / 10
        assert metrics[f"non_saturating/{what}"] > 4 * metrics[f"non_saturating/1/{what}"]
    for loss in vanishing_gradients.LOSSES:
        cosines = [metrics[f"{loss}/{step}/cosine"] for step in (1, 10, 100)]
        assert cosines[0] < 0.6 < 0.9 < cosines[2]
        assert cosines == sorted(cosines)


def test_a_discriminator_saturates_between_two_gaussians_and_a_critic_does_not(tmp_path):
    metrics = critic_slopes.run(critic_slopes.CONFIGS["gaussians"], tmp_path).metrics
    assert metrics["discriminator/slope"] < 1e-3
    assert metrics["critic/slope"] > 0.8
    assert metrics["critic/steepest"] < 1.2
    assert abs(metrics["critic/distance"] / critic_slopes.DISTANCE - 1) < 0.1


def test_a_critic_s_estimate_follows_quality_and_a_discriminator_s_does_not(tmp_path):
    config = dataclasses.replace(estimates.CONFIGS["ring"], steps=400, checkpoint_every=400)
    metrics = estimates.run(config, tmp_path).metrics
    assert metrics["wgan/correlation"] > 0.8
    assert metrics["gan/correlation"] < 0.6
    assert 0.5 < metrics["wgan/estimate"] / metrics["wgan/distance"] < 1.6
