"""A discriminator saturates, a critic does not.    python -m experiments.critic_slopes

Real data from N(0, 1), fakes from N(10, 1), both held still. D tells them apart and is flat where
the fakes are; WGAN's critic is a line whose slope leads them to the data (Arjovsky, Chintala &
Bottou 2017, figure 2).
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np

from experiments.harness import command, options
from experiments.harness.bounds import Count, Rate, Size, Weight
from experiments.harness.two_gaussians import TwoGaussiansOptions, objective
from gan_jax import losses, metrics, plots
from gan_jax.games import Objective
from gan_jax.nets import MLPDiscriminator
from gan_jax.systems import networks
from gan_jax.training import Evaluation
from gan_jax.typing import Batch

DISTANCE = 10.0
GRID = np.linspace(-3.0, DISTANCE + 3, 321, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Config(TwoGaussiansOptions):
    penalty_weight: Weight = 100.0
    """λ of the critic's gradient penalty; its slope is too large by distance/2λ."""
    batch_size: Size = 256
    learning_rate: Rate = 1e-3
    """Adam's."""
    steps: Count = 3_000
    steps_per_dispatch: Count = 100
    evaluate_every: Count = 1_000
    checkpoint_every: Count = 1_000


CONFIGS = {"gaussians": Config()}


def build(config: Config, batch: Batch | None = None) -> MLPDiscriminator:
    return config.network()


def objectives(config: Config, network: MLPDiscriminator) -> dict[str, Objective]:
    """What D, and the critic, minimises: the latter with a penalty of slopes other than 1."""
    return {
        "discriminator": partial(objective, network, losses.minimax()),
        "critic": partial(objective, network, losses.wasserstein(), config.penalty_weight),
    }


def evaluator(config: Config, network: MLPDiscriminator) -> options.Evaluate:
    """Draw D and the critic, and take their slopes where the fakes are, and between the two."""

    @partial(jax.jit, static_argnums=0)
    def along(output, weights):
        return metrics.values_and_slopes(
            lambda x: output(networks.infer(network, weights, x)), GRID
        )

    def evaluate(key, state) -> Evaluation:
        probability, of_probability = along(nn.sigmoid, state["discriminator"].player.weights)
        score, of_score = map(np.asarray, along(jax.nn.identity, state["critic"].player.weights))
        fakes, between = np.abs(GRID - DISTANCE) < 1, (GRID > 0) & (GRID < DISTANCE)
        gap = np.interp([0, DISTANCE], GRID, score)
        measured = {
            "discriminator/slope": np.abs(of_probability)[fakes].max(),
            "critic/slope": -of_score[fakes].max(),
            "critic/steepest": -of_score[between].min(),
            "critic/distance": gap[0] - gap[1],
        }
        curves = {
            "real (density, scaled)": np.exp(-(GRID**2) / 2) / 2,
            "fake (density, scaled)": np.exp(-((GRID - DISTANCE) ** 2) / 2) / 2,
            "D": np.asarray(probability),
            "critic / distance, its mean at 1/2": (score - gap.mean()) / DISTANCE + 0.5,
        }
        picture = plots.curves(x=GRID, curves=curves, x_label="x", y_label="")
        return Evaluation({"slopes": picture}, measured)

    return evaluate


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train D and the critic on the same samples, and look at their slopes."""
    network = build(config)
    result = config.tell_apart(
        objectives(config, network),
        config.learning_rate,
        DISTANCE,
        evaluator(config, network),
        workdir=workdir,
        fresh=fresh,
        shown=("discriminator/loss", "critic/loss"),
    )
    return result.says(
        "where the fakes are D's slope is at most {discriminator/slope:.1e}, the critic's at "
        "least {critic/slope:.2f}; it puts the two {critic/distance:.2f} apart".format_map(
            result.metrics
        )
    )


if __name__ == "__main__":
    command.main("critic_slopes", run, CONFIGS, __doc__ or "")
