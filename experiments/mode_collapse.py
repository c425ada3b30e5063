"""How many modes a population of GANs covers.    python -m experiments.mode_collapse

Trains 64 GANs at once, alike but for their seeds, on a ring or a grid of Gaussians, by any method
and any loss, packed or not, and counts the modes that each covers, beside the published rows.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import command, options, play
from experiments.harness.bounds import Count, CountOr0, Rate, Several, Weight
from experiments.harness.methods import MethodName, choose
from gan_jax import data, plots
from gan_jax.metrics import mode_coverage
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation, read_log
from gan_jax.typing import Batch

NUM_SAMPLES = 2_500
MIXTURES = {"ring": data.ring(), "grid": data.grid()}
PUBLISHED = {
    "ring": {
        "GAN (VEEGAN, 5 runs)": "1 modes, 99.3 %",
        "unrolled GAN (VEEGAN, 5 runs)": "7.6 modes, 35.6 %",
        "VEEGAN (VEEGAN, 5 runs)": "8 modes, 52.9 %",
        "GAN (PacGAN, 10 runs)": "6.3 ± 0.5 modes, 98.2 ± 0.2 %, reverse KL 0.45 ± 0.09",
        "PacGAN 2 (PacGAN, 10 runs)": "7.9 ± 0.1 modes, 95.6 ± 2.0 %, reverse KL 0.07 ± 0.03",
        "PacGAN 3 (PacGAN, 10 runs)": "7.8 ± 0.1 modes, 97.7 ± 0.3 %, reverse KL 0.10 ± 0.02",
        "PacGAN 4 (PacGAN, 10 runs)": "7.8 ± 0.1 modes, 95.9 ± 1.4 %, reverse KL 0.07 ± 0.02",
    },
    "grid": {
        "GAN (VEEGAN, 5 runs)": "3.3 modes, 0.5 %",
        "unrolled GAN (VEEGAN, 5 runs)": "23.6 modes, 16 %",
        "VEEGAN (VEEGAN, 5 runs)": "24.6 modes, 40 %",
        "GAN (PacGAN, 10 runs)": "17.3 ± 0.8 modes, 94.8 ± 0.7 %, reverse KL 0.70 ± 0.07",
        "PacGAN 2 (PacGAN, 10 runs)": "23.8 ± 0.7 modes, 91.3 ± 0.8 %, reverse KL 0.13 ± 0.04",
        "PacGAN 3 (PacGAN, 10 runs)": "24.6 ± 0.4 modes, 94.2 ± 0.4 %, reverse KL 0.06 ± 0.02",
        "PacGAN 4 (PacGAN, 10 runs)": "24.8 ± 0.2 modes, 93.6 ± 0.6 %, reverse KL 0.04 ± 0.01",
    },
}
"""Srivastava et al. 2017 (VEEGAN), table 1; Lin et al. 2018 (PacGAN), table 1 (± standard errors).

Same mixtures, 2,500 samples and thresholds; their networks, batches and numbers of steps differ
from each other and from ours.
"""


@dataclass(frozen=True, kw_only=True)
class Config(options.RunOptions):
    mixture: Literal["ring", "grid"] = "ring"
    """8 modes on a circle of radius 1 (std 0.01), or 25 on a lattice of spacing 2 (std 0.05)."""
    method: MethodName = "alternating"
    """The way of playing, on Adam with beta1 = 0.5."""
    loss: play.LossName = "non_saturating"
    """The adversarial loss."""
    packing: Count = 1
    """Examples that the discriminator judges at once, joined (PacGAN)."""
    num_minibatch_kernels: CountOr0 = 0
    """Features of minibatch discrimination in the discriminator's last layer; 0 for none."""
    weight: Weight = 10.0
    """Of consensus and of symplectic adjustment."""
    num_unrolled_steps: CountOr0 = 5
    """Moves of the discriminator that an unrolled generator foresees."""
    num_seeds: Several = 64
    """GANs in the population."""
    width: Count = 64
    """Units in each of the three hidden layers of both networks."""
    latent_dim: Count = 2
    """Size of the latents, from N(0, I)."""
    batch_size: Count = 128
    """Logits on real points, and as many on fakes, in each step of each GAN."""
    learning_rate: Rate = 1e-3
    """Adam's, for both players."""
    steps: Count = 4_000
    steps_per_dispatch: Count = 100
    evaluate_every: Count = 500
    checkpoint_every: Count = 1_000

    @property
    def examples_per_step(self) -> int:
        return self.num_seeds


