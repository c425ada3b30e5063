"""A VAE of several stochastic layers.    python -m experiments.hierarchical_vae

p(x|h1) p(h1|h2) ... p(hL), by default the IWAE paper's two layers: 100 latents under two
deterministic layers of 200 units, and 50 under two of 100. Scored as `experiments.iwae` scores.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp

from experiments.harness import command, likelihoods, options, published
from experiments.harness.bounds import Size
from experiments.iwae import MNIST, PAPER, IWAEOptions, evaluator, scored, train
from gan_jax import losses
from gan_jax.errors import Refusal
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import HierarchicalVAE
from gan_jax.typing import Batch

__all__ = ["CONFIGS", "Config", "build", "evaluator", "run"]

NUM_AVERAGED = 400


@dataclass(frozen=True, kw_only=True)
class Config(IWAEOptions):
    latent_dims: tuple[Size, ...] = (100, 50)
    """Latents of each stochastic layer, from the data upwards."""
    widths: tuple[Size, ...] = (200, 100)
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


def build(config: Config, batch: Batch, mean: jax.Array | None = None) -> HierarchicalVAE:
    """The model, whose outputs start at the `mean` image where it is to be trained."""
    common = {
        "activation": nn.tanh,
        "kernel_init": nn.initializers.glorot_uniform(),
        "dtype": jnp.dtype(config.dtype),
    }
    encoder, decoder = partial(MLPEncoder, **common), partial(MLPGenerator, **common)
    bias, shape = likelihoods.starting_at(mean), batch["image"].shape[1:]
    widths = [(width,) * 2 for width in config.widths]
    return HierarchicalVAE(
        encoders=[encoder(2 * d, w) for d, w in zip(config.latent_dims, widths, strict=True)],
        decoders=[
            decoder(shape, widths[0], output_bias_init=bias),
            *(decoder((2 * d,), w) for d, w in zip(config.latent_dims, widths[1:], strict=False)),
        ],
        likelihood=losses.bernoulli(),
        latent_dims=config.latent_dims,
        num_samples=config.num_samples,
    )


@partial(jax.jit, static_argnums=0)
def means_of(model: HierarchicalVAE, key, weights, batch: Batch) -> list[jax.Array]:
    """E_q(h|x) of each layer: the lower layers, which the upper ones are given, averaged out."""

    def add(total, key):
        drawn = [layer.mean for layer in model.encode(weights, batch, key=key)]
        return jax.tree.map(jnp.add, total, drawn), None

    num = len(batch["image"])
    zeros = [jnp.zeros((num, dim)) for dim in model.latent_dims]
    total, _ = jax.lax.scan(add, zeros, jax.random.split(key, NUM_AVERAGED))
    return [layer / NUM_AVERAGED for layer in total]


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, draw samples, and estimate the likelihood of unseen images."""
    result, model, unseen = train(config, build, workdir, fresh=fresh)
    means = means_of(model, config.key("refine"), result.state.player.weights, unseen)
    return scored(config, result, model, unseen, means, published.IWAE_OF_TWO_LAYERS)


if __name__ == "__main__":
    command.main("hierarchical_vae", run, CONFIGS, __doc__ or "")
