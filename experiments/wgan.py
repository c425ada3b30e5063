"""WGAN (Arjovsky et al., Gulrajani et al. 2017).    python -m experiments.wgan

The critic is constrained by a gradient penalty or by clipping its weights.
Learns a ring, a grid or digits, and draws the critic's estimate of the distance along the run: the
curve that is said to follow the quality of the samples. By --loss and --constraint none it is a GAN
of the same networks: the tables `losses`, of the grid, and `generators`, of digits, compare them.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import flax.linen as nn
import jax
import numpy as np
import optax

from experiments import ring
from experiments.harness import command, history, options, pictures, play
from experiments.harness.bounds import Count, Rate, Size, Weight
from experiments.harness.measures import Measure
from gan_jax import data, losses, plots
from gan_jax.errors import Refusal
from gan_jax.games import Optimizers, averaged, clip_params
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch

NUM_SHOWN = 64
MIXTURES = {"ring": data.ring(), "grid": data.grid()}


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, pictures.SampleOptions):
    dataset: str = "ring"
    """Gaussians on a circle or on a lattice (`ring`, `grid`); or images: the embedded `digits`, a
    path (./pictures, /data/pictures), or a dataset of TensorFlow Datasets."""
    evaluate: tuple[Measure, ...] = ()
    constraint: Literal["clip", "gradient_penalty", "none"] = "gradient_penalty"
    """What keeps the critic's slope in bounds."""
    clip_limit: Rate = 0.01
    """Where the critic's weights are clipped, after every move of RMSProp."""
    penalty_weight: Weight = 0.1
    """What the gradient penalty is multiplied by."""
    network: Literal["dcgan", "plain", "mlp"] = "dcgan"
    """The generator of images: the DCGAN's; without batch normalisation and with as many channels
    in every layer; or four layers of 512 units. The critic is a DCGAN's without normalisation."""
    width: Size = 128
    """Units in each of three hidden layers; for images, channels next to the image."""
    latent_dim: Size = 2
    """Size of the latents, from N(0, I)."""
    loss: play.LossName = "wasserstein"
    num_discriminator_steps: Count = 5
    steps: Count = 4_000
    batch_size: Size = 256
    learning_rate: Rate = 1e-3
    """Of both players: RMSProp's where weights are clipped, else Adam's."""
    average_decay: float = 0.99
    steps_per_dispatch: Count = 100
    evaluate_every: Count = 1_000
    checkpoint_every: Count = 1_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dataset in MIXTURES and (self.evaluate or self.network != "dcgan"):
            raise Refusal(
                f"--evaluate and --network are for images, and --dataset is {self.dataset}: leave "
                "them out, or give --dataset digits or a folder."
            )

    def optimizers(self) -> Optimizers:
        if self.constraint != "clip":
            return self.each(partial(optax.adam, b1=0.5, b2=0.9))
        plain = self.each(partial(optax.rmsprop))
        clipped = optax.chain(plain.discriminator, clip_params(self.clip_limit))
        return plain._replace(discriminator=clipped)


DIGITS = Config(
    dataset="digits",
    penalty_weight=10.0,
    width=32,
    latent_dim=64,
    steps=1_000,
    batch_size=64,
    learning_rate=2e-4,
    steps_per_dispatch=25,
    evaluate_every=250,
    checkpoint_every=250,
)
CLIPPED = {"constraint": "clip", "learning_rate": 5e-4, "clip_limit": 0.1}
CONFIGS = {
    "ring": Config(),
    "ring-clip": Config(**CLIPPED),
    "algorithm_1": Config(
        constraint="clip",
        learning_rate=5e-5,
        batch_size=64,
        steps=100_000,
        steps_per_dispatch=100,
        evaluate_every=10_000,
        checkpoint_every=10_000,
    ),
    "grid": Config(dataset="grid"),
    "grid-clip": Config(dataset="grid", **CLIPPED),
    "digits": DIGITS,
}
GRID = Config(dataset="grid", num_discriminator_steps=1)
SMALL = replace(
    DIGITS, image_size=16, steps=500, evaluate_every=500, evaluate=("fid", "precision", "recall")
)
PLAYED = {
    "gan": replace(SMALL, loss="non_saturating", constraint="none", num_discriminator_steps=1),
    "wgan": SMALL,
}
TABLES = {
    "losses": {
        f"{loss}_{constraint}": replace(GRID, loss=loss, constraint=constraint)
        for loss in ("minimax", "non_saturating", "least_squares", "hinge", "wasserstein")
        for constraint in ("none", "gradient_penalty")
    },
    "generators": {
        f"{name}_{network}": replace(config, network=network)
        for network in ("dcgan", "plain", "mlp")
        for name, config in PLAYED.items()
    },
}