CONFIGS = {
    "gan": Config(),
    "unrolled": Config(method="unrolled"),
    "pac2": Config(packing=2),
    "pac3": Config(packing=3),
    "pac4": Config(packing=4),
    "minibatch": Config(num_minibatch_kernels=4, num_seeds=16),
}


def build(config: Config) -> GAN:
    widths = (config.width,) * 3
    return GAN(
        generator=MLPGenerator((2,), widths),
        discriminator=MLPDiscriminator(widths, num_minibatch_kernels=config.num_minibatch_kernels),
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
            f"{name}/{statistic}": float(of(values))
            for name, values in coverage._asdict().items()
            for statistic, of in (("mean", np.mean), ("std", deviation), ("error", error))
        }
        now = {"step": int(state.step[0]), **metrics}
        return Evaluation({"coverage": picture(config, workdir, now)}, metrics)

    return evaluate


def deviation(values: np.ndarray, ddof: int = 0) -> float:
    """The standard deviation; nan beside a GAN without one good sample, whose KL is infinite."""
    return float(np.std(values, ddof=ddof)) if np.isfinite(values).all() else math.nan


def error(values: np.ndarray) -> float:
    """The standard error of the mean."""
    return deviation(values, ddof=1) / math.sqrt(len(values))


def picture(config: Config, workdir: Path, now: dict[str, float]) -> plots.Picture:
    """What the log has of earlier evaluations, and this one."""
    lines = [line for line in read_log(workdir) if "modes/mean" in line] + [now]

    def band(name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        columns = (f"{name}/mean", f"{name}/std")
        mean, spread = (np.array([line[column] for line in lines]) for column in columns)
        return {f"{config.method}, packing {config.packing}": (mean, spread)}

    return plots.coverage_curves(
        steps=np.array([line["step"] for line in lines]),
        modes=band("modes"),
        high_quality=band("high_quality"),
        num_modes=len(MIXTURES[config.mixture].means),
    )


def table(config: Config, metrics) -> str:
    """The published rows, and this run's."""
    modes, high_quality, reverse_kl = (
        (metrics[f"{name}/mean"], metrics[f"{name}/error"])
        for name in ("modes", "high_quality", "reverse_kl")
    )
    ours = (
        f"{modes[0]:.2f} ± {modes[1]:.2f} modes, "
        f"{100 * high_quality[0]:.1f} ± {100 * high_quality[1]:.1f} %, "
        f"reverse KL {reverse_kl[0]:.3f} ± {reverse_kl[1]:.3f}"
    )
    rows = {**PUBLISHED[config.mixture], f"this run ({config.num_seeds} runs)": ours}
    lines = [f"{name:32s} {row}" for name, row in rows.items()]
    return "\n".join(
        [*lines, "means ± standard errors; a perfect sampler has 98.9 % of high quality"]
    )


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train the population, and evaluate each GAN by the protocol of VEEGAN and PacGAN."""
    system, num_points = build(config), config.packing * config.batch_size
    method = choose(
        config.method,
        system.game,
        learning_rate=config.learning_rate,
        rule="adam",
        weight=config.weight,
        num_unrolled_steps=config.num_unrolled_steps,
    )

    def init(key):
        blank = {"point": jnp.zeros((1, 2))}
        return method.remember(system.init(key, blank, optimizers=method.optimizers))

    def draw(key, num_seeds: int) -> Batch:
        """Points for each GAN of the population."""
        points = data.mixtures.sample(key, MIXTURES[config.mixture], num_seeds * num_points)
        return {"point": points.reshape(num_seeds, num_points, 2)}

    def step(key, state, batch):
        """Every GAN plays one step on data of its own; metrics are means over the population."""
        keys = jax.random.split(key, config.num_seeds)
        state, metrics = jax.vmap(method.step)(keys, state, batch)
        return state, {name: jnp.mean(values) for name, values in metrics.items()}

    result = config.train(
        step,
        jax.vmap(init)(jax.random.split(config.key("init"), config.num_seeds)),
        data.drawn_feed(draw, batch_size=config.examples_per_step),
        evaluator(config, system, workdir),
        workdir=workdir,
        fresh=fresh,
        unit="GANs",
    )
    return result.says(table(config, result.metrics))


if __name__ == "__main__":
    command.main("mode_collapse", run, CONFIGS, __doc__ or "")
