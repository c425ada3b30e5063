"""CycleGAN (Zhu, Park, Isola & Efros 2017).    python -m experiments.cyclegan

Learns to map images of one domain to another and back, from images that are no pairs: by default
MNIST's digits to digits of other hands. `turned` has two domains whose true map is known, so that
the error to it can be measured: one half of the digits, and the other half inverted and turned.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import command, features, options, play
from experiments.harness.bounds import Count, CountOr0, Size, SizeOr0, Weight
from experiments.harness.domains import DomainOptions, Domains
from gan_jax import data, plots
from gan_jax.games import Weights, averaged
from gan_jax.losses import AdversarialLoss
from gan_jax.metrics import frechet_distance
from gan_jax.nets import PatchDiscriminator, ResidualGenerator
from gan_jax.systems import CycleGAN
from gan_jax.systems.cyclegan import distance
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch

NUM_SHOWN = 10
NUM_COMPARED = 500
CHUNK = 20
ROWS = ("source", "translated", "and back", "target", "back", "and again")


@dataclass(frozen=True, kw_only=True)
class Config(play.DecliningOptions, DomainOptions):
    turned: bool = False
    """The target is one half of --dataset, inverted and turned by a quarter, and the source the
    other half, in place of --target-dataset."""
    target_dataset: str | None = "optdigits"
    image_size: Size | None = 28
    width: Size = 16
    """Channels of the first layer of all networks; the paper has 64."""
    num_blocks: SizeOr0 = 3
    """Residual blocks; the paper has 6 for images of 128x128, and 9 for 256x256."""
    num_layers: CountOr0 = 2
    """Halvings in the discriminators, which see patches of 34x34 with 2, and 70x70 with 3."""
    forward_weight: Weight = 10.0
    """Of the cycle that starts with the source, source -> target -> source."""
    backward_weight: Weight = 10.0
    """Of the cycle that starts with the target."""
    identity_weight: Weight = 0.0
    """Of leaving images of the target as they are; 5 in the paper, where colours are to stay."""
    adversarial: bool = True
    """Without it there is no game, and cycles are all that is learned."""
    pool_size: SizeOr0 = 50
    """Past fakes among which the discriminators see."""
    loss: play.LossName = "least_squares"
    update: play.Update = "simultaneous"
    """As the authors': the discriminators see the fakes of before the generators' move."""
    steps: Count = 4_000
    constant_steps: CountOr0 = 2_000
    decay_steps: Count = 2_000
    batch_size: Size = 4
    learning_rate: float = 2e-4
    average_decay: float = 0.99
    steps_per_dispatch: Count = 50
    evaluate_every: Count = 1_000
    checkpoint_every: Count = 500

    def domains(self, split: str = "train") -> Domains:
        if not self.turned:
            return super().domains(split)
        whole = self.images(split)
        rows = np.random.RandomState(0).permutation(len(whole))
        source, target = (whole[half] for half in np.array_split(rows, 2))
        target["image"] = 255 - turn(target["image"])
        names = getattr(whole, "label_names", None)
        return Domains(*(data.ArrayDataset(half, names) for half in (source, target)))


PAPER = Config(
    image_size=256,
    width=64,
    num_blocks=9,
    num_layers=3,
    flip=True,
    crop="random",
    batch_size=1,
    average_decay=0.0,
    dataset="./horse2zebra",
    target_dataset=None,
    steps=266_800,  # 200 epochs of 1,334 images
    constant_steps=133_400,
    decay_steps=133_400,
    steps_per_dispatch=100,
    evaluate_every=6_700,
    checkpoint_every=6_700,
)
TURNED = Config(turned=True, target_dataset=None)
CONFIGS = {
    "digits": Config(),
    "turned": TURNED,
    "paper": PAPER,
    "paper-128": replace(PAPER, image_size=128, num_blocks=6),
}
TABLES = {
    "ablation": {
        "cycle alone": replace(TURNED, adversarial=False),
        "GAN alone": replace(TURNED, forward_weight=0.0, backward_weight=0.0),
        "GAN + forward cycle": replace(TURNED, backward_weight=0.0),
        "GAN + backward cycle": replace(TURNED, forward_weight=0.0),
        "CycleGAN": TURNED,
    }
}


def turn(images: Any) -> Any:
    """Turn by a quarter, against the clock."""
    return np.rot90(images, axes=(1, 2))


def build(config: Config, batch: Batch) -> CycleGAN:
    curves = play.LOSSES[config.loss]()
    # The paper halves the discriminators' loss alone, `least_squares` both players'.
    loss = curves._replace(generator=lambda logits: 2 * curves.generator(logits))
    silent = AdversarialLoss(jnp.zeros_like, jnp.zeros_like, jnp.zeros_like)
    told = {"width": config.width, "dtype": config.network_dtype}
    channels = batch["source"]["image"].shape[-1]
    return CycleGAN(
        generator=ResidualGenerator(channels, num_blocks=config.num_blocks, **told),
        discriminator=PatchDiscriminator(config.num_layers, **told),
        loss=loss if config.adversarial else silent,
        cycle_weight=(config.forward_weight, config.backward_weight),
        identity_weight=config.identity_weight,
        pool_size=config.pool_size,
    )


class Read(NamedTuple):
    """What a classifier of a domain makes of images that were mapped to it."""

    judge: features.Classifier
    real: np.ndarray
    labels: np.ndarray

    def __call__(self, images: jax.Array) -> tuple[float, float]:
        """The share that is read as the class that it had, and the distance to real images."""
        right = np.mean(self.judge.classes(images) == self.labels)
        return right, frechet_distance(self.real, self.judge.features(images))


def reading(domain: data.Dataset, labels: np.ndarray) -> Read:
    judge = features.train_classifier(domain)
    real = domain[judge.reference]["image"]
    return Read(judge, np.asarray(judge.features(data.signed(real))), labels)


def evaluator(config: Config, system: CycleGAN, domains: Domains) -> options.Evaluate:
    """Map unseen images of both domains to the other and back: show some, and measure all."""
    source, target = (options.first_examples(d, NUM_COMPARED) for d in config.domains("test"))
    x, y = (jnp.asarray(data.signed(examples["image"])) for examples in (source, target))
    readers = {}
    if "label" in source and "label" in target:
        centered = replace(config, crop="center").domains() if config.crop == "random" else domains
        readers["translated"] = reading(centered.target, source["label"])
        readers["back"] = reading(centered.source, target["label"])
    translate, back = (in_chunks(ask) for ask in (system.translate, system.back))

    def evaluate(key, state) -> Evaluation:
        weights = averaged(state).generator
        made = {"translated": translate(weights, x), "back": back(weights, y)}
        again = back(weights, made["translated"]), translate(weights, made["back"])
        metrics = {"forward_cycle": distance(again[0], x), "backward_cycle": distance(again[1], y)}
        for name, read in readers.items():
            metrics[f"read/{name}"], metrics[f"lenet/fid/{name}"] = read(made[name])
        if config.turned:
            metrics["truth/translated"] = distance(made["translated"], -turn(x))
            metrics["truth/back"] = distance(back(weights, -turn(x)), x)
            metrics["truth/identity"] = distance(x, -turn(x))
        rows = (x, made["translated"], again[0], y, made["back"], again[1])
        shown = np.concatenate([row[:NUM_SHOWN] for row in rows])
        columns = min(NUM_SHOWN, len(x), len(y))
        return Evaluation(
            {"translated": plots.image_grid(shown, columns=columns, row_names=ROWS)}, metrics
        )

    return evaluate


def in_chunks(ask: Callable[[Weights, jax.Array], jax.Array]) -> Callable[..., jax.Array]:
    """Compile what maps images, to be done with a few at a time."""

    def one(weights: Weights, image: jax.Array) -> jax.Array:
        return ask(weights, image[None])[0]

    return jax.jit(lambda weights, x: jax.lax.map(partial(one, weights), x, batch_size=CHUNK))


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train both maps, and measure what they make of unseen images."""
    domains = config.domains()
    feed = config.domains_feed(domains, {"image": data.signed}, {"image": data.signed})
    system = build(config, batch_shapes(feed))
    evaluate = evaluator(config, system, domains)
    result = config.play(system, feed, evaluate, workdir=workdir, fresh=fresh)
    said = ["cycles miss by {forward_cycle:.3f} and {backward_cycle:.3f} of 2"]
    if config.turned:
        said.append(
            "the truth by {truth/translated:.3f} (unchanged images by {truth/identity:.3f})"
        )
    if "read/translated" in result.metrics:
        said.append("{read/translated:.1%} are read as what they were, and {read/back:.1%} back")
    return result.says("; ".join(said).format_map(result.metrics))


if __name__ == "__main__":
    command.main("cyclegan", run, CONFIGS, __doc__ or "")
