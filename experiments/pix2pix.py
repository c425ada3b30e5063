"""Images from images: pix2pix (Isola et al. 2017).    python -m experiments.pix2pix

Learns to make an image again from what is left of it: its outline, its upper half, a quarter of its
resolution, its grey; or one image of a pair from the other. Scored on unseen images by the mean
absolute difference, colours by the share of their squares that is missed, and images of classes by
whether a classifier of real ones reads what was made. `paper` has the paper's networks and
optimiser on a folder of its facades, without the random crops of images that are made larger first.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import command, options, pictures, play, runs
from experiments.harness.bounds import Count, CountOr0, Decay, Size, Weight
from experiments.harness.domains import knows
from experiments.harness.readers import Reader
from gan_jax import data, nets, plots, signals
from gan_jax.errors import Refusal
from gan_jax.games import averaged
from gan_jax.systems import GAN, pix2pix
from gan_jax.systems.pix2pix import distance
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch

NUM_SHOWN = 8
NUM_UNSEEN = 500
CHUNK = 100  # images that are made at a time
FACTOR = 4
TASKS = {
    "edges": signals.outline,
    "inpainting": signals.without_lower_half,
    "hole": signals.without_centre,
    "super_resolution": partial(signals.coarse, factor=FACTOR),
    "colourisation": signals.grey,
}
"""What is left of an image."""


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, pictures.PictureOptions):
    task: Literal["edges", "inpainting", "hole", "super_resolution", "colourisation", "pairs"] = (
        "edges"
    )
    """What an image is made from: its outline, its upper half, all but its centre, the image four
    times smaller, its grey; or pairs, one half of a picture, of which the other is made."""
    given: Literal["left", "right"] = "left"
    """Which half of a picture of a pair is given."""
    critic: Literal["conditional", "unconditional", "none"] = "conditional"
    """The critic sees the condition beside the image, or the image alone, or is not heard."""
    l1_weight: Weight = 100.0
    patch_layers: CountOr0 = 2
    """Layers of stride 2 in the critic: with 0, 1, 2, 3 a logit sees 1, 16, 34, 70 pixels."""
    depth: Size = 5
    """How often the U-Net halves images; they are padded to multiples of 2^depth."""
    width: Size = 16
    """Channels of the first layer of both networks; the paper's are 64."""
    dropout: Decay = 0.5
    """Of the first three layers of the decoder, also when the network is asked."""
    norm: Literal["instance", "batch"] = "instance"
    steps: Count = 2_000
    batch_size: Size = 16
    learning_rate: float = 2e-4
    average_decay: float = 0.0
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 500
    checkpoint_every: Count = 500

    @property
    def pairs(self) -> bool:
        return self.task == "pairs"

    def examples(self, batch: Batch) -> Batch:
        """Images in [-1, 1], and what they are made from, padded as the network needs it."""
        image = batch["image"]
        condition = batch["condition"] if self.pairs else TASKS[self.task](image)
        if self.pairs and self.given == "right":
            condition, image = image, condition
        multiple = 1 << self.depth
        return {
            "condition": signals.pad_to_multiple(condition, multiple),
            "target": signals.pad_to_multiple(image, multiple),
        }


CONFIGS = {
    "edges": Config(),
    "inpainting": Config(task="inpainting"),
    "super_resolution": Config(task="super_resolution"),
    "colourisation": Config(task="colourisation", dataset="photographs"),
    "pairs": Config(task="pairs", dataset="./pairs"),
    "paper": Config(
        task="pairs",
        dataset="./facades",
        given="right",  # labels, from which the paper makes the photograph at the left
        image_size=256,
        flip=True,
        depth=8,
        width=64,
        patch_layers=3,
        batch_size=1,
        steps=80_000,  # 200 epochs of 400 images
    ),
}
TABLE = Config(width=16, steps=1_000, evaluate_every=1_000, checkpoint_every=1_000)
OBJECTIVES = {
    "l1": {"critic": "none"},
    "cgan": {"l1_weight": 0.0},
    "l1_cgan": {},
    "l1_gan": {"critic": "unconditional"},
}
PATCHES = {"patch_1": {"patch_layers": 0}, "patch_16": {"patch_layers": 1}}
TABLES = {
    "objectives": {
        f"{task}_{name}": replace(TABLE, task=task, **changes)
        for task in ("inpainting", "super_resolution")
        for name, changes in OBJECTIVES.items()
    },
    "patches": {
        f"inpainting_{name}": replace(TABLE, task="inpainting", **changes)
        for name, changes in PATCHES.items()
    },
}


