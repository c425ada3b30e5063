"""Conditional GANs (Mirza & Osindero 2014).    python -m experiments.conditional_gan

Learns to make images of a given class, with a row of the picture for each: by a DCGAN that is told
the class at every layer, by a projection, by AC-GAN, or by the paper's own networks. Scored by a
classifier that learned the real images: the share of samples that it takes for what they should be.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax

from experiments.harness import (
    command,
    features,
    likelihoods,
    options,
    parzen,
    pictures,
    play,
    text,
)
from experiments.harness.bounds import Count, Size
from gan_jax import data, nets, plots
from gan_jax.errors import Refusal
from gan_jax.games import Optimizers, Weights, averaged
from gan_jax.systems import GAN, acgan, networks
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch, KeyArray

COLUMNS = 10
NUM_JUDGED = 1_000
IN_UNIT = ("mirza", "goodfellow")
"""The networks of perceptrons, whose images are in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, pictures.SampleOptions):
    networks: Literal["dcgan", "projection", "acgan", "mirza", "goodfellow"] = "dcgan"
    """A DCGAN that is told the class at every layer; the same generator against a critic with a
    projection, or one that names the class; the paper's perceptrons, or those of Goodfellow et al.
    2014, which are told no class."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """SGD has the papers' momentum, which grows from 0.5 to 0.7, and a learning rate that falls."""
    num_classes: Size | None = None
    """The dataset's, which is counted."""
    width: Size = 32
    """Channels of a DCGAN discriminator's first layer."""
    latent_dim: Size = 100
    """Size of the latents, from U(-1, 1); the paper's are from U(0, 1)."""
    steps: Count = 6_000
    batch_size: Size = 64
    learning_rate: float = 2e-4
    """Of both players; Adam's beta1 is 0.5."""
    average_decay: float = 0.99
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 500
    checkpoint_every: Count = 500

    @property
    def decay(self) -> float:
        """What SGD's learning rate is divided by after each step, down to 1e-6."""
        return 1.000004 if self.networks == "goodfellow" else 1.00004

    @property
    def scale(self) -> Any:
        return data.unit if self.networks in IN_UNIT else data.signed

    def optimizers(self) -> Optimizers:
        if self.optimizer == "adam":
            return super().optimizers()
        momentum = optax.linear_schedule(0.5, 0.7, 125_000)  # 250 epochs of 50,000 images

        def sgd(rate: float) -> optax.GradientTransformation:
            falling = optax.exponential_decay(rate, 1, 1 / self.decay, end_value=1e-6)
            return optax.inject_hyperparams(optax.sgd)(falling, momentum=momentum)

        return self.each(sgd)


PAPER = Config(
    networks="mirza",
    dataset="mnist",
    optimizer="sgd",
    update="simultaneous",
    batch_size=100,
    learning_rate=0.1,
    discriminator_learning_rate=0.05,  # 0.1 for half of V, which the authors' code has
    average_decay=0.0,
    steps=125_000,
    steps_per_dispatch=500,
    evaluate_every=5_000,
    checkpoint_every=5_000,
)
CONFIGS = {
    "digits": Config(),
    "projection": Config(networks="projection"),
    "acgan": Config(networks="acgan"),
    "mirza": Config(networks="mirza", batch_size=100, steps=10_000, steps_per_dispatch=100),
    "paper": PAPER,
    "goodfellow": replace(PAPER, networks="goodfellow"),
}
TABLES = {"networks": {name: CONFIGS[name] for name in ("digits", "projection", "acgan", "mirza")}}


