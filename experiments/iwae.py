"""The IWAE (Burda, Grosse & Salakhutdinov 2016).    python -m experiments.iwae

One stochastic layer, trained by the bound of the VAE or by that of the IWAE with k samples, and
scored by the negative log-likelihood of unseen images with 5,000 importance samples.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax

from experiments.command import main
from experiments.explicit import ImageOptions, logits, mean_image, starting_at, with_error
from gan_jax import losses
from gan_jax.data import Dataset
from gan_jax.games import DescentState
from gan_jax.metrics import active_units
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.plots import save_image_grid
from gan_jax.systems import VAE, HierarchicalVAE, iwae, vae
from gan_jax.training.rundir import SAMPLES
from gan_jax.typing import Batch, KeyArray

PUBLISHED = {
    ("vae", 1): "86.76 (19)",
    ("vae", 5): "86.47 (20)",
    ("vae", 50): "86.35 (20)",
    ("iwae", 1): "86.76 (19)",
    ("iwae", 5): "85.54 (22)",
    ("iwae", 50): "84.78 (25)",
}
"""Table 1 of the paper: NLL and active units of MNIST, one layer, 3,280 epochs."""
NUM_SHOWN = 64
STAGES = 8


@dataclass(frozen=True, kw_only=True)
class IWAEOptions(ImageOptions):
    """How the bound is taken, and how long steps stay long."""

    num_importance_samples: int = 5_000
    objective: Literal["iwae", "vae"] = "iwae"
    """The importance-weighted bound of k samples, or the mean of k samples of the plain one."""
    num_samples: int = 5
    """k, the samples of each image in each step."""
    schedule: Literal["constant", "paper"] = "constant"
    """The learning rate as it is, or the paper's: divided by 10^(i/7) in stage i of 0 to 7, each
    three times as long as the one before, scaled to the steps of this run."""

    def optimizer(self) -> optax.GradientTransformation:
        rate = self.learning_rate
        if self.schedule == "paper":
            rate = stages(self.learning_rate, self.steps)
        return optax.adam(rate, eps=1e-4)


@dataclass(frozen=True, kw_only=True)
class Config(IWAEOptions):
    width: int = 200
    """Units of each of the two deterministic layers on both sides."""
    latent_dim: int = 50
    steps: int = 2_250
    steps_per_dispatch: int = 45
    evaluate_every: int = 450
    checkpoint_every: int = 450


PAPER_SCHEDULE: dict[str, Any] = {
    "dataset": "mnist",
    "batch_size": 20,
    "num_samples": 50,
    "schedule": "paper",
    "num_unseen": 10_000,
    "steps": 9_840_000,
    "steps_per_dispatch": 1_000,
    "evaluate_every": 100_000,
    "checkpoint_every": 100_000,
}
CONFIGS = {
    "digits": Config(),
    "mnist": Config(
        dataset="mnist",
        num_unseen=1_000,
        steps=6_000,
        steps_per_dispatch=100,
        evaluate_every=1_000,
        checkpoint_every=500,
    ),
    "paper": Config(**PAPER_SCHEDULE),
}


class Result(NamedTuple):
    state: DescentState
    nll: np.ndarray
    num_active: int
    config: Config
    samples: Path

    def __str__(self) -> str:
        config = self.config
        published = PUBLISHED.get((config.objective, config.num_samples), "no such row")
        return (
            f"{config.objective}, k = {config.num_samples}: negative log-likelihood "
            f"{with_error(self.nll)} nats on {len(self.nll)} images of {config.dataset}'s test "
            f"set, {self.num_active} active units\n"
            f"published for MNIST after 3,280 epochs: {published}; samples in {self.samples}"
        )


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train, draw samples, and estimate the likelihood of unseen images."""
    dataset = config.images()
    key_run, key_init, key_shown, key_pixels, key_bound, key_nll = config.keys(6)
    unseen = {"image": config.unseen(key_pixels)}
    model = build(config, dataset, unseen["image"].shape[1:])
    state = train_and_show(
        config,
        model,
        dataset,
        unseen,
        keys=(key_run, key_init, key_shown, key_bound),
        workdir=workdir,
        fresh=fresh,
    )
    weights = state.player.weights
    nll = config.negative_log_likelihoods(key_nll, model.log_weights, weights, unseen)
    active = int(active_units(model.encode(weights, unseen).mean).sum())
    return Result(state, nll, active, config, workdir / SAMPLES)


def train_and_show(
    config: IWAEOptions,
    model: VAE | HierarchicalVAE,
    dataset: Dataset,
    unseen: Batch,
    *,
    keys: tuple[KeyArray, KeyArray, KeyArray, KeyArray],
    workdir: Path,
    fresh: bool,
) -> DescentState:
    """Train, and draw samples and take the bound of unseen images on the way."""
    key_run, key_init, key_shown, key_bound = keys
    optimizer = config.optimizer()
    bound = jax.jit(model.objective)

    def evaluate(step: int, state: DescentState) -> dict[str, float]:
        images = np.asarray(model.sample(key_shown, state, NUM_SHOWN))
        if jax.process_index() == 0:
            save_image_grid(workdir / SAMPLES / f"{step:06d}.png", 2 * images - 1)
        outcome = bound(weights=state.player.weights, batch=unseen, key=key_bound)
        return {"unseen/loss": float(outcome.loss)}

    return config.descend(
        config.descent(model.objective, optimizer),
        model.init(key_init, optimizer=optimizer),
        dataset,
        evaluate,
        key=key_run,
        workdir=workdir,
        fresh=fresh,
    )


def build(config: Config, dataset, shape: tuple[int, ...]) -> VAE:
    glorot = nn.initializers.glorot_uniform()
    bias = starting_at(logits(mean_image(dataset)))
    widths = (config.width,) * 2
    model = vae(
        encoder=MLPEncoder(2 * config.latent_dim, widths, nn.tanh, kernel_init=glorot),
        decoder=MLPGenerator(shape, widths, nn.tanh, kernel_init=glorot, output_bias_init=bias),
        likelihood=losses.bernoulli(),
        latent_dim=config.latent_dim,
        kl="sampled",
        num_samples=config.num_samples,
    )
    if config.objective == "vae":
        return model
    return iwae(model, num_samples=config.num_samples)


def stages(learning_rate: float, steps: int) -> optax.Schedule:
    """0.001 · 10^(-i/7) for 3^i epochs, i = 0 ... 7, in the shares that these are of all epochs."""
    ends = np.cumsum(3.0 ** np.arange(STAGES))
    boundaries = [round(steps * end / ends[-1]) for end in ends[:-1]]
    rates = [learning_rate * 10 ** (-i / 7) for i in range(STAGES)]
    return optax.join_schedules([optax.constant_schedule(r) for r in rates], boundaries)


if __name__ == "__main__":
    main("iwae", run, CONFIGS, __doc__ or "")
