"""CycleGAN (Zhu, Park, Isola & Efros 2017).    python -m experiments.cyclegan

Learns to map images of one domain to another and back, from images that are no pairs: by default
MNIST's digits to digits of other hands. `inverted` and `turned` are pairs of domains whose true map
is known, so that the error to it is measured: one half of the digits, and the other half inverted,
or inverted and turned by a quarter. `paper` is the authors' training but for their random crops of
images that are resized to 286 first.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import command, options, play, rates, runs
from experiments.harness.bounds import Count, CountOr0, Size, SizeOr0, Weight
from experiments.harness.domains import DomainOptions, Domains, knows, labels_among
from experiments.harness.readers import Reader, in_chunks
from gan_jax import data, plots, signals
from gan_jax.games import Weights, averaged
from gan_jax.losses import AdversarialLoss
from gan_jax.nets import PatchDiscriminator, ResidualGenerator
from gan_jax.nets.cyclegan import STEP, check_sides
from gan_jax.systems import CycleGAN
from gan_jax.systems.pix2pix import distance, halved_for_discriminator
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch, KeyArray

NUM_SHOWN = 10
NUM_COMPARED = 500
ROWS = ("source", "translated", "and back", "target", "back", "and again")
TRUTHS = {
    "inverted": lambda images: images,
    "turned": lambda images: np.rot90(images, axes=(1, 2)),
}
"""What is done to images before they are inverted."""


@dataclass(frozen=True, kw_only=True)
class Config(rates.DecliningOptions, DomainOptions):
    known: Literal["inverted", "turned"] | None = None
    """The target is one half of --dataset, so changed, and the source the other half, in place of
    --target-dataset: a pair of domains whose true map is known."""
    target_dataset: str | None = "optdigits"
    image_size: Size | None = 28
    width: Size = 8
    """Channels of the first layer of all networks; the paper has 64."""
    num_blocks: SizeOr0 = 3
    """Residual blocks; the paper has 6 for images of 128x128, and 9 for 256x256."""
    num_layers: CountOr0 = 3
    """Halvings in the discriminators: with 2 they see patches of 34x34, with 3 of 70x70."""
    forward_weight: Weight = 10.0
    """Of the cycle that starts with the source, source -> target -> source."""
    backward_weight: Weight = 10.0
    """Of the cycle that starts with the target."""
    identity_weight: Weight = 0.0
    """Of leaving images of the target as they are; 5 in the paper, where colours are to stay."""
    adversarial: bool = True
    """Without it there is no game, and cycles are all that is learned."""
    pool_size: SizeOr0 = 50
    """Past fakes of which the discriminators are shown some."""
    loss: play.LossName = "least_squares"
    update: play.Update = "simultaneous"
    """Simultaneous is the authors': the critics see the fakes of before the generators' move."""
    steps: Count = 2_000
    constant_steps: CountOr0 = 1_000
    decay_steps: Count = 1_000
    batch_size: Size = 4
    learning_rate: float = 1e-3
    average_decay: float = 0.99
    steps_per_dispatch: Count = 50
    evaluate_every: Count = 500
    checkpoint_every: Count = 500

    def domains(self, split: str = "train") -> Domains:
        if self.known is None:
            return super().domains(split)
        whole = self.images(split)
        rows = np.random.RandomState(0).permutation(len(whole))
        source, target = (whole[half] for half in np.array_split(rows, 2))
        target["image"] = 255 - TRUTHS[self.known](target["image"])
        names = getattr(whole, "label_names", None)
        return Domains(*(data.ArrayDataset(half, names) for half in (source, target)))


PAPER = Config(
    dataset="./horse2zebra",
    target_dataset=None,
    image_size=256,
    crop="random",
    flip=True,
    width=64,
    num_blocks=9,
    steps=266_800,  # 200 epochs of 1,334 images
    constant_steps=133_400,
    decay_steps=133_400,
    batch_size=1,
    learning_rate=2e-4,
    average_decay=0.0,
    steps_per_dispatch=100,
    evaluate_every=6_700,
    checkpoint_every=6_700,
)
INVERTED = Config(known="inverted", target_dataset=None)
TURNED = replace(INVERTED, known="turned")
CONFIGS = {
    "digits": Config(),
    "inverted": INVERTED,
    "turned": TURNED,
    "folder": Config(dataset="./unaligned", target_dataset=None, image_size=64, width=16),
    "paper": PAPER,
}


def ablation(full: Config) -> dict[str, Config]:
    """The rows of the paper's tables 4 and 5, in runs of under a minute."""
    full = replace(full, steps=600, constant_steps=400, decay_steps=200, evaluate_every=600)
    return {
        "cycle_alone": replace(full, adversarial=False),
        "gan_alone": replace(full, forward_weight=0.0, backward_weight=0.0),
        "gan_forward": replace(full, backward_weight=0.0),
        "gan_backward": replace(full, forward_weight=0.0),
        "cyclegan": full,
    }


TABLES = {
    f"ablation_{full.known}": {
        f"{full.known}_{name}": config for name, config in ablation(full).items()
    }
    for full in (INVERTED, TURNED)
}