def build(config: Config, batch: Batch, mean: jax.Array | None = None) -> GAN:
    """The game; Goodfellow's generator starts at the `mean` image where it is to be trained."""
    shape, num, dtype = batch["image"].shape[1:], config.num_classes, config.network_dtype
    loss = play.LOSSES[config.loss]()
    system = partial(GAN, loss=loss, conditions=("label",))
    if config.networks == "goodfellow":
        return system(
            generator=nets.goodfellow_generator(
                shape, dtype=dtype, output_bias_init=likelihoods.starting_at(mean)
            ),
            discriminator=nets.GoodfellowDiscriminator(dtype=dtype),
            latents=networks.uniform(config.latent_dim, low=-(3**0.5), high=3**0.5),
            conditions=(),
        )
    if num is None:
        raise Refusal("num_classes is not known: it is the number of the dataset's label names.")
    if config.networks == "mirza":
        return system(
            generator=nets.ConditionalGenerator(shape, num, dtype=dtype),
            discriminator=nets.ConditionalDiscriminator(num, dtype=dtype),
            latents=networks.uniform(config.latent_dim, low=0.0),
        )
    told = {"dtype": dtype, "axis_name": config.axis_name}
    size, channels = pictures.size_for_dcgan(batch)
    players = {
        "generator": nets.DCGANGenerator(size, channels, config.width, num_classes=num, **told),
        "latents": networks.uniform(config.latent_dim),
    }
    seeing = nets.DCGANDiscriminator(config.width, head=False, **told)
    if config.networks == "acgan":
        critic = nets.ACGANDiscriminator(seeing, num)
        return acgan(loss=loss, discriminator=critic, **players)
    if config.networks == "projection":
        return system(discriminator=nets.ProjectionDiscriminator(seeing, num), **players)
    critic = nets.DCGANDiscriminator(config.width, num_classes=num, **told)
    return system(discriminator=critic, **players)


def drawing(system: GAN) -> Callable[[KeyArray, Weights, np.ndarray], jax.Array]:
    """(key, weights, classes) -> an image of each, or as many where no class is told."""
    sample = jax.jit(system.sample, static_argnums=2)

    def draw(key, weights, labels):
        return sample(key, weights, len(labels), *([labels] if system.conditions else []))

    return draw


def evaluator(config: Config, system: GAN, dataset: data.Dataset) -> options.Evaluate:
    """Draw a row of samples for each class, and count those that are taken for what they are."""
    names, draw = options.label_names(dataset), drawing(system)
    judge = features.train_classifier(config.centered(dataset)) if system.conditions else None

    def signed(images: jax.Array) -> np.ndarray:
        return np.asarray(2 * images - 1 if config.networks in IN_UNIT else images)

    def evaluate(key, state) -> Evaluation:
        key_shown, key_judged = jax.random.split(key)
        weights, classes = averaged(state).generator, np.arange(len(names), dtype=np.int32)
        shown = signed(draw(key_shown, weights, classes.repeat(COLUMNS)))
        row_names = names if judge else None
        grid = plots.image_grid(shown, columns=COLUMNS, row_names=row_names)
        if judge is None:
            return Evaluation({"samples": grid})
        labels = classes.repeat(-(-NUM_JUDGED // len(names)))
        found = judge.classes(signed(draw(key_judged, weights, labels)))
        right = (found == labels).reshape(len(names), -1).mean(axis=1)
        metrics = {"accuracy": right.mean(), "accuracy/worst": right.min()}
        metrics["judge/accuracy"] = judge.accuracy
        return Evaluation({"samples": grid}, metrics)

    def measured(key, state, real):
        return signed(draw(key, averaged(state).generator, real["label"]))

    return config.measuring(evaluate, dataset, measured)


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and score what the generator makes of each class."""
    dataset = config.images()
    names = options.label_names(dataset)
    if config.num_classes not in (None, len(names)):
        raise Refusal(f"--num-classes is {config.num_classes}, but there are {len(names)}.")
    config = replace(config, num_classes=len(names))
    taught, validation = dataset, None
    if config.networks in IN_UNIT:
        taught, _ = parzen.without_validation(dataset)
        _, validation = parzen.without_validation(config.centered(dataset))
    feed = config.picture_feed(taught, {"image": config.scale, "label": None})
    mean = likelihoods.mean_image(taught) if config.networks == "goodfellow" else None
    system = build(config, batch_shapes(feed), mean)
    result = config.play(
        system,
        feed,
        evaluator(config, system, dataset),
        workdir=workdir,
        fresh=fresh,
        label_names=names,
    )
    said, scores = [], {}
    if system.conditions:
        said.append(
            "{accuracy:.1%} of samples are taken for their class, {accuracy/worst:.1%} of one, by "
            "a judge who knows {judge/accuracy:.1%} of real images".format_map(result.metrics)
        )
    if validation is not None:
        labels = np.arange(parzen.NUM_SAMPLES, dtype=np.int32) % len(names)
        samples = drawing(system)(config.key("parzen"), averaged(result.state).generator, labels)
        score = parzen.parzen_score(samples, validation, config.images("test"))
        said.append(f"Parzen log-likelihood {text.plus_minus(score.mean, score.error, 1)} nats")
        scores["parzen"] = score.mean
    return result.says("; ".join(said), scores)


if __name__ == "__main__":
    command.main("conditional_gan", run, CONFIGS, __doc__ or "")
