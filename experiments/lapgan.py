"""LAPGAN: images made from coarse to fine (Denton et al. 2015).    python -m experiments.lapgan

A GAN makes a small image; one for each halving adds what that has lost, told the coarser image
enlarged. All are trained at once, on the same images: by default embedded digits at 7, 14 and 28
pixels. A picture has a row for what each level makes of the same samples. `paper` has the networks
and the optimiser of the authors' code for CIFAR-10, at 8, 16 and 32 pixels. The paper's text has 8,
14 and 28, and a momentum that grows from 0.5 to 0.8; the code has one from 0 to 0.7, and a learning
rate that is divided by 1.000004 after each epoch, which is left out. So are what is before the
networks (normalising each pixel, bilinear resizing) and batches of 100 for the smallest images.
Their discriminator's loss is the mean over real and fake together, half of ours, hence its rate.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import numpy as np
import optax

from experiments.harness import command, options, pictures, play, runs
from experiments.harness.bounds import Count, Size
from gan_jax import data, games, nets, plots
from gan_jax.errors import Refusal
from gan_jax.systems import GAN, LAPGAN, networks
from gan_jax.training import Evaluation, batch_shapes, first_batch
from gan_jax.typing import Batch

NUM_SHOWN = 64
COLUMNS = 16
NUM_KERNELS = 16  # of minibatch discrimination


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, pictures.SampleOptions):
    num_levels: Size = 3
    """How many GANs: images are halved once less often."""
    conditional: bool = False
    """Tell every level the class."""
    num_classes: Size | None = None
    """The dataset's, which is counted, where classes are told."""
    width: Size = 16
    """Channels of the networks of all levels but the coarsest."""
    kernel_sizes: tuple[Size, ...] = (5, 5, 5)
    """Of their generators' three convolutions."""
    base: Literal["relu", "paper"] = "relu"
    """The coarsest level's pair: ReLUs, tanh at the end, and minibatch discrimination, without
    which it drops most digits; or as the authors' code has it."""
    widths: tuple[Size, ...] = (256, 256)
    """Units of the hidden layers of the coarsest level's generator."""
    discriminator_widths: tuple[Size, ...] = (256, 256)
    """Those of its discriminator."""
    latent_dim: Size = 100
    """Size of the coarsest level's latents; the others have one a pixel. All are from U(-1, 1)."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """SGD has a momentum that grows from 0 to 0.7."""
    momentum_steps: Count = 342_000
    """Steps in which it does; 875 epochs of CIFAR-10, as in the authors' code."""
    steps: Count = 4_000
    batch_size: Size = 32
    learning_rate: float = 5e-4
    average_decay: float = 0.99
    steps_per_dispatch: Count = 50
    evaluate_every: Count = 1_000
    checkpoint_every: Count = 500

    def optimizers(self) -> games.Optimizers:
        if self.optimizer == "adam":
            return super().optimizers()
        momentum = optax.linear_schedule(0.0, 0.7, self.momentum_steps)
        return self.each(lambda rate: optax.inject_hyperparams(optax.sgd)(rate, momentum=momentum))


CONFIGS = {
    "digits": Config(),
    "paper": Config(
        dataset="cifar10",
        width=64,
        kernel_sizes=(7, 7, 5),
        base="paper",
        widths=(8_000, 8_000),
        discriminator_widths=(1_600, 1_600),
        optimizer="sgd",
        learning_rate=0.02,
        discriminator_learning_rate=0.01,
        batch_size=128,
        average_decay=0.0,
        steps=78_000,
        steps_per_dispatch=100,
        evaluate_every=3_900,
        checkpoint_every=3_900,
    ),
}

TABLE = Config(steps=1_000, evaluate=("fid", "kid", "precision", "recall"))
PICTURES = replace(TABLE, dataset="./pictures", image_size=64)
TABLES = {
    "levels": {"three": TABLE, "none": replace(TABLE, num_levels=1)},
    "picture_levels": {
        "pictures_four": replace(PICTURES, num_levels=4),
        "pictures_none": replace(PICTURES, num_levels=1),
    },
}


