"""What the experiments on GANs of points and of images claim is found, in few steps."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import (
    adda,
    conditional_gan,
    cyclegan,
    dcgan,
    gmmn,
    jacobian_spectrum,
    lapgan,
    likelihood,
    pix2pix,
    ring,
    stylegan2,
    wgan,
)
from experiments.harness import runs
from gan_jax import data, training
from gan_jax.games import discriminator_step, generator_step

pytestmark = pytest.mark.slow


def measured(folder, name):
    """An evaluation's number along a run, by steps."""
    return {line["step"]: line[name] for line in training.read_log(folder) if name in line}


def lasting(config, steps, *, evaluations=1):
    at = {"evaluate_every": steps // evaluations, "checkpoint_every": steps}
    return replace(config, steps=steps, **at)


def test_a_gan_covers_a_ring(tmp_path):
    metrics = ring.run(lasting(ring.CONFIGS["ring"], 2_000), tmp_path).metrics
    assert metrics["modes"] >= 7
    assert metrics["high_quality"] > 0.7
    assert metrics["live/high_quality"] < metrics["high_quality"]


def test_a_penalty_leaves_a_critic_less_simple_than_clipping(tmp_path):
    """Both keep all modes; by clipping the ring is blurred."""
    penalty, clip = (
        wgan.run(lasting(wgan.CONFIGS[name], 1_000), tmp_path / name).metrics
        for name in ("ring", "ring-clip")
    )
    assert penalty["modes"] == clip["modes"] == 8
    assert penalty["high_quality"] > 2 * clip["high_quality"]


def test_a_gradient_penalty_brings_a_minimax_gan_to_more_modes_of_a_grid(tmp_path):
    with_penalty, without = (
        wgan.run(lasting(wgan.TABLES["losses"][f"minimax_{name}"], 2_000), tmp_path / name).metrics
        for name in ("gradient_penalty", "none")
    )
    assert with_penalty["modes"] >= without["modes"] + 4


def test_matching_moments_nears_unseen_digits(tmp_path):
    config = lasting(gmmn.CONFIGS["digits"], 200, evaluations=2)
    gmmn.run(replace(config, evaluate=()), tmp_path)
    mmd = measured(tmp_path, "unseen/mmd")
    assert mmd[200] < 0.95 * mmd[100]


def test_consensus_pulls_the_spectrum_of_a_game_in(tmp_path):
    """In the mean: without it, the spectrum reaches far to the left on two seeds of three."""
    left = {"plain": [], "consensus": []}
    for seed in range(3):
        config = lasting(replace(jacobian_spectrum.CONFIGS["ring"], seed=seed), 6_000)
        metrics = jacobian_spectrum.run(config, tmp_path / str(seed)).metrics
        for name, values in left.items():
            values.append(metrics[f"{name}/left"])
    assert np.mean(left["plain"]) > 0.2
    assert np.mean(left["consensus"]) < np.mean(left["plain"]) / 3


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
    found = likelihood.likelihoods(chosen.key, run, images, chosen)
    assert found["annealed (nats)"].mean > found["kernel estimate (nats)"].mean + 10


def test_players_in_turn_reject_old_fakes_and_make_new_ones_that_are_accepted():
    """30 moves of one player, 30 of the other, three times."""
    system = ring.build(ring.CONFIGS["ring"], {})
    optimizers = ring.CONFIGS["ring"].optimizers()
    state = system.init(jax.random.key(0), {"point": jnp.zeros((1, 2))}, optimizers=optimizers)

    @partial(jax.jit, static_argnums=0)
    def moved(step, state, key):
        def move(state, key):
            batch = {"point": data.mixtures.sample(key, data.ring(), 256)}
            return step(key, state, batch, game=system.game, optimizers=optimizers)

        return jax.lax.scan(move, state, jax.random.split(key, 30))[0]

    def fakes(state):
        return system.sample(jax.random.key(1), state.generator.weights, 500)

    def answer(state, points):
        logits = system.discriminate(state.discriminator.weights, points)
        return float(jnp.mean(jax.nn.sigmoid(logits)))

    for key in jax.random.split(jax.random.key(0), 3):
        old, before = fakes(state), answer(state, fakes(state))
        state = moved(discriminator_step, state, key)
        rejected = answer(state, old)
        assert rejected < before - 0.02
        state = moved(generator_step, state, key)
        assert answer(state, old) == pytest.approx(rejected)
        assert answer(state, fakes(state)) > rejected + 0.2


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
