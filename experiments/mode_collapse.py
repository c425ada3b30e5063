"""How many modes a population of GANs covers.    python -m experiments.mode_collapse

Trains 64 GANs at once, alike but for their seeds, on a ring or a grid of Gaussians, by any method
and any loss, packed or not, and counts the modes that each covers, beside the published rows.
Cost: 3.5 minutes on 2 CPU cores, 5 to 8 packed, unrolled several times as long; expect 7.7 +- 0.1
of 8 modes and 75 % +- 2 % high-quality samples (mean and standard error over the population).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.command import main
from experiments.methods import MethodName, choose
from experiments.options import LOSSES, LossName, RunOptions
from gan_jax import data
from gan_jax.errors import Refusal
from gan_jax.games import GameState
from gan_jax.metrics import ModeCoverage, mode_coverage
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.plots import save_mode_coverage
from gan_jax.systems import gan
from gan_jax.training.logs import METRICS_FILE
from gan_jax.training.rundir import SAMPLES

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
class Config(RunOptions):
    MAY_BE_0 = frozenset({"num_minibatch_kernels", "num_unrolled_steps"})
    mixture: Literal["ring", "grid"] = "ring"
    """8 modes on a circle of radius 1 (std 0.01), or 25 on a lattice of spacing 2 (std 0.05)."""
    method: MethodName = "alternating"
    """The way of playing, on Adam with beta1 = 0.5."""
    loss: LossName = "non_saturating"
    """The adversarial loss."""
    packing: int = 1
    """Examples that the discriminator judges at once, joined (PacGAN)."""
    num_minibatch_kernels: int = 0
    """Features of minibatch discrimination in the discriminator's last layer; 0 for none."""
    weight: float = 10.0
    """Of consensus and of symplectic adjustment."""
    num_unrolled_steps: int = 5
    """Moves of the discriminator that an unrolled generator foresees."""
    num_seeds: int = 64
    """GANs in the population."""
    width: int = 64
    """Units in each of the three hidden layers of both networks."""
    latent_dim: int = 2
    """Size of the latents, from N(0, I)."""
    batch_size: int = 128
    """Logits on real points, and as many on fakes, in each step of each GAN."""
    learning_rate: float = 1e-3
    """Adam's, for both players."""
    steps: int = 4_000
    steps_per_dispatch: int = 100
    evaluate_every: int = 500
    checkpoint_every: int = 1_000


CONFIGS = {
    "gan": Config(),
    "unrolled": Config(method="unrolled"),
    "pac2": Config(packing=2),
    "pac3": Config(packing=3),
    "pac4": Config(packing=4),
    "minibatch": Config(num_minibatch_kernels=4, num_seeds=16),
}


class Result(NamedTuple):
    state: GameState
    coverage: ModeCoverage
    """With a leading axis of seeds."""
    config: Config
    picture: Path

    def __str__(self) -> str:
        config = self.config
        ours = (
            f"{mean_and_error(self.coverage.modes, '.2f')} modes, "
            f"{mean_and_error(100 * np.asarray(self.coverage.high_quality), '.1f')} %, "
            f"reverse KL {mean_and_error(self.coverage.reverse_kl, '.3f')}"
        )
        lines = [f"{name:32s} {row}" for name, row in PUBLISHED[config.mixture].items()]
        lines += [f"{f'this run ({config.num_seeds} runs)':32s} {ours}"]
        lines += ["means ± standard errors; a perfect sampler has 98.9 % of high quality"]
        return "\n".join([*lines, f"picture in {self.picture}"])


def mean_and_error(values, form: str) -> str:
    values = np.asarray(values, float)
    return f"{values.mean():{form}} ± {deviation(values, ddof=1) / math.sqrt(len(values)):{form}}"


def deviation(values: np.ndarray, ddof: int = 0) -> float:
    """The standard deviation; nan beside a GAN without one good sample, whose KL is infinite."""
    return float(np.std(values, ddof=ddof)) if np.isfinite(values).all() else math.nan


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train the population, and evaluate each GAN by the protocol of VEEGAN and PacGAN."""
    if config.num_seeds < 2:
        raise Refusal(f"--num-seeds is {config.num_seeds}; a spread needs at least 2.")
    mixture = MIXTURES[config.mixture]
    widths = (config.width,) * 3
    system = gan(
        generator=MLPGenerator((2,), widths),
        discriminator=MLPDiscriminator(widths, num_minibatch_kernels=config.num_minibatch_kernels),
        loss=LOSSES[config.loss](),
        latent_dim=config.latent_dim,
        field="point",
        packing=config.packing,
    )
    method = choose(
        config.method,
        system.game,
        learning_rate=config.learning_rate,
        rule="adam",
        weight=config.weight,
        num_unrolled_steps=config.num_unrolled_steps,
    )
    key_run, key_init, key_samples = config.keys(3)

    def init(key):
        return method.remember(system.init(key, optimizers=method.optimizers))

    def play(key, state):
        key_data, key_step = jax.random.split(key)
        points = data.mixtures.sample(key_data, mixture, config.packing * config.batch_size)
        return method.step(key_step, state, {"point": points})

    def step(key, state, batch):
        """Every GAN plays one step on data of its own; metrics are means over the population."""
        state, metrics = jax.vmap(play)(jax.random.split(key, config.num_seeds), state)
        return state, {name: jnp.mean(values) for name, values in metrics.items()}

    @jax.jit
    @jax.vmap
    def measure(key, state) -> ModeCoverage:
        return mode_coverage(system.sample(key, state, NUM_SAMPLES), mixture.means, mixture.std)

    keys_samples = jax.random.split(key_samples, config.num_seeds)

    def picture_at(step: int) -> Path:
        return workdir / SAMPLES / f"{step:06d}.png"

    def evaluate(step: int, state: GameState) -> dict[str, float]:
        found = jax.device_get(measure(keys_samples, state))
        measured = {
            f"{name}/{statistic}": float(of(values))
            for name, values in found._asdict().items()
            for statistic, of in (("mean", np.mean), ("std", deviation))
        }
        save_coverage(picture_at(step), workdir, config, {"step": step, **measured})
        return measured

    state = config.train(
        step,
        jax.vmap(init)(jax.random.split(key_init, config.num_seeds)),
        data.no_feed(),
        evaluate,
        key=key_run,
        workdir=workdir,
        fresh=fresh,
        batch_size=config.num_seeds * config.packing * config.batch_size,
        unit="points",
    )
    coverage = measure(keys_samples, state)
    return Result(state, coverage, config, picture_at(int(state.step[0])))


def save_coverage(path: Path, workdir: Path, config: Config, now: dict[str, float]) -> None:
    """Draw what the log has of earlier evaluations, and this one."""
    log = workdir / METRICS_FILE
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines = [line for line in lines if "modes/mean" in line] + [now]

    def band(name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        mean, spread = (
            np.array([line[f"{name}/{statistic}"] for line in lines])
            for statistic in ("mean", "std")
        )
        return {f"{config.method}, packing {config.packing}": (mean, spread)}

    save_mode_coverage(
        path,
        steps=np.array([line["step"] for line in lines]),
        modes=band("modes"),
        high_quality=band("high_quality"),
        num_modes=len(MIXTURES[config.mixture].means),
    )


if __name__ == "__main__":
    main("mode_collapse", run, CONFIGS, __doc__ or "")
