"""WGAN as its Algorithm 1 has it, and the curve of its critic's estimate."""

import json

from experiments import wgan
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
