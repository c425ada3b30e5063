"""The IWAE (Burda, Grosse & Salakhutdinov 2016).    python -m experiments.iwae

One stochastic layer, trained by the bound of the VAE or by that of the IWAE with k samples, and
scored by the negative log-likelihood of unseen images with 5,000 importance samples.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness import command, likelihoods, options, published
from experiments.harness.bounds import Count, Size
from gan_jax import data, losses, plots
from gan_jax.games import Objective, Weights
from gan_jax.metrics import active_units
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import VAE, HierarchicalVAE, iwae
from gan_jax.training import Evaluation, first_batch
from gan_jax.typing import Batch

NUM_SHOWN = 64
NUM_BOUNDED = 100
NUM_STAGES = 8


@dataclass(frozen=True, kw_only=True)
class IWAEOptions(likelihoods.LikelihoodOptions):
    """How the bound is taken, and how long steps stay long."""

    objective: Literal["iwae", "vae"] = "iwae"
    """The importance-weighted bound of k samples, or the mean of k samples of the plain one."""
    num_samples: Size = 5
    """k, the samples of each image in each step."""
    schedule: Literal["constant", "paper"] = "constant"
    """The learning rate as it is, or divided by 10^(i/7) for 3^i epochs, i = 0 to 7."""
    num_importance_samples: Size = 5_000
    steps: Count = 2_250
    steps_per_dispatch: Count = 45
    evaluate_every: Count = 450
    checkpoint_every: Count = 450

    def __post_init__(self) -> None:
        super().__post_init__()
        likelihoods.refuse_brightnesses(self.binarization)

    def optimizer(self, num_examples: int) -> optax.GradientTransformation:
        rate = self.learning_rate
        if self.schedule == "paper":
            rate = stages(self.learning_rate, num_examples / self.batch_size)
        return optax.adam(rate, eps=1e-4)

    def objective_of(self, model: VAE | HierarchicalVAE) -> Objective:
        plain = self.objective == "vae"
        return model.objective if plain else iwae(model, num_samples=self.num_samples)


@dataclass(frozen=True, kw_only=True)
class Config(IWAEOptions):
    width: Size = 200
    """Units of each of the two deterministic layers on both sides."""
    latent_dim: Size = 50


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
TABLES = {
    "k": {f"mnist, k = {k}": replace(CONFIGS["mnist"], num_samples=k) for k in (1, 5, 50)},
}


def build(config: Config, batch: Batch, mean: jax.Array | None = None) -> VAE:
    """The model, whose outputs start at the `mean` image where it is to be trained."""
    glorot = nn.initializers.glorot_uniform()
    widths, dtype = (config.width,) * 2, jnp.dtype(config.dtype)
    return VAE(
        encoder=MLPEncoder(2 * config.latent_dim, widths, nn.tanh, kernel_init=glorot, dtype=dtype),
        decoder=MLPGenerator(
            batch["image"].shape[1:],
            widths,
            nn.tanh,
            kernel_init=glorot,
            output_bias_init=likelihoods.starting_at(mean),
            dtype=dtype,
        ),
        likelihood=losses.bernoulli(),
        latent_dim=config.latent_dim,
        kl="sampled",
        num_samples=config.num_samples,
    )


def evaluator(
    config: IWAEOptions, model: VAE | HierarchicalVAE, dataset: data.Dataset
) -> options.Evaluate:
    """Draw samples, and take the loss of unseen images."""
    some = {"image": config.unseen()[0][:NUM_BOUNDED]}
    objective = config.objective_of(model)

    @jax.jit
    def look(key, weights):
        key_drawn, key_bound = jax.random.split(key)
        outcome = objective(weights=weights, batch=some, key=key_bound)
        return model.sample(key_drawn, weights, NUM_SHOWN), outcome.loss

    def evaluate(key, state) -> Evaluation:
        images, loss = look(key, state.player.weights)
        return Evaluation({"samples": plots.brightness_grid(images)}, {"unseen/loss": loss})

    return evaluate


def train(
    config: IWAEOptions,
    build: Callable[[Any, Batch, jax.Array | None], VAE | HierarchicalVAE],
    workdir: Path,
    *,
    fresh: bool,
) -> tuple[options.Result, Any, Batch]:
    """Train, drawing samples on the way; give also the model and the unseen images."""
    dataset = config.images()
    feed = config.image_feed(dataset)
    batch = first_batch(feed)
    model = build(config, batch, likelihoods.mean_image(dataset))
    optimizer = config.optimizer(len(dataset))
    result = config.train(
        config.descent(config.objective_of(model), optimizer),
        model.init(config.key("init"), batch, optimizer=optimizer),
        feed,
        evaluator(config, model, dataset),
        workdir=workdir,
        fresh=fresh,
        shown=("loss",),
    )
    return result, model, {"image": config.unseen()[0]}


def scored(
    config: IWAEOptions,
    result: options.Result,
    model: VAE | HierarchicalVAE,
    unseen: Batch,
    means: list[jax.Array],
    reported: dict[tuple[str, int], str],
) -> options.Result:
    """Estimate the likelihood of unseen images; `means` are each layer's E_q(h|x) of them."""
    weights: Weights = result.state.player.weights
    nll = config.negative_log_likelihoods(model.log_weights, weights, unseen)
    active = [int(active_units(layer).sum()) for layer in means]
    row = reported.get((config.objective, config.num_samples), "no such row")
    scores = {f"active_units/{layer + 1}": num for layer, num in enumerate(active)}
    return result.says(
        f"{config.objective}, k = {config.num_samples}: negative log-likelihood "
        f"{likelihoods.with_error(nll)} nats on {len(nll)} images of {config.dataset}'s test "
        f"set, {'+'.join(map(str, active))} active units\n"
        f"published for MNIST after 3,280 epochs: {row}",
        {"nll": nll.mean(), **scores},
    )


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, draw samples, and estimate the likelihood of unseen images."""
    result, model, unseen = train(config, build, workdir, fresh=fresh)
    means = [model.encode(result.state.player.weights, unseen).mean]
    return scored(config, result, model, unseen, means, published.IWAE)


def stages(learning_rate: float, steps_per_epoch: float) -> optax.Schedule:
    """0.001 · 10^(-i/7) for 3^i epochs, i = 0 ... 7."""
    ends = np.cumsum(3.0 ** np.arange(NUM_STAGES)) * steps_per_epoch
    rates = [learning_rate * 10 ** (-i / 7) for i in range(NUM_STAGES)]
    return optax.join_schedules(
        [optax.constant_schedule(rate) for rate in rates], [round(end) for end in ends[:-1]]
    )


if __name__ == "__main__":
    command.main("iwae", run, CONFIGS, __doc__ or "")
