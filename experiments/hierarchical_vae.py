"""A VAE of several stochastic layers.    python -m experiments.hierarchical_vae

p(x|h1) p(h1|h2) ... p(hL), by default the IWAE paper's two layers: 100 latents under two
deterministic layers of 200 units, and 50 under two of 100. Scored as `experiments.iwae` scores.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import numpy as np

from experiments.command import main
from experiments.explicit import logits, mean_image, starting_at, with_error
from experiments.iwae import PAPER_SCHEDULE, IWAEOptions, train_and_show
from gan_jax import losses
from gan_jax.games import DescentState
from gan_jax.metrics import active_units
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import HierarchicalVAE, hierarchical_vae, iwae
from gan_jax.training.rundir import SAMPLES

PUBLISHED = {
    ("vae", 1): "85.33 (16+5)",
    ("vae", 5): "85.01 (17+5)",
    ("vae", 50): "84.78 (17+5)",
    ("iwae", 1): "85.33 (16+5)",
    ("iwae", 5): "83.89 (21+5)",
    ("iwae", 50): "82.90 (26+7)",
}
"""Table 1 of Burda, Grosse & Salakhutdinov 2016: NLL and active units of MNIST, two layers."""


@dataclass(frozen=True, kw_only=True)
class Config(IWAEOptions):
    latent_dims: tuple[int, ...] = (100, 50)
    """Latents of each stochastic layer, from the data upwards."""
    widths: tuple[int, ...] = (200, 100)
    """Units of each of the two deterministic layers between it and the layer below."""
    steps: int = 2_250
    steps_per_dispatch: int = 45
    evaluate_every: int = 450
    checkpoint_every: int = 450

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.widths) != len(self.latent_dims):
            raise ValueError(
                f"--widths are {len(self.widths)} and --latent-dims {len(self.latent_dims)}; give "
                "one of each for every stochastic layer."
            )
        if min((*self.latent_dims, *self.widths), default=0) < 1:
            raise ValueError("--latent-dims and --widths must be at least 1, of at least 1 layer.")


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
    num_active: list[int]
    config: Config
    samples: Path

    def __str__(self) -> str:
        config = self.config
        published = PUBLISHED.get((config.objective, config.num_samples), "no such row")
        return (
            f"{config.objective}, k = {config.num_samples}: negative log-likelihood "
            f"{with_error(self.nll)} nats on {len(self.nll)} images of {config.dataset}'s test "
            f"set, {'+'.join(map(str, self.num_active))} active units\n"
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
    layers = model.encode(key_bound, weights, unseen)
    active = [int(active_units(layer.mean).sum()) for layer in layers]
    return Result(state, nll, active, config, workdir / SAMPLES)


def build(config: Config, dataset, shape: tuple[int, ...]) -> HierarchicalVAE:
    glorot = nn.initializers.glorot_uniform()
    bias = starting_at(logits(mean_image(dataset)))
    encoder = partial(MLPEncoder, activation=nn.tanh, kernel_init=glorot)
    decoder = partial(MLPGenerator, activation=nn.tanh, kernel_init=glorot)
    widths = [(width,) * 2 for width in config.widths]
    model = hierarchical_vae(
        encoders=[encoder(2 * d, w) for d, w in zip(config.latent_dims, widths, strict=True)],
        decoders=[
            decoder(shape, widths[0], output_bias_init=bias),
            *(decoder((2 * d,), w) for d, w in zip(config.latent_dims, widths[1:], strict=False)),
        ],
        likelihood=losses.bernoulli(),
        latent_dims=config.latent_dims,
        num_samples=config.num_samples,
    )
    if config.objective == "vae":
        return model
    return iwae(model, num_samples=config.num_samples)


if __name__ == "__main__":
    main("hierarchical_vae", run, CONFIGS, __doc__ or "")
