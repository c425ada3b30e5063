"""How many modes a population of GANs covers.    python -m experiments.mode_collapse

Trains many GANs at once, alike but for their seeds, on a ring or a grid of Gaussians, by any method
and any loss, packed or not, and counts the modes that each covers, beside the published rows.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import (
    command,
    history,
    methods,
    options,
    play,
    population,
    published,
    text,
)
from experiments.harness.bounds import Count, Decay, Rate, Several, Size, SizeOr0, Weight
from gan_jax import data, games, plots
from gan_jax.errors import Refusal
from gan_jax.metrics import mode_coverage, spread
from gan_jax.nets import GoodfellowDiscriminator, MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation
from gan_jax.typing import Batch

NUM_SAMPLES = 2_500
MIXTURES = {"ring": data.ring(), "grid": data.grid()}


@dataclass(frozen=True, kw_only=True)
class Config(methods.MethodOptions, population.PopulationOptions):
    mixture: Literal["ring", "grid"] = "ring"
    """8 modes on a circle of radius 1 (std 0.01), or 25 on a lattice of spacing 2 (std 0.05)."""
    method: methods.MethodName = "alternating"
    """The way of playing, on Adam."""
    loss: play.LossName = "non_saturating"
    """The adversarial loss."""
    packing: Size = 1
    """Examples that the discriminator judges at once, joined (PacGAN)."""
    num_minibatch_kernels: SizeOr0 = 0
    """Features of minibatch discrimination in the discriminator's last layer; 0 for none."""
    weight: Weight = 10.0
    num_seeds: Several = 64
    network: Literal["mlp", "pacgan"] = "mlp"
    """Three hidden layers in both networks, or PacGAN's: four with batch normalisation in the
    generator, and three of half as many maxout units in the discriminator."""
    dropout: bool = False
    """Drop inputs of PacGAN's discriminator with probability 0.2, and hidden units with 0.5. The
    authors' code has a function for that, and trains without it."""
    width: Size = 64
    """Units in each hidden layer, but for PacGAN's discriminator; 400 in the paper."""
    latent_dim: Size = 2
    """Size of the latents, from N(0, I)."""
    batch_size: Size = 128
    """Logits on real points, and as many on fakes, in each step of each GAN."""
    learning_rate: Rate = 1e-3
    """Adam's, for both players."""
    beta1: Decay = methods.BETA1
    """Adam's, for both players; negative momentum has its own."""
    discriminator_learning_rate: Rate | None = None
    """The discriminator's, where it is another. Before one that lags behind modes are dropped, and
    a generator of many latents runs from mode to mode."""
    steps: Count = 4_000
    steps_per_dispatch: Count = 100
    evaluate_every: Count = 500
    checkpoint_every: Count = 1_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network == "pacgan" and self.num_minibatch_kernels:
            raise Refusal(
                f"--num-minibatch-kernels is {self.num_minibatch_kernels}, but PacGAN's "
                "discriminator has none: leave it out, or take --network mlp."
            )
        if self.network == "pacgan" and self.width == 1:
            raise Refusal(
                "--width is 1, but PacGAN's discriminator has half as many units: give 2 or more."
            )
        if self.network == "mlp" and self.dropout:
            raise Refusal(
                "--dropout is for PacGAN's discriminator: leave it out, or take --network pacgan."
            )


PUBLISHED = Config(
    network="pacgan",
    width=400,
    method="simultaneous",
    num_seeds=10,
    batch_size=100,
    learning_rate=1e-4,
    beta1=0.8,
    steps=400_000,
    steps_per_dispatch=1_000,
    evaluate_every=20_000,
    checkpoint_every=100_000,
)
CONFIGS = {
    "gan": Config(),
    "unrolled": Config(method="unrolled"),
    "pac2": Config(packing=2),
    "pac3": Config(packing=3),
    "pac4": Config(packing=4),
    "slow": Config(discriminator_learning_rate=1e-4),
    "slow_pac2": Config(discriminator_learning_rate=1e-4, packing=2),
    "minibatch": Config(num_minibatch_kernels=4, num_seeds=16),
    "published": PUBLISHED,
}
TABLES = {
    f"published_{mixture}": {
        f"{mixture}_pac{packing}": replace(PUBLISHED, mixture=mixture, packing=packing)
        for packing in (1, 2, 3, 4)
    }
    for mixture in MIXTURES
}


