"""The IWAE (Burda, Grosse & Salakhutdinov 2016).    python -m experiments.iwae

One stochastic layer, trained by the bound of the VAE or by that of the IWAE with k samples, and
scored by the negative log-likelihood of unseen images with 5,000 importance samples.
Cost: a minute and a half on 2 CPU cores; expect a negative log-likelihood of 107.4 +- 1.3 nats
(seed 0; standard error over images).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax

from experiments.command import main
from experiments.explicit import (
    LikelihoodOptions,
    logits,
    mean_image,
    refuse_brightnesses,
    starting_at,
    with_error,
)
from gan_jax import losses
from gan_jax.data import Dataset
from gan_jax.games import DescentState, Weights
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
NUM_BOUNDED = 100
NUM_STAGES = 8


@dataclass(frozen=True, kw_only=True)
class IWAEOptions(LikelihoodOptions):
    """How the bound is taken, and how long steps stay long."""

    objective: Literal["iwae", "vae"] = "iwae"
    """The importance-weighted bound of k samples, or the mean of k samples of the plain one."""
    num_samples: int = 5
    """k, the samples of each image in each step."""
    schedule: Literal["constant", "paper"] = "constant"
    """The learning rate as it is, or divided by 10^(i/7) for 3^i epochs, i = 0 to 7."""
    num_importance_samples: int = 5_000
    steps: int = 2_250
    steps_per_dispatch: int = 45
    evaluate_every: int = 450
    checkpoint_every: int = 450

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_brightnesses(self.binarization)

    def optimizer(self, num_examples: int) -> optax.GradientTransformation:
        rate = self.learning_rate
        if self.schedule == "paper":
            rate = stages(self.learning_rate, num_examples / self.batch_size)
        return optax.adam(rate, eps=1e-4)


@dataclass(frozen=True, kw_only=True)
class Config(IWAEOptions):
    width: int = 200
    """Units of each of the two deterministic layers on both sides."""
    latent_dim: int = 50


MNIST: dict[str, Any] = {
    "dataset": "mnist",
    "num_unseen": 1_000,
    "steps": 6_000,
    "steps_per_dispatch": 100,
    "evaluate_every": 1_000,
    "checkpoint_every": 500,
}
PAPER: dict[str, Any] = {
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
CONFIGS = {"digits": Config(), "mnist": Config(**MNIST), "paper": Config(**PAPER)}


class Result(NamedTuple):
    state: DescentState
    unseen: Batch
    key: KeyArray  # for what comes after
    nll: np.ndarray
    num_active: list[int]
    config: IWAEOptions
    published: dict[tuple[str, int], str]
    samples: Path

    def __str__(self) -> str:
        config = self.config
        row = self.published.get((config.objective, config.num_samples), "no such row")
        return (
            f"{config.objective}, k = {config.num_samples}: negative log-likelihood "
            f"{with_error(self.nll)} nats on {len(self.nll)} images of {config.dataset}'s test "
            f"set, {'+'.join(map(str, self.num_active))} active units\n"
            f"published for MNIST after 3,280 epochs: {row}; samples in {self.samples}"
        )


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train, draw samples, and estimate the likelihood of unseen images."""
    dataset = config.images()
    model = build(config, mean_image(dataset))

    def means(key: KeyArray, weights: Weights, batch: Batch) -> list[jax.Array]:
        return [model.encode(weights, batch).mean]

    return train_and_score(config, model, dataset, means, PUBLISHED, workdir=workdir, fresh=fresh)


def train_and_score(
    config: IWAEOptions,
    model: VAE | HierarchicalVAE,
    dataset: Dataset,
    means: Callable[[KeyArray, Weights, Batch], list[jax.Array]],
    published: dict[tuple[str, int], str],
    *,
    workdir: Path,
    fresh: bool,
) -> Result:
    """Train, drawing samples on the way; score. `means` gives each layer's E_q(h|x) of a batch."""
    key_run, key_init, key_shown, key_pixels, key_bound, key_nll, key_after = config.keys(7)
    unseen = {"image": config.unseen(key_pixels)[0]}
    some = {"image": unseen["image"][:NUM_BOUNDED]}
    optimizer = config.optimizer(len(dataset))
    bound = jax.jit(model.objective)

    def evaluate(step: int, state: DescentState) -> dict[str, float]:
        images = np.asarray(model.sample(key_shown, state, NUM_SHOWN))
        if jax.process_index() == 0:
            save_image_grid(workdir / SAMPLES / f"{step:06d}.png", 2 * images - 1)
        outcome = bound(weights=state.player.weights, batch=some, key=key_bound)
        return {"unseen/loss": float(outcome.loss)}

    state = config.descend(
        config.descent(model.objective, optimizer),
        model.init(key_init, optimizer=optimizer),
        dataset,
        evaluate,
        key=key_run,
        workdir=workdir,
        fresh=fresh,
    )
    weights = state.player.weights
    active = [
        int(active_units(m).sum()) for m in means(jax.random.fold_in(key_bound, 1), weights, unseen)
    ]
    nll = config.negative_log_likelihoods(key_nll, model.log_weights, weights, unseen)
    return Result(state, unseen, key_after, nll, active, config, published, workdir / SAMPLES)


def build(config: Config, mean: jax.Array, kl: Literal["closed", "sampled"] = "sampled") -> VAE:
    glorot = nn.initializers.glorot_uniform()
    widths = (config.width,) * 2
    model = vae(
        encoder=MLPEncoder(2 * config.latent_dim, widths, nn.tanh, kernel_init=glorot),
        decoder=MLPGenerator(
            mean.shape,
            widths,
            nn.tanh,
            kernel_init=glorot,
            output_bias_init=starting_at(logits(mean)),
        ),
        likelihood=losses.bernoulli(),
        latent_dim=config.latent_dim,
        kl=kl,
        num_samples=config.num_samples,
    )
    if config.objective == "vae":
        return model
    return iwae(model, num_samples=config.num_samples)


def stages(learning_rate: float, steps_per_epoch: float) -> optax.Schedule:
    """0.001 · 10^(-i/7) for 3^i epochs, i = 0 ... 7."""
    ends = np.cumsum(3.0 ** np.arange(NUM_STAGES)) * steps_per_epoch
    rates = [learning_rate * 10 ** (-i / 7) for i in range(NUM_STAGES)]
    return optax.join_schedules(
        [optax.constant_schedule(rate) for rate in rates], [round(end) for end in ends[:-1]]
    )


if __name__ == "__main__":
    main("iwae", run, CONFIGS, __doc__ or "")
