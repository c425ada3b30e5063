"""DCGAN (Radford, Metz & Chintala 2016).    python -m experiments.dcgan

Learns to make images: by default the 5,000 MNIST digits that come with the installed packages.
Scored by precision and recall of pixels between training images and samples, and by the Fréchet and
the kernel distance of a classifier's features.
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from experiments.harness import command, options, pictures, play
from experiments.harness.bounds import Count, Size
from gan_jax import data, plots
from gan_jax.games import averaged
from gan_jax.metrics import precision_recall
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch

NUM_SHOWN = 64
NUM_COMPARED = 2_000


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, pictures.SampleOptions):
    width: Size = 64
    """Channels of the discriminator's first layer; the paper has 128."""
    latent_dim: Size = 100
    """Size of the latents, uniform on [-1, 1] as in the paper."""
    steps: Count = 2_000
    batch_size: Size = 64
    learning_rate: float = 2e-4
    average_decay: float = 0.99
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 250
    checkpoint_every: Count = 250


CONFIGS = {
    "digits": Config(),
    "paper": Config(width=128, batch_size=128, dataset="mnist", steps=11_725),
    "table": Config(image_size=16, steps=2_250, evaluate=("fid", "kid", "precision", "recall")),
}


def build(config: Config, batch: Batch) -> GAN:
    size, channels = pictures.size_for_dcgan(batch)
    told = {"dtype": config.network_dtype, "axis_name": config.axis_name}
    return GAN(
        generator=DCGANGenerator(size, channels, config.width, **told),
        discriminator=DCGANDiscriminator(config.width, **told),
        loss=play.LOSSES[config.loss](),
        latents=networks.uniform(config.latent_dim),
    )


def evaluator(config: Config, system: GAN, dataset: data.Dataset) -> options.Evaluate:
    """Draw samples, and compare as many as there are real images with those, by their pixels."""
    stored = options.first_examples(dataset, NUM_COMPARED)["image"]
    real = options.flat(data.signed(stored))
    sample = jax.jit(system.sample, static_argnums=2)

    def evaluate(key, state) -> Evaluation:
        key_shown, key_compared = jax.random.split(key)
        weights = averaged(state).generator
        shown = np.asarray(sample(key_shown, weights, NUM_SHOWN))
        quality = precision_recall(real, options.flat(sample(key_compared, weights, len(real))))
        return Evaluation({"samples": plots.image_grid(shown)}, quality._asdict())

    def draw(key, state, real):
        return sample(key, averaged(state).generator, len(real["image"]))

    return config.measuring(evaluate, dataset, draw)


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and compare samples with real images by precision and recall of their pixels."""
    dataset = config.images()
    feed = config.picture_feed(dataset, {"image": data.signed})
    system = build(config, batch_shapes(feed))
    result = config.play(
        system,
        feed,
        evaluator(config, system, dataset),
        workdir=workdir,
        fresh=fresh,
        label_names=getattr(dataset, "label_names", None),
    )
    return result.says(
        "precision {precision:.3f}, recall {recall:.3f} (pixels, k=3)".format_map(result.metrics)
    )


if __name__ == "__main__":
    command.main("dcgan", run, CONFIGS, __doc__ or "")