def players(config: Config) -> tuple[nn.Module, nn.Module]:
    """The generator and the discriminator; PacGAN's have the sizes of the authors' code.

    There fakes of each place in a pack are normalised apart, and here all together.
    """
    widths = (config.width,) * 3
    if config.network == "mlp":
        kernels = config.num_minibatch_kernels
        return MLPGenerator((2,), widths), MLPDiscriminator(widths, num_minibatch_kernels=kernels)
    small = nn.initializers.normal(0.02)
    return (
        MLPGenerator((2,), (config.width,) * 4, kernel_init=small, batch_norm=True),
        GoodfellowDiscriminator(
            (config.width // 2,) * 3,
            input_dropout=0.2 if config.dropout else 0.0,
            dropout=0.5 if config.dropout else 0.0,
            kernel_init=small,
        ),
    )


def build(config: Config, batch: Batch | None = None) -> GAN:
    generator, discriminator = players(config)
    return GAN(
        generator=generator,
        discriminator=discriminator,
        loss=play.LOSSES[config.loss](),
        latents=networks.normal(config.latent_dim),
        field="point",
        packing=config.packing,
    )


def evaluator(config: Config, system: GAN, workdir: Path) -> options.Evaluate:
    """Count the modes that each GAN covers, and draw the counts so far."""
    mixture = MIXTURES[config.mixture]

    @jax.jit
    @jax.vmap
    def measure(key, weights):
        samples = system.sample(key, weights, NUM_SAMPLES)
        return mode_coverage(samples, mixture.means, mixture.std)

    def evaluate(key, state) -> Evaluation:
        keys = jax.random.split(key, config.num_seeds)
        coverage = jax.device_get(measure(keys, state.generator.weights))
        metrics = {
            f"{name}/{statistic}": value
            for name, values in coverage._asdict().items()
            for statistic, value in spread(values)._asdict().items()
        }
        past = history.up_to(workdir, {"step": int(state.step[0]), **metrics})
        return Evaluation({"coverage": picture(config, past)}, metrics)

    return evaluate


def picture(config: Config, past: dict[str, np.ndarray]) -> plots.Picture:
    """What a run has measured so far."""
    name = f"{config.method}, packing {config.packing}"
    return plots.coverage_curves(
        steps=past["step"],
        modes={name: (past["modes/mean"], past["modes/std"])},
        high_quality={name: (past["high_quality/mean"], past["high_quality/std"])},
        num_modes=len(MIXTURES[config.mixture].means),
    )


def table(config: Config, metrics) -> str:
    """The published rows, and this run's."""
    modes, quality, reverse_kl = (
        np.array([metrics[f"{name}/mean"], metrics[f"{name}/error"]])
        for name in ("modes", "high_quality", "reverse_kl")
    )
    ours = (
        text.plus_minus(*modes),
        text.plus_minus(*100 * quality, digits=1) + " %",
        text.plus_minus(*reverse_kl, digits=3),
    )
    rows = [
        ("", "modes", "high quality", "reverse KL"),
        *published.MODES[config.mixture],
        (f"this run ({config.num_seeds} runs)", *ours),
    ]
    note = "means ± standard errors; a perfect sampler has 98.9 % of high quality"
    return f"{text.table(rows)}\n{note}"


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train the population, and evaluate each GAN by the protocol of VEEGAN and PacGAN."""
    system, num_points = build(config), config.packing * config.batch_size
    method = config.choose(
        config.method, system.game, "adam", config.discriminator_learning_rate, config.beta1
    )

    def init(key):
        blank = {"point": jnp.zeros((1, 2))}
        return method.remember(system.init(key, blank, optimizers=method.optimizers))

    def draw(key, num_seeds: int) -> Batch:
        """Points for each GAN of the population."""
        points = data.mixtures.sample(key, MIXTURES[config.mixture], num_seeds * num_points)
        return {"point": points.reshape(num_seeds, num_points, 2)}

    result = config.train(
        games.population(method.step),
        config.members(init),
        data.drawn_feed(draw, batch_size=config.examples_per_step),
        evaluator(config, system, workdir),
        workdir=workdir,
        fresh=fresh,
        unit="GANs",
    )
    return result.says(table(config, result.metrics))


if __name__ == "__main__":
    command.main("mode_collapse", run, CONFIGS, __doc__ or "")
