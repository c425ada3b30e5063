"""Labels of your own pictures, by a run of ADDA.    python -m experiments.predict runs/adda FOLDER

Writes a line of csv for each picture of the folder and of the folders in it: its file, its label by
ADDA's encoder of the target, and the probability of the label. Pictures are brought to the size and
the colours of those that the run has learned from; ink that is dark there must be dark here. Of a
run that was stopped the newest checkpoint counts. `runs/adda/source` in place of `runs/adda` gives
the labels of the source's encoder alone.
"""

import csv
import dataclasses
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import tyro

from experiments import adda
from experiments.harness import features, runs
from experiments.harness.command import directory
from gan_jax import data, training
from gan_jax.errors import Refusal
from gan_jax.games import Weights
from gan_jax.training import Restored
from gan_jax.training.rundir import CHECKPOINTS

FILE = "labels.csv"
COLUMNS = ("file", "label", "confidence")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The directory of a run of ADDA that is finished or was stopped."""
    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """The folder of the pictures."""
    out: str | None = None
    """A new file, by default <run>/labels.csv."""


def run(options: Options) -> str:
    """Write the labels; say where they are."""
    restored = newest(options.run)
    _, config = runs.experiment_of(options.run, restored)
    if not isinstance(config, adda.Config):
        raise Refusal(
            f"{options.run} is a run of {restored.experiment}, which knows no labels of pictures: "
            "name the directory of a run of adda."
        )
    out = Path(options.run, FILE) if options.out is None else directory(options.out, "--out")
    if out.exists():
        raise Refusal(f"{out} is there already: give another --out, or move it away.")
    batch = restored.batch.get("target", restored.batch)
    names, images = data.read_pictures(
        options.folder, batch["image"].shape[1:], background=config.background
    )
    system, weights = adda.build(config, restored.batch), weights_of(restored)
    classify = jax.jit(lambda x: jax.nn.softmax(system.classify(weights, adda.SCALE(x))))
    chances = np.asarray(features.in_chunks(classify, images))
    labels = [(restored.label_names or [])[label] for label in chances.argmax(axis=1)]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("x", newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for name, label, chance in zip(names, labels, chances.max(axis=1), strict=True):
            rows.writerow((name, label, f"{chance:.4f}"))
    return f"{len(names)} labels in {out}"


def newest(run: str) -> Restored:
    """The newest checkpoint of the second phase, or of the one whose directory is named.

    Raises:
        ValueError: the first phase is finished, and the second has not begun.
    """
    target = Path(run, adda.PHASES[1])
    if target.is_dir():
        return training.restore(target)
    restored = training.restore(run)
    if "target" not in restored.batch and not Path(run, CHECKPOINTS).is_dir():
        raise Refusal(
            f"{run} was stopped in its first phase, so it knows nothing of the target: run the "
            f"same command again, or name {Path(run, adda.PHASES[0])}, whose labels are those of "
            "the source's encoder alone."
        )
    return restored


def weights_of(restored: Restored) -> Weights:
    """The average of the target's encoder, or the source's weights."""
    if "player" in restored.state:
        return restored.weights("player")
    return restored.weights("memory", "generator")


if __name__ == "__main__":
    runs.main("predict", Options, run, __doc__ or "")