def build(config: Config, batch: Batch) -> CycleGAN:
    curves = play.LOSSES[config.loss]()
    if not config.adversarial:
        loss = AdversarialLoss(jnp.zeros_like, jnp.zeros_like, jnp.zeros_like)
    elif config.loss == "least_squares":  # whose curves are halved, all three
        loss = curves._replace(generator=lambda logits: 2 * curves.generator(logits))
    else:
        loss = halved_for_discriminator(curves)
    told: Any = {"width": config.width, "dtype": config.network_dtype}
    _, *size, channels = batch["source"]["image"].shape
    check_sides(tuple(size))  # before judges are trained
    return CycleGAN(
        generator=ResidualGenerator(channels, num_blocks=config.num_blocks, **told),
        discriminator=PatchDiscriminator(config.num_layers, **told),
        loss=loss,
        cycle_weight=(config.forward_weight, config.backward_weight),
        identity_weight=config.identity_weight,
        pool_size=config.pool_size,
    )


def evaluator(config: Config, system: CycleGAN, domains: Domains) -> options.Evaluate:
    """Map unseen images of both domains to the other and back: show some, and measure all."""
    tests = config.domains("test")
    num = min(NUM_COMPARED, *map(len, tests))
    examples = [options.first_examples(dataset, num) for dataset in tests]
    x, y = (jnp.asarray(data.signed(some["image"])) for some in examples)
    translate, back = in_chunks(system.translate), in_chunks(system.back)
    judges = replace(config, crop="center").domains() if config.crop == "random" else domains
    readers, constant = {}, {}
    for name, judge, (given, real) in (
        ("translated", judges.target, (0, 1)),
        ("back", judges.source, (1, 0)),
    ):
        if all(knows(judge, dataset) for dataset in tests):
            labels = [
                labels_among(options.label_names(judge), tests[i], examples[i]["label"])
                for i in (given, real)
            ]
            read, images = Reader.of(judge), ((x, y)[given], (x, y)[real])
            readers[name] = read, labels[0]
            for suffix, some, meant in zip(("/unchanged", "/real"), images, labels, strict=True):
                constant |= read(some, meant).named(f"/{name}{suffix}")
    columns = min(NUM_SHOWN, num)

    def evaluate(key, state) -> Evaluation:
        weights = averaged(state).generator
        made = {"translated": translate(weights, x), "back": back(weights, y)}
        cycled = back(weights, made["translated"]), translate(weights, made["back"])
        rows = (x, made["translated"], cycled[0], y, made["back"], cycled[1])
        shown = np.concatenate([row[:columns] for row in rows])
        grid = plots.image_grid(shown, columns=columns, row_names=ROWS)
        metrics = {
            "forward_cycle": jnp.mean(distance(cycled[0], x)),
            "backward_cycle": jnp.mean(distance(cycled[1], y)),
        }
        if config.known is not None:
            truth = -jnp.asarray(TRUTHS[config.known](x))
            metrics["error"] = jnp.mean(distance(made["translated"], truth))
            metrics["error/back"] = jnp.mean(distance(back(weights, truth), x))
            metrics["error/identity"] = jnp.mean(distance(x, truth))
            metrics["error/blank"] = jnp.mean(distance(jnp.ones_like(x), truth))
        for name, (read, labels) in readers.items():
            metrics |= read(made[name], labels).named(f"/{name}")
        return Evaluation({"translated": grid}, {**metrics, **constant})

    return evaluate


def translators(config: Config, system: CycleGAN, batch: Batch) -> dict[str, runs.Translator]:
    """Map a user's own pictures, of any size."""

    def padded(ask: Callable[[Weights, jax.Array, KeyArray], jax.Array]) -> runs.Translator:
        mapped = jax.jit(ask)

        def translate(key: KeyArray, weights: Weights, images: jax.Array) -> jax.Array:
            _, height, width, _ = images.shape
            made = mapped(weights, signals.pad_to_multiple(images, STEP), key)
            return signals.unpad(made, (height, width))

        return runs.Translator(batch["source"]["image"].shape[-1], translate)

    return {"forth": padded(system.translate), "back": padded(system.back)}


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train both maps, and measure what they make of unseen images."""
    domains = config.domains()
    feed = config.domains_feed(domains, {"image": data.signed}, {"image": data.signed})
    system = build(config, batch_shapes(feed))
    evaluate = evaluator(config, system, domains)
    result = config.play(system, feed, evaluate, workdir=workdir, fresh=fresh)
    said = ["cycles miss by {forward_cycle:.3f} and {backward_cycle:.3f}"]
    if config.known is not None:
        said.append("the true map by {error:.3f} (no map {error/identity:.3f})")
    if "read/translated" in result.metrics:
        said.append(
            "{read/translated:.1%} are read as what they were ({read/translated/unchanged:.1%} of "
            "unchanged ones), {read/back:.1%} back"
        )
    return result.says("; ".join(said).format_map(result.metrics))


if __name__ == "__main__":
    command.main("cyclegan", run, CONFIGS, __doc__ or "")
