"""A VAE and a GAN learn to make the same images.    python -m experiments.side_by_side

Both have as many convolutions on each side and see the same batches; the GAN is a DCGAN. The
picture `over_time` has a row of both models' samples, the VAE's on the left, after so many steps,
from the same latents all along. Scored by the Fréchet distance of a classifier's features.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from experiments.harness import command, options, pictures, play, runs, text
from experiments.harness.bounds import Count, Rate, Size
from experiments.harness.measures import Measure
from gan_jax import data, games, losses, plots
from gan_jax.nets import ConvDecoder, ConvEncoder, DCGANDiscriminator, DCGANGenerator
from gan_jax.nets.dcgan import dcgan_depth
from gan_jax.systems import GAN, VAE, networks
from gan_jax.training import Evaluation, first_batch
from gan_jax.typing import Batch

NUM_SHOWN = 8
VARIANCE = 0.5
"""Of p(x|z), x being in [-1, 1]."""


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, pictures.SampleOptions):
    width: Size = 16
    """Channels next to the image, of all four networks."""
    latent_dim: Size = 20
    evaluate: tuple[Measure, ...] = ("fid",)
    batch_size: Size = 64
    learning_rate: Rate = 2e-4
    """Adam's, for both players of the GAN; beta1 is 0.5."""
    vae_learning_rate: Rate = 1e-3
    average_decay: float = 0.99
    steps: Count = 1_000
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 125
    checkpoint_every: Count = 125


CONFIGS = {"digits": Config()}


def build(config: Config, batch: Batch) -> dict[str, Any]:
    size, channels = pictures.size_for_dcgan(batch)
    depth = dcgan_depth(*size)
    width, dtype, axis = config.width, config.network_dtype, config.axis_name
    return {
        "vae": VAE(
            encoder=ConvEncoder(2 * config.latent_dim, width, depth, dtype=dtype),
            decoder=ConvDecoder((*size, channels), width, depth, dtype=dtype),
            likelihood=losses.gaussian(VARIANCE),
            latent_dim=config.latent_dim,
        ),
        "gan": GAN(
            generator=DCGANGenerator(size, channels, width, dtype=dtype, axis_name=axis),
            discriminator=DCGANDiscriminator(width, dtype=dtype, axis_name=axis),
            loss=play.LOSSES[config.loss](),
            latents=networks.normal(config.latent_dim),
        ),
    }


def maker(config: Config, systems: dict[str, Any]) -> runs.Maker:
    gan = systems["gan"]
    return runs.Maker(gan.sample, gan.latents, gan.generate, at=("gan",), is_signed=True)


def evaluator(config: Config, systems: dict[str, Any], dataset: data.Dataset) -> options.Evaluate:
    """Draw samples of both, and measure them."""
    real = config.real_images(dataset)
    sample = {name: jax.jit(system.sample, static_argnums=2) for name, system in systems.items()}

    def evaluate(key, state) -> Evaluation:
        of_vae, of_gan = state["vae"].player.weights, games.averaged(state["gan"]).generator
        weights = {"vae": of_vae, "gan": of_gan}

        def drawn(name: str, num: int) -> np.ndarray:
            return np.clip(sample[name](key, weights[name], num), -1, 1)

        vae, gan = (drawn(name, NUM_SHOWN) for name in systems)
        row = np.concatenate([vae, np.ones_like(vae[:1]), gan])
        grid = plots.image_grid(row, columns=len(row), row_names=[str(state["gan"].step)])
        metrics = {
            f"{name}/{what}": value
            for name in systems
            for what, value in config.measured(real, drawn(name, pictures.NUM_MEASURED)).items()
        }
        return Evaluation({"row": grid}, metrics)

    return evaluate


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train both on the same batches, and put what they made on the way into one picture."""
    dataset = config.images()
    feed = config.picture_feed(dataset, {"image": data.signed})
    batch = first_batch(feed)
    systems = build(config, batch)
    vae, gan = systems["vae"], systems["gan"]
    adam = optax.adam(config.vae_learning_rate)
    key_vae, key_gan = jax.random.split(config.key("init"))
    players = gan.init(key_gan, batch, optimizers=config.optimizers())
    result = config.train(
        games.together({"vae": config.descent(vae.objective, adam), "gan": config.step(gan)}),
        {
            "vae": vae.init(key_vae, batch, optimizer=adam),
            "gan": games.exponential_average_memory(players),
        },
        feed,
        evaluator(config, systems, dataset),
        workdir=workdir,
        fresh=fresh,
        shown=("vae/loss", "gan/generator/loss"),
    )
    if jax.process_index() == 0:
        rows = map(plots.Picture.read, sorted(result.samples.glob("row-*.png")))
        plots.stacked([*rows]).save(result.samples / "over_time.png")
    return result.says(text.columns(result.metrics))


if __name__ == "__main__":
    command.main("side_by_side", run, CONFIGS, __doc__ or "")
