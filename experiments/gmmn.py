"""Generative moment matching on digits (Li, Swersky & Zemel 2015).    python -m experiments.gmmn

No opponent: the generator minimises the maximum mean discrepancy to a batch of data.
"""

from dataclasses import dataclass
from pathlib import Path

import flax.linen as nn
import jax
import optax

from experiments.harness import command, options, pictures
from experiments.harness.bounds import Count, Rate, Size
from gan_jax import data, losses, plots
from gan_jax.nets import MLPGenerator
from gan_jax.systems import GMMN, networks
from gan_jax.training import Evaluation, first_batch
from gan_jax.typing import Batch

KERNEL = losses.gaussian_kernel((2.0, 5.0, 10.0, 20.0, 40.0, 80.0))
WIDTHS = (64, 256, 256, 1_024)
NUM_SHOWN = 64
NUM_COMPARED = 500


@dataclass(frozen=True, kw_only=True)
class Config(pictures.SampleOptions):
    latent_dim: Size = 10
    """Size of the latents, uniform on [-1, 1]."""
    batch_size: Size = 500
    """Real and as many generated examples in each step; the paper has 1,000."""
    learning_rate: Rate = 1e-3
    """Adam's; the paper has momentum of 0.9 and a rate of 2 for a loss times 1,000."""
    steps: Count = 3_000
    steps_per_dispatch: Count = 50
    evaluate_every: Count = 500
    checkpoint_every: Count = 500


CONFIGS = {"digits": Config()}


def build(config: Config, batch: Batch) -> GMMN:
    return GMMN(
        generator=MLPGenerator(batch["image"].shape[1:], WIDTHS, output=nn.sigmoid),
        kernel=KERNEL,
        latents=networks.uniform(config.latent_dim),
    )


def evaluator(config: Config, system: GMMN, dataset: data.Dataset) -> options.Evaluate:
    """Draw samples, and measure the discrepancy of as many as there are unseen images."""
    unseen = options.first_examples(config.images("test"), NUM_COMPARED)["image"]
    real = options.flat(data.unit(unseen))
    sample = jax.jit(system.sample, static_argnums=2)

    def evaluate(key, state) -> Evaluation:
        key_shown, key_compared = jax.random.split(key)
        weights = state.player.weights
        images = sample(key_shown, weights, NUM_SHOWN)
        discrepancy = losses.gmmn(
            options.flat(sample(key_compared, weights, len(real))), real, KERNEL
        )
        return Evaluation({"samples": plots.brightness_grid(images)}, {"unseen/mmd": discrepancy})

    def draw(key, state, real):
        return 2 * sample(key, state.player.weights, len(real["image"])) - 1

    return config.measuring(evaluate, dataset, draw)


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and measure the discrepancy to unseen images."""
    dataset = config.images()
    feed = config.picture_feed(dataset, {"image": data.unit})
    batch = first_batch(feed)
    system = build(config, batch)
    optimizer = optax.adam(config.learning_rate)
    result = config.train(
        config.descent(system.objective, optimizer),
        system.init(config.key("init"), batch, optimizer=optimizer),
        feed,
        evaluator(config, system, dataset),
        workdir=workdir,
        fresh=fresh,
        shown=("loss",),
    )
    return result.says(
        f"MMD {float(result.metrics['unseen/mmd']):.4f} to images of the test set, at most "
        f"{NUM_COMPARED}"
    )


if __name__ == "__main__":
    command.main("gmmn", run, CONFIGS, __doc__ or "")
