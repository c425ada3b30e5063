"""A VAE of several stochastic layers.    python -m experiments.hierarchical_vae

p(x|h1) p(h1|h2) ... p(hL), by default the IWAE paper's two layers: 100 latents under two
deterministic layers of 200 units, and 50 under two of 100. Scored as `experiments.iwae` scores.
Cost: two minutes on 2 CPU cores; expect a negative log-likelihood of 108.3 +- 1.5 nats (seed 0;
standard error over images).
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp

from experiments.command import main
from experiments.explicit import logits, mean_image, starting_at
from experiments.iwae import MNIST, PAPER, IWAEOptions, Result, train_and_score
from gan_jax import losses
from gan_jax.errors import Refusal
from gan_jax.games import Weights
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import HierarchicalVAE, hierarchical_vae, iwae
from gan_jax.typing import Batch, KeyArray

PUBLISHED = {
    ("vae", 1): "85.33 (16+5)",
    ("vae", 5): "85.01 (17+5)",
    ("vae", 50): "84.78 (17+5)",
    ("iwae", 1): "85.33 (16+5)",
    ("iwae", 5): "83.89 (21+5)",
    ("iwae", 50): "82.90 (26+7)",
}
"""Table 1 of Burda, Grosse & Salakhutdinov 2016: NLL and active units of MNIST, two layers."""
NUM_AVERAGED = 400


@dataclass(frozen=True, kw_only=True)
class Config(IWAEOptions):
    latent_dims: tuple[int, ...] = (100, 50)
    """Latents of each stochastic layer, from the data upwards."""
    widths: tuple[int, ...] = (200, 100)
    """Units of each of the two deterministic layers between it and the layer below."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.widths) != len(self.latent_dims):
            raise Refusal(
                f"--widths are {len(self.widths)} and --latent-dims {len(self.latent_dims)}; give "
                "one of each for every stochastic layer."
            )
        if not self.latent_dims:
            raise Refusal("--latent-dims are none; give those of at least 1 stochastic layer.")


CONFIGS = {"digits": Config(), "mnist": Config(**MNIST), "paper": Config(**PAPER)}


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train, draw samples, and estimate the likelihood of unseen images."""
    dataset = config.images()
    model = build(config, mean_image(dataset))

    @jax.jit
    def means(key: KeyArray, weights: Weights, batch: Batch) -> list[jax.Array]:
        """The lower layers, which the upper ones are given, are averaged out."""

        def drawn(key):
            return [layer.mean for layer in model.encode(key, weights, batch)]

        def add(total, key):
            return jax.tree.map(jnp.add, total, drawn(key)), None

        keys = jax.random.split(key, NUM_AVERAGED)
        total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, drawn(key)), keys)
        return [layer / NUM_AVERAGED for layer in total]

    return train_and_score(config, model, dataset, means, PUBLISHED, workdir=workdir, fresh=fresh)


def build(config: Config, mean: jax.Array) -> HierarchicalVAE:
    glorot = nn.initializers.glorot_uniform()
    bias = starting_at(logits(mean))
    encoder = partial(MLPEncoder, activation=nn.tanh, kernel_init=glorot)
    decoder = partial(MLPGenerator, activation=nn.tanh, kernel_init=glorot)
    widths = [(width,) * 2 for width in config.widths]
    model = hierarchical_vae(
        encoders=[encoder(2 * d, w) for d, w in zip(config.latent_dims, widths, strict=True)],
        decoders=[
            decoder(mean.shape, widths[0], output_bias_init=bias),
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