def image_generator(config: Config, size: tuple[int, int], channels: int) -> nn.Module:
    dtype = config.network_dtype
    if config.network == "mlp":
        return MLPGenerator((*size, channels), (512,) * 4, output=nn.tanh, dtype=dtype)
    is_dcgan = config.network == "dcgan"
    told = {"axis_name": config.axis_name, "dtype": dtype}
    return DCGANGenerator(
        size, channels, config.width, batch_norm=is_dcgan, doubling=is_dcgan, **told
    )


def build(config: Config, batch: Batch) -> GAN:
    dtype, terms = config.network_dtype, {}
    if "image" in batch:
        size, channels = pictures.size_for_dcgan(batch)
        generator = image_generator(config, size, channels)
        critic = DCGANDiscriminator(config.width, batch_norm=False, dtype=dtype)
    else:
        generator = MLPGenerator((2,), (config.width,) * 3, dtype=dtype)
        critic = MLPDiscriminator((config.width,) * 3, dtype=dtype)
    if config.constraint == "gradient_penalty":
        weight = config.penalty_weight
        terms["penalty"] = lambda r: (
            weight * losses.gradient_penalty(r.critic, r.real, r.fake, r.key)
        )
    return GAN(
        generator=generator,
        discriminator=critic,
        loss=play.LOSSES[config.loss](),
        latents=networks.normal(config.latent_dim),
        field="image" if "image" in batch else "point",
        discriminator_terms=terms,
    )


def evaluator(
    config: Config, system: GAN, dataset: data.Dataset, workdir: Path
) -> options.Evaluate:
    """Draw samples, count the modes of points, and draw the critic's estimate so far."""
    sample = jax.jit(system.sample, static_argnums=2)

    def of_images(key, state) -> Evaluation:
        shown = np.asarray(sample(key, averaged(state).generator, NUM_SHOWN))
        return Evaluation({"samples": plots.image_grid(shown)})

    def draw(key, state, real):
        return sample(key, averaged(state).generator, len(real["image"]))

    on_points = config.dataset in MIXTURES
    of_samples = (
        ring.of_points(system, MIXTURES[config.dataset], dataset)
        if on_points
        else config.measuring(of_images, dataset, draw)
    )

    def evaluate(key, state) -> Evaluation:
        files, metrics = of_samples(key, state)
        return Evaluation({**files, "estimate": curve(*estimates(workdir))}, metrics)

    return evaluate


def estimates(workdir: Path) -> tuple[np.ndarray, np.ndarray]:
    """The steps of the log, and E f(x) - E f(G(z)) at each."""
    real, fake = "discriminator/real_logits", "discriminator/fake_logits"
    past = history.logged(workdir, ("step", real, fake))
    return past["step"], past[real] - past[fake]


def curve(steps: np.ndarray, gaps: np.ndarray) -> plots.Picture:
    curves = {"E f(x) - E f(G(z))": gaps}
    return plots.curves(x=steps, curves=curves, x_label="step", y_label="critic's estimate")


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and draw samples and the critic's estimate E f(x) - E f(G(z)) at intervals."""
    on_points = config.dataset in MIXTURES
    dataset = data.load(config.dataset) if on_points else config.images()
    feed = (
        config.feed(dataset, {"point": None})
        if on_points
        else config.picture_feed(dataset, {"image": data.signed})
    )
    system = build(config, batch_shapes(feed))
    result = config.play(
        system,
        feed,
        evaluator(config, system, dataset, workdir),
        workdir=workdir,
        fresh=fresh,
        unit="points" if on_points else "images",
    )
    steps, gaps = estimates(workdir)
    if jax.process_index() == 0:
        curve(steps, gaps).save(result.samples / "estimate.png")
    modes = f"{int(result.metrics['modes'])} modes, " if "modes" in result.metrics else ""
    return result.says(f"{modes}critic's last estimate {gaps[-1]:.4f}")


if __name__ == "__main__":
    command.main("wgan", run, CONFIGS, __doc__ or "")
