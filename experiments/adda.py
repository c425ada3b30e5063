"""ADDA (Tzeng, Hoffman, Saenko & Darrell 2017).    python -m experiments.adda

Learns to name the digits of one domain, and then, without any label there, those of another: by
default from MNIST's digits to digits of other hands, `back` the other way. Scored by the share of
unseen images of the target that is named rightly, by the source's encoder alone and by ADDA's. The
picture has a row for each class, of target images that are named so, wrong ones inverted: on the
left by the source's encoder alone. `python -m experiments.predict runs/adda FOLDER` names pictures
of yours.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax
import numpy as np
import optax

from experiments.harness import command, domains, features, options, phases, play
from experiments.harness.bounds import Count, Rate, Size
from experiments.harness.pictures import Crop
from gan_jax import data, plots
from gan_jax.errors import Refusal
from gan_jax.games import averaged, exponential_average_memory
from gan_jax.nets import ADDAEncoder, MLPDiscriminator, MLPEncoder
from gan_jax.systems import ADDA
from gan_jax.training import Evaluation, batch_shapes, first_batch
from gan_jax.typing import Batch

NUM_COMPARED = 10_000
COLUMNS, NUM_ROWS = 8, 20
PHASES = ("source", "target")
SCALE = data.unit
IMAGE = {"image": SCALE}


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, domains.DomainOptions, phases.PhaseOptions):
    target_dataset: str | None = "optdigits"
    image_size: Size | None = 28
    grey: bool = False
    """Make grey of colours in both domains, as the authors do: needed where one is grey."""
    num_features: Size = 500
    """The encoder's last layer, which the discriminator sees."""
    widths: tuple[Size, ...] = (500, 500)
    """Units of the discriminator's hidden layers."""
    num_classes: Size | None = None
    """As many as the source has; counted where it is not told."""
    source_steps: Count = 400
    """Steps of the first phase, on the source's labels; --steps are those of the second."""
    source_learning_rate: Rate = 1e-3
    """Adam's in the first phase; beta1 is 0.5."""
    update: Literal["simultaneous", "alternating"] = "simultaneous"
    """As the authors': both players move from the same point; or the discriminator first."""
    steps: Count = 600
    batch_size: Size = 64
    learning_rate: float = 2e-4
    average_decay: float = 0.99
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 200
    checkpoint_every: Count = 100

    def images(self, split: str = "train", *, crop: Crop | None = None) -> data.Dataset:
        dataset = super().images(split, crop=crop)
        return data.grey(dataset) if self.grey else dataset


PAPER = Config(
    dataset="mnist",
    target_dataset="./usps",
    grey=True,
    batch_size=128,
    source_steps=10_000,
    steps=10_000,
    average_decay=0.0,
    steps_per_dispatch=100,
    evaluate_every=1_000,
    checkpoint_every=1_000,
)
BACK = Config(dataset="optdigits", target_dataset="digits")
CONFIGS = {
    "digits": Config(),
    "back": BACK,
    "paper": PAPER,
    "svhn": replace(PAPER, dataset="svhn_cropped", target_dataset="mnist"),
}
TABLES = {"both": {"digits to optdigits": Config(), "optdigits to digits": BACK}}


def build(config: Config, batch: Batch) -> ADDA:
    dtype = config.network_dtype
    if config.num_classes is None:
        raise Refusal("num_classes is not known: it is the number of the source's label names.")
    return ADDA(
        encoder=ADDAEncoder(config.num_features, dtype=dtype),
        classifier=MLPEncoder(config.num_classes, (), dtype=dtype),
        discriminator=MLPDiscriminator(config.widths, dtype=dtype),
        loss=play.LOSSES[config.loss](),
    )


