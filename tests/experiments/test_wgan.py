"""WGAN as its Algorithm 1 has it, and the curve of its critic's estimate."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from experiments import wgan
from gan_jax.nets import DCGANGenerator, MLPGenerator
from gan_jax.training.logs import WALL_CLOCK_FIELDS


def test_algorithm_1_has_the_papers_constants():
    """Arjovsky et al. 2017: α = 0.00005, c = 0.01, m = 64, n_critic = 5, by RMSProp."""
    config = wgan.CONFIGS["algorithm_1"]
    assert (config.learning_rate, config.clip_limit) == (5e-5, 0.01)
    assert (config.batch_size, config.constraint) == (64, "clip")


def test_critics_move_five_times_before_a_generator_does():
    assert {config.num_discriminator_steps for config in wgan.CONFIGS.values()} == {5}


def test_the_estimate_is_what_the_critic_gives_real_more_than_fake(tmp_path):
    logged = [
        {
            "step": step,
            "discriminator/real_logits": real,
            "discriminator/fake_logits": fake,
            **dict.fromkeys(WALL_CLOCK_FIELDS, 0.0),
        }
        for step, real, fake in ((10, 3.0, 1.0), (20, -2.0, -2.5))
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in logged))
    steps, gaps = wgan.estimates(tmp_path)
    assert (steps.tolist(), gaps.tolist()) == ([10, 20], [2.0, 0.5])


def kinds(state):
    """What an optimiser keeps, by the names of its fields."""
    return {
        name
        for state in jax.tree.leaves(state, is_leaf=lambda x: hasattr(x, "_fields"))
        for name in getattr(state, "_fields", ())
    }


def test_without_a_constraint_it_is_a_gan_of_the_same_networks():
    batch = {"point": jnp.zeros((1, 2))}
    plain = replace(wgan.CONFIGS["ring"], constraint="none", loss="non_saturating")
    system, critic = wgan.build(plain, batch), wgan.build(wgan.CONFIGS["ring"], batch)
    assert (system.generator, system.discriminator) == (critic.generator, critic.discriminator)
    assert (len(system.discriminator_terms), len(critic.discriminator_terms)) == (0, 1)
    rules = plain.optimizers().discriminator.init(jnp.zeros(2))
    assert "mu" in kinds(rules)
    clipped = wgan.CONFIGS["ring-clip"].optimizers().discriminator.init(jnp.zeros(2))
    assert "nu" in kinds(clipped)  # RMSProp's, and no momentum
    assert "mu" not in kinds(clipped)


def test_generators_of_images_are_those_of_the_papers_figures():
    """Arjovsky et al. 2017, figures 5 to 7; the critic is the same before each."""
    table, batch = wgan.TABLES["generators"], {"image": jnp.zeros((1, 16, 16, 1))}
    built = {name: wgan.build(config, batch) for name, config in table.items()}
    assert len({system.discriminator for system in built.values()}) == 1
    for way in ("gan", "wgan"):
        dcgan, plain, mlp = (built[f"{way}_{name}"].generator for name in ("dcgan", "plain", "mlp"))
        assert (dcgan.batch_norm, dcgan.doubling) == (True, True)
        assert isinstance(plain, DCGANGenerator)
        assert (plain.batch_norm, plain.doubling) == (False, False)
        assert isinstance(mlp, MLPGenerator)
        assert (mlp.shape, mlp.widths) == ((16, 16, 1), (512,) * 4)
    for way, expected in {
        "gan": ("non_saturating", "none", 1),
        "wgan": ("wasserstein", "gradient_penalty", 5),
    }.items():
        told = [config for name, config in table.items() if name.startswith(f"{way}_")]
        found = {(each.loss, each.constraint, each.num_discriminator_steps) for each in told}
        assert found == {expected}


def test_every_loss_is_tried_with_the_penalty_and_without():
    table = wgan.TABLES["losses"]
    assert len({(config.loss, config.constraint) for config in table.values()}) == 10
    assert {config.num_discriminator_steps for config in table.values()} == {1}


def test_measures_are_of_images():
    with pytest.raises(ValueError, match="are for images, and --dataset is grid"):
        replace(wgan.CONFIGS["grid"], evaluate=("fid",))
    with pytest.raises(ValueError, match="or give --dataset digits or a folder"):
        replace(wgan.CONFIGS["ring"], network="mlp")
