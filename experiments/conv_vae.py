"""A convolutional VAE.    python -m experiments.conv_vae

The VAE with other networks: two convolutions of stride 2 and their mirror. Pictures as those of
`experiments.vae`. `paper` has the 10 epochs on MNIST's brightnesses of the code that it follows,
github.com/kvfrans/variational-autoencoder; there the encoder's ReLUs are leaky, it gives σ and not
log σ², and weights start with a deviation of 0.02.
"""

from dataclasses import asdict, dataclass, replace
from typing import Literal

from experiments import vae
from experiments.harness import command
from experiments.harness.bounds import Count, Several, Size
from experiments.vae import build, evaluator, run

__all__ = ["CONFIGS", "Config", "build", "evaluator", "run"]


@dataclass(frozen=True, kw_only=True)
class Config(vae.Config):
    networks: Literal["mlp", "conv"] = "conv"
    width: Size = 16
    latent_dim: Size = 20
    num_unseen: Several = 100
    steps: Count = 1_350
    evaluate_every: Count = 135
    checkpoint_every: Count = 135


MNIST = Config(**{**asdict(vae.CONFIGS["mnist"]), "networks": "conv", "width": 16})
CONFIGS = {
    "digits": Config(),
    "mnist": replace(MNIST, steps=30_000, checkpoint_every=1_200),
    "paper": replace(MNIST, binarization="none", steps=6_000),
}

if __name__ == "__main__":
    command.main("conv_vae", run, CONFIGS, __doc__ or "")