def evaluator(config: Config, system: ADDA, found: domains.Domains) -> options.Evaluate:
    """Name unseen images of both domains: count what is right, and show the target's."""
    names, tests = options.label_names(found.source), config.domains("test")
    source, target = (options.first_examples(dataset, NUM_COMPARED) for dataset in tests)
    known = domains.labels_among(names, tests.source, source["label"])
    labels = None
    if "label" in target:
        labels = domains.labels_among(names, tests.target, target["label"])
    classify = jax.jit(system.classify)

    def named(weights, images) -> np.ndarray:
        logits = features.in_chunks(lambda x: classify(weights, SCALE(x)), images)
        return np.argmax(logits, axis=-1)

    def evaluate(key, state) -> Evaluation:
        is_source = hasattr(state, "player")
        weights = state.player.weights if is_source else averaged(state).generator
        alone = system.source(weights)
        guesses = {"source_only": named(alone, target["image"])}
        metrics = {"accuracy/source": np.mean(named(alone, source["image"]) == known)}
        if not is_source:
            guesses["adda"] = named(weights, target["image"])
            metrics["changed"] = np.mean(guesses["adda"] != guesses["source_only"])
        if labels is not None:
            for name, guess in guesses.items():
                metrics[f"accuracy/{name}"] = np.mean(guess == labels)
        shown = np.asarray(data.signed(target["image"]))
        return Evaluation({"named": sheet(shown, guesses.values(), labels, names)}, metrics)

    return evaluate


def sheet(
    images: np.ndarray,
    guesses: Collection[np.ndarray],
    labels: np.ndarray | None,
    names: Sequence[str],
) -> plots.Picture:
    """A row for each class, of images that each of the guesses takes for it; wrong ones inverted.

    Images are in [-1, 1]. Without labels nothing is known to be wrong.
    """
    white = np.ones((COLUMNS + 1, *images.shape[1:]), images.dtype)
    cells = []
    for label in range(min(len(names), NUM_ROWS)):
        for guess in guesses:
            rows = np.flatnonzero(guess == label)[:COLUMNS]
            wrong = np.zeros(len(rows), bool) if labels is None else labels[rows] != label
            signs = np.where(wrong, -1, 1).astype(images.dtype)[:, None, None, None]
            cells.append(np.concatenate([signs * images[rows], white])[: COLUMNS + 1])
    return plots.image_grid(
        np.concatenate(cells), columns=len(guesses) * (COLUMNS + 1), row_names=names[:NUM_ROWS]
    )


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train on the source, adapt to the target, and name unseen images of it."""
    found = config.domains()
    names = options.label_names(found.source)
    if config.num_classes not in (None, len(names)):
        raise Refusal(f"--num-classes is {config.num_classes}, but there are {len(names)}.")
    config = replace(config, num_classes=len(names))
    labelled = config.picture_feed(found.source, {**IMAGE, "label": None})
    both = config.domains_feed(found, IMAGE, IMAGE)
    system, optimizers = build(config, batch_shapes(both)), config.optimizers()
    optimizer = optax.adam(config.source_learning_rate, b1=0.5)
    key_source, key_target = jax.random.split(config.key("init"))

    source = system.init_source(key_source, first_batch(labelled), optimizer=optimizer)

    def adapt(state):
        weights, batch = state.player.weights, first_batch(both)
        state = system.init_target(key_target, weights, batch, optimizers=optimizers)
        return exponential_average_memory(state)

    learn = config.descent(system.objective, optimizer)
    result = config.train_phases(
        [
            config.phase(PHASES[0], lambda _: source, learn, labelled, config.source_steps),
            config.phase(PHASES[1], adapt, config.step(system), both, config.steps),
        ],
        evaluator(config, system, found),
        workdir=workdir,
        fresh=fresh,
        label_names=names,
        shown=("loss", "accuracy", "generator/loss", "discriminator/loss"),
    )
    said = ["{accuracy/source:.1%} of unseen images of the source are named rightly"]
    if "accuracy/adda" in result.metrics:
        said.append(
            "of the target {accuracy/source_only:.1%} by the source's encoder alone, and "
            "{accuracy/adda:.1%} by ADDA's"
        )
    else:
        said.append("of the target, which has no labels, {changed:.1%} are named anew by ADDA")
    return result.says("; ".join(said).format_map(result.metrics))


if __name__ == "__main__":
    command.main("adda", run, CONFIGS, __doc__ or "")
