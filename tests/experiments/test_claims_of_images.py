"""What the experiments on GANs of images claim is found, in few steps."""

from dataclasses import replace

import numpy as np
import pytest

from experiments import (
    adda,
    conditional_gan,
    cyclegan,
    dcgan,
    lapgan,
    likelihood,
    pix2pix,
    stylegan2,
)
from experiments.harness import runs
from tests.experiments.claims import lasting, measured

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def of_digits(tmp_path_factory):
    config = lasting(dcgan.CONFIGS["table"], 200, evaluations=2)
    folder = tmp_path_factory.mktemp("dcgan")
    dcgan.run(replace(config, evaluate=("fid",), width=16), folder)
    return folder


def test_a_dcgan_nears_the_digits(of_digits):
    fid = measured(of_digits, "lenet/fid")
    assert fid[200] < 0.8 * fid[100]


def test_a_kernel_estimate_falls_short_of_a_generator_s_likelihood(of_digits):
    chosen = likelihood.Options(run=str(of_digits), num_temperatures=50, num_samples=2_000)
    run = runs.of_latents_alone(chosen)
    images = run.config.images("test")[np.arange(5)]["image"]
    samples = likelihood.samples_of(chosen.key, run, chosen.num_samples)
    found = likelihood.likelihoods(chosen.key, run, images, samples, chosen)
    assert found["annealed (nats)"].mean > found["kernel estimate (nats)"].mean + 10


def test_samples_are_taken_for_the_class_that_was_asked_for(tmp_path):
    config = lasting(conditional_gan.CONFIGS["digits"], 200)
    metrics = conditional_gan.run(replace(config, image_size=16), tmp_path).metrics
    assert metrics["accuracy"] > 0.25  # chance 0.1


def test_levels_of_a_pyramid_near_the_digits(tmp_path):
    config = lasting(lapgan.CONFIGS["digits"], 600, evaluations=2)
    lapgan.run(replace(config, evaluate=("fid",)), tmp_path)
    fid = measured(tmp_path, "lenet/fid")
    assert fid[600] < 0.9 * fid[300]


def test_styles_near_the_digits(tmp_path):
    config = lasting(stylegan2.CONFIGS["table"], 512, evaluations=2)
    stylegan2.run(replace(config, evaluate=("fid",)), tmp_path)
    fid = measured(tmp_path, "lenet/fid")
    assert fid[512] < 0.9 * fid[256]


def test_digits_made_from_their_outlines_are_read(tmp_path):
    metrics = pix2pix.run(lasting(pix2pix.CONFIGS["edges"], 200), tmp_path).metrics
    assert metrics["read"] > 0.6


def test_digits_that_became_those_of_other_hands_are_read_better_than_as_they_were(tmp_path):
    metrics = cyclegan.run(lasting(cyclegan.CONFIGS["digits"], 150), tmp_path).metrics
    assert metrics["read/translated"] > 1.5 * metrics["read/translated/unchanged"]
    fid = "lenet/fid/translated"
    assert metrics[fid] < metrics[f"{fid}/unchanged"] / 2


def test_an_adapted_encoder_is_ahead_of_the_source_s(tmp_path):
    metrics = adda.run(adda.CONFIGS["back"], tmp_path).metrics
    assert metrics["accuracy/adda"] > metrics["accuracy/source_only"] + 0.05