def build(config: Config, batch: Batch) -> LAPGAN:
    """The pyramid of games for images of the batch's size."""
    _, height, width, channels = batch["image"].shape
    if config.conditional and config.num_classes is None:
        raise Refusal("num_classes is not known: it is the number of the dataset's label names.")
    classes = config.num_classes if config.conditional else None
    given = ("label",) if classes else ()
    told = {"num_classes": classes, "dtype": config.network_dtype}
    loss = play.LOSSES[config.loss]()
    *finer, smallest = [(-(-height >> k), -(-width >> k)) for k in range(config.num_levels)]
    levels = [
        GAN(
            generator=nets.LAPGANGenerator(channels, config.width, config.kernel_sizes, **told),
            discriminator=nets.LAPGANDiscriminator(config.width, **told),
            loss=loss,
            latents=networks.uniform(*size, 1),
            conditions=("coarse", *given),
        )
        for size in finer
    ]
    base = GAN(
        **base_networks(config, (*smallest, channels), told),
        loss=loss,
        latents=networks.uniform(config.latent_dim),
        conditions=given,
    )
    return LAPGAN(size=(height, width), levels=(*levels, base))


def base_networks(config: Config, shape: tuple[int, ...], told: dict[str, Any]) -> dict[str, Any]:
    """The coarsest level's pair; with classes the authors' code, too, has ReLUs alone."""
    of_generator, of_critic = dict(told), dict(told)
    if config.base == "relu":
        of_generator["output"] = nn.tanh
        of_critic |= {"dropout": 0.0, "num_minibatch_kernels": NUM_KERNELS}
    if config.base == "relu" or told["num_classes"]:
        start = nn.initializers.lecun_normal()
        of_generator |= {"activation": nn.relu, "kernel_init": start}
        of_critic["kernel_init"] = start
    return {
        "generator": nets.LAPGANBaseGenerator(shape, config.widths, **of_generator),
        "discriminator": nets.LAPGANBaseDiscriminator(config.discriminator_widths, **of_critic),
    }


def maker(config: Config, system: LAPGAN) -> runs.Maker:
    """Images by every level's weights."""
    return runs.Maker(
        system.sample,
        system.latents,
        system.generate,
        at={name: (name,) for name in system.named},
        conditions=system.conditions,
        is_signed=True,
    )


def generators(state: Any) -> dict[str, games.Weights]:
    """The averaged generator of every level."""
    return {name: games.averaged(of_level).generator for name, of_level in state.items()}


def evaluator(config: Config, system: LAPGAN, dataset: data.Dataset) -> options.Evaluate:
    """Draw samples, and what each level makes of the first of them, enlarged to their size."""
    making = jax.jit(system.making, static_argnums=2)
    labels = [np.arange(NUM_SHOWN, dtype=np.int32) % (config.num_classes or 1)]
    height, width = system.size

    def evaluate(key, state) -> Evaluation:
        given = labels if system.conditions else []
        made = [np.asarray(x) for x in making(key, generators(state), NUM_SHOWN, *given)]
        rows = []
        for k, images in enumerate(reversed(made)):
            large = images[:COLUMNS].repeat(1 << k, axis=1).repeat(1 << k, axis=2)
            rows.append(large[:, :height, :width])
        grid = plots.image_grid(np.concatenate(rows[::-1]), columns=COLUMNS)
        return Evaluation({"samples": plots.image_grid(made[-1]), "levels": grid})

    def draw(key, state, real):
        given = [real["label"]] if system.conditions else []
        return making(key, generators(state), len(real["image"]), *given)[-1]

    return config.measuring(evaluate, dataset, draw)


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train every level on the same images, and look at what they make together."""
    dataset = config.images()
    fields: dict[str, Any] = {"image": data.signed}
    if config.conditional:
        num = len(options.label_names(dataset))
        if config.num_classes not in (None, num):
            raise Refusal(f"--num-classes is {config.num_classes}, but there are {num}.")
        config, fields = replace(config, num_classes=num), {**fields, "label": None}
    feed = config.picture_feed(dataset, fields)
    system = build(config, batch_shapes(feed))
    states = system.init(config.key("init"), first_batch(feed), optimizers=config.optimizers())
    result = config.train(
        system.step(config.step),
        {name: games.exponential_average_memory(state) for name, state in states.items()},
        feed,
        evaluator(config, system, dataset),
        workdir=workdir,
        fresh=fresh,
        label_names=getattr(dataset, "label_names", None),
        unit="images",
        shown=[f"{name}/generator/loss" for name in system.named],
    )
    sizes = [f"{height}x{width}" for height, width in reversed(system.sizes)]
    return result.says(f"images of {', then '.join(sizes)}")


if __name__ == "__main__":
    command.main("lapgan", run, CONFIGS, __doc__ or "")
