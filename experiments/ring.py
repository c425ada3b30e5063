"""Mixtures of Gaussians in the plane (Srivastava et al. 2017).    python -m experiments.ring

Learns a ring, or a grid, of Gaussians, and counts the modes that the generator covers, by the
protocol of VEEGAN and PacGAN: 2,500 samples, three standard deviations.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import command, options, play
from experiments.harness.bounds import Count, Size
from gan_jax import data, plots
from gan_jax.checks import Bound
from gan_jax.errors import Refusal
from gan_jax.games import averaged
from gan_jax.metrics import mode_coverage
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch

NUM_POINTS = 100_000
NUM_SAMPLES = 2_500
AT_MOST_NUM_SAMPLES = Bound(lambda x: x <= NUM_SAMPLES, f"at most {NUM_SAMPLES}, as the samples")


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions):
    mixture: Literal["ring", "grid"] = "ring"
    """Modes on a circle of radius 1 (std 0.01), or on a square lattice of spacing 2 (std 0.05)."""
    num_modes: Annotated[Size, AT_MOST_NUM_SAMPLES] = 8
    """How many Gaussians, up to as many as the samples; a square number for the grid."""
    width: Size = 128
    """Units in each of the three hidden layers of both networks."""
    latent_dim: Size = 2
    """Size of the latents, from N(0, I)."""
    steps: Count = 10_000
    batch_size: Size = 256
    learning_rate: float = 1e-3
    average_decay: float = 0.99
    steps_per_dispatch: Count = 500
    evaluate_every: Count = 2_500
    checkpoint_every: Count = 2_500


CONFIGS = {"ring": Config(), "grid": Config(mixture="grid", num_modes=25, steps=20_000)}


def choose_mixture(config: Config) -> data.Mixture:
    if config.mixture == "ring":
        return data.ring(config.num_modes)
    side = math.isqrt(config.num_modes)
    if side**2 != config.num_modes:
        raise Refusal(
            f"--num-modes is {config.num_modes}; a grid needs a square number (4, 9, 16, 25, ...)."
        )
    return data.grid(side)


def build(config: Config, batch: Batch) -> GAN:
    widths = (config.width,) * 3
    return GAN(
        generator=MLPGenerator((2,), widths, dtype=config.network_dtype),
        discriminator=MLPDiscriminator(widths, dtype=config.network_dtype),
        loss=play.LOSSES[config.loss](),
        latents=networks.normal(config.latent_dim),
        field="point",
    )


def of_points(system: GAN, mixture: data.Mixture, dataset: data.Dataset) -> options.Evaluate:
    """Count the modes that samples cover, and draw them over the discriminator's surface.

    What the generator itself covers, beside its moving average, is under `live/`.
    """
    real = options.first_examples(dataset, NUM_SAMPLES)["point"]
    sample = jax.jit(system.sample, static_argnums=2)
    judge = jax.jit(system.discriminate)

    def evaluate(key, state) -> Evaluation:
        generated, live = (
            sample(key, weights, NUM_SAMPLES)
            for weights in (averaged(state).generator, state.generator.weights)
        )
        coverage, of_live = (
            mode_coverage(points, mixture.means, mixture.std) for points in (generated, live)
        )
        picture = plots.points_over_surface(
            real=real,
            generated=np.asarray(generated),
            surface=lambda plane: judge(state.discriminator.weights, jnp.asarray(plane)),
            title=f"step {int(state.step)}: {int(coverage.modes)} of {len(mixture.means)} modes, "
            f"{float(coverage.high_quality):.0%} high quality",
        )
        metrics = {f"live/{name}": value for name, value in of_live._asdict().items()}
        return Evaluation({"points": picture}, metrics | coverage._asdict())

    return evaluate


def evaluator(config: Config, system: GAN, dataset: data.Dataset) -> options.Evaluate:
    return of_points(system, choose_mixture(config), dataset)


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and evaluate 2,500 samples by the protocol of VEEGAN and PacGAN."""
    mixture = choose_mixture(config)
    points = data.mixtures.sample(config.key("data"), mixture, NUM_POINTS)
    dataset = data.ArrayDataset({"point": np.asarray(points)})
    feed = config.feed(dataset, {"point": None})
    system = build(config, batch_shapes(feed))
    evaluate = evaluator(config, system, dataset)
    result = config.play(system, feed, evaluate, workdir=workdir, fresh=fresh, unit="points")
    modes, high_quality, reverse_kl = (
        float(result.metrics[name]) for name in ("modes", "high_quality", "reverse_kl")
    )
    return result.says(
        f"{modes:.0f} of {config.num_modes} modes, {high_quality:.1%} high-quality samples (a "
        f"perfect sampler: 98.9%), reverse KL {reverse_kl:.3f} nats; without its moving average "
        "{live/modes:.0f} modes, {live/high_quality:.1%}".format_map(result.metrics)
    )


if __name__ == "__main__":
    command.main("ring", run, CONFIGS, __doc__ or "")
