"""A convolutional VAE.    python -m experiments.conv_vae

The VAE with other networks: two convolutions of stride 2 and their mirror. Pictures as those of
`experiments.vae`. `paper` has the 10 epochs on MNIST's brightnesses of the code that it follows,
github.com/kvfrans/variational-autoencoder; there the encoder's ReLUs are leaky, it gives σ and not
log σ², and weights start with a deviation of 0.02.
"""

from dataclasses import replace

from experiments import vae
from experiments.harness import command
from experiments.vae import Config, build, evaluator, run

__all__ = ["CONFIGS", "Config", "build", "evaluator", "run"]

CONFIGS: dict[str, Config] = {
    "digits": replace(
        vae.CONFIGS["digits"],
        networks="conv",
        width=16,
        latent_dim=20,
        num_unseen=100,
        steps=1_350,
        evaluate_every=135,
        checkpoint_every=135,
    ),
    "mnist": replace(
        vae.CONFIGS["mnist"], networks="conv", width=16, steps=30_000, checkpoint_every=1_200
    ),
    "paper": replace(
        vae.CONFIGS["mnist"], networks="conv", width=16, binarization="none", steps=6_000
    ),
}

if __name__ == "__main__":
    command.main("conv_vae", run, CONFIGS, __doc__ or "")