def build(config: Config, batch: Batch) -> GAN:
    told = {"norm": config.norm, "dtype": config.network_dtype, "axis_name": config.axis_name}
    critic = nets.PatchDiscriminator(config.patch_layers, config.width, **told)
    loss = play.LOSSES[config.loss]()
    return pix2pix(
        generator=nets.UNet(
            batch["target"].shape[-1],
            config.width,
            config.depth,
            dropout=config.dropout,
            **told,
        ),
        discriminator=nets.Unconditional(critic) if config.critic == "unconditional" else critic,
        loss=loss._replace(generator=jnp.zeros_like) if config.critic == "none" else loss,
        weight=config.l1_weight,
    )


def evaluator(config: Config, system: GAN, dataset: data.Dataset) -> options.Evaluate:
    """Make unseen images from what is left of them, and compare them with what they were."""
    test = config.images("test")
    unseen = options.first_examples(test, NUM_UNSEEN)
    images = {field: data.signed(unseen[field]) for field in unseen.keys() & {"image", "condition"}}
    batch = config.examples(images)
    _, height, width, _ = images["image"].shape
    given, real = (signals.unpad(batch[name], (height, width)) for name in ("condition", "target"))
    if config.task == "colourisation" and not np.ptp(real, axis=-1).any():
        raise Refusal("--task colourisation makes colours, and the images are grey: choose others.")
    judges = config.centered(dataset)
    read = Reader.of(judges) if knows(judges, test) else None
    constant = read(real, unseen["label"]).named("/real") if read else {}
    sample = jax.jit(system.sample, static_argnums=2)

    def made(key, state) -> jax.Array:
        weights, condition = averaged(state).generator, batch["condition"]
        chunks = [
            sample(jax.random.fold_in(key, at), weights, len(some), some)
            for at, some in enumerate(jnp.split(condition, [*range(CHUNK, len(condition), CHUNK)]))
        ]
        return signals.unpad(jnp.concatenate(chunks), (height, width))

    def evaluate(key, state) -> Evaluation:
        found = made(key, state)
        metrics: dict[str, Any] = {"unseen/l1": jnp.mean(distance(found, real))}
        if config.task == "colourisation":
            metrics["unseen/colours_missed"] = colours_missed(found, real)
        if read is not None:
            metrics |= read(found, unseen["label"]).named() | constant
        rows = (row[:NUM_SHOWN] for row in (given, found, real))
        return Evaluation({"samples": rows_of(*rows)}, metrics)

    return evaluate


def colours_missed(made: jax.Array, real: jax.Array) -> jax.Array:
    """Σ ‖(x̂ - grey x̂) - (x - grey x)‖² / Σ ‖x - grey x‖², which is 1 where what is made is grey."""
    missed, colours = (images - signals.grey(images) for images in (made - real, real))
    return jnp.sum(missed**2) / jnp.sum(colours**2)


def rows_of(given: jax.Array, made: jax.Array, real: jax.Array) -> plots.Picture:
    """What was given above what was made of it, and that above what it was."""
    rows = [np.broadcast_to(row, made.shape) for row in (given, made, real)]
    return plots.image_grid(
        np.concatenate(rows), columns=len(made), row_names=("given", "made", "real")
    )


def translators(config: Config, system: GAN, batch: Batch) -> dict[str, runs.Translator]:
    """Make images of a user's own pictures: drawn outlines, small or grey images, left halves."""
    generate = jax.jit(lambda key, *given: system.generate(*given, key=key))

    def translate(key, weights, images) -> jax.Array:
        _, height, width, _ = images.shape
        if config.task == "super_resolution":
            height, width = FACTOR * height, FACTOR * width
            images = signals.resize(images, (height, width))
        elif config.task in ("inpainting", "hole"):
            images = TASKS[config.task](images)
        padded = signals.pad_to_multiple(images, 1 << config.depth)
        return signals.unpad(generate(key, weights, None, padded), (height, width))

    return {"forth": runs.Translator(batch["condition"].shape[-1], translate)}


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and compare what is made of unseen conditions with what is real."""
    dataset = config.images()
    fields = {"image": data.signed} | ({"condition": data.signed} if config.pairs else {})
    feed = data.map_feed(
        lambda key, batch: config.examples(batch), config.picture_feed(dataset, fields)
    )
    system = build(config, batch_shapes(feed))
    result = config.play(
        system, feed, evaluator(config, system, dataset), workdir=workdir, fresh=fresh
    )
    said = "unseen images are made with a mean absolute difference of {unseen/l1:.3f}"
    if config.task == "colourisation":
        said += "; of the squared colours they miss {unseen/colours_missed:.1%}, and grey all"
    if "read" in result.metrics:
        said += "; a classifier reads {read:.1%} of them, and {read/real:.1%} of real ones"
    return result.says(said.format_map(result.metrics))


if __name__ == "__main__":
    command.main("pix2pix", run, CONFIGS, __doc__ or "")
