"""A discriminator knows the ratio of densities.    python -m experiments.density_ratio

Two Gaussians, N(0, 1) and N(1, 1): log p/q = 1/2 - x. A logistic discriminator and three critics of
f-GAN are trained to tell their samples apart, and the ratio is read back from each.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from experiments.harness import command, options, rates
from experiments.harness.bounds import Count, Rate, Size
from experiments.harness.two_gaussians import TwoGaussiansOptions, objective
from gan_jax import losses, plots
from gan_jax.nets import MLPDiscriminator
from gan_jax.systems import networks
from gan_jax.training import Evaluation
from gan_jax.typing import Batch

ESTIMATORS = {
    "logistic": (losses.non_saturating(), losses.logistic_density_ratio),
    **{
        name: (losses.f_gan(row), partial(losses.density_ratio, row))
        for name, row in {
            "kl": losses.fdivergence.kl(),
            "reverse_kl": losses.fdivergence.reverse_kl(),
            "pearson_chi2": losses.fdivergence.pearson_chi2(),
        }.items()
    },
}
GRID = np.linspace(-1.0, 2.0, 61, dtype=np.float32)
"""The bulk of both: within one standard deviation outside of the means."""
EXACT = 0.5 - GRID


@dataclass(frozen=True, kw_only=True)
class Config(TwoGaussiansOptions, rates.CosineOptions):
    batch_size: Size = 2_048
    learning_rate: Rate = 3e-3
    decay_steps: Count = 3_000
    steps: Count = 3_000
    steps_per_dispatch: Count = 100
    evaluate_every: Count = 1_000
    checkpoint_every: Count = 1_000


CONFIGS = {"gaussians": Config()}


def build(config: Config, batch: Batch | None = None) -> MLPDiscriminator:
    return config.network()


def evaluator(config: Config, network: MLPDiscriminator) -> options.Evaluate:
    """Read the log ratio off every critic, and draw it beside the exact one."""

    def evaluate(key, state) -> Evaluation:
        log_ratios, metrics = {}, {}
        for name, (_, ratio) in ESTIMATORS.items():
            output = networks.infer(network, state[name].player.weights, jnp.asarray(GRID)[:, None])
            # A chi-squared critic may ask for a negative ratio before it is trained.
            log_ratios[name] = np.log(np.maximum(ratio(output), 1e-6))
            slope, intercept = np.polyfit(GRID, log_ratios[name], 1)
            metrics |= {f"{name}/slope": slope, f"{name}/intercept": intercept}
            metrics[f"{name}/error"] = np.max(np.abs(log_ratios[name] - EXACT))
        curves = {"exact": EXACT, **log_ratios}
        picture = plots.curves(x=GRID, curves=curves, x_label="x", y_label="log p(x)/q(x)")
        return Evaluation({"log_ratios": picture}, metrics)

    return evaluate


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train all discriminators on the same samples, and read the ratio back."""
    network = build(config)
    result = config.tell_apart(
        {name: partial(objective, network, loss) for name, (loss, _) in ESTIMATORS.items()},
        config.cosine(),
        1.0,
        evaluator(config, network),
        workdir=workdir,
        fresh=fresh,
        shown=("logistic/loss",),
    )
    read = [
        "{} {:.3f} {:+.3f} x (largest error {:.3f})".format(
            name, *(result.metrics[f"{name}/{what}"] for what in ("intercept", "slope", "error"))
        )
        for name in ESTIMATORS
    ]
    return result.says(f"log p/q = 0.5 - x, read off: {'; '.join(read)}")


if __name__ == "__main__":
    command.main("density_ratio", run, CONFIGS, __doc__ or "")
