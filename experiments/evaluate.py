"""Measures of a run that is finished or was stopped.    python -m experiments.evaluate runs/dcgan

Its images are compared with unseen ones of its dataset; of a run with labels each is also judged by
a classifier that learned the real images, and of a model with an encoder the likelihood of unseen
images is estimated. Completions of unseen images are not compared with these.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from experiments.harness import features, options, runs, text
from experiments.harness.bounds import Several
from experiments.harness.likelihoods import LikelihoodOptions, score_name, with_error
from experiments.harness.runs import Opened, RunAgain, opened
from gan_jax import data
from gan_jax.metrics import bits_per_dimension, precision_recall
from gan_jax.systems.latents import ImportanceWeighted
from gan_jax.typing import Batch

Rows = list[tuple[str, str, str]]
"""What is measured, its value, and of what or by whom."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    num: Several = 2_000
    """How many unseen images are compared, if there are so many, with as many that are made."""


def of_images(run: Opened, chosen: Options) -> Rows:
    """Precision and recall of pixels, and the share of images that are of their class.

    Where the run has labels, they are those of the unseen images.
    """
    unseen = options.first_examples(run.config.images("test"), chosen.num)
    real = unseen["image"]
    labels = (unseen["label"],) if run.has_labels else ()
    images = np.concatenate(list(run.draw(chosen.key, len(real), *labels)))
    points = (options.flat(jnp.asarray(x, jnp.float32)) for x in (real, images))
    rows = [
        (name, f"{value:.4g}", f"{len(images)} images")
        for name, value in precision_recall(*points)._asdict().items()
    ]
    if labels:
        judge = features.train_classifier(run.config.images(crop="center"))
        named = judge.classes(np.asarray(data.signed(images)))
        by = f"by {judge.name}, which names {judge.accuracy:.1%} of real ones"
        rows.append(("accuracy", f"{np.mean(named == labels[0]):.4g}", by))
    return rows


def of_likelihood(run: Opened, unseen: Batch, num_dimensions: int) -> Rows:
    """The negative log-likelihood of unseen images, in nats, and in bits where they have levels."""
    log_weights = run.system.log_weights
    nll = run.config.negative_log_likelihoods(log_weights, run.weights, unseen)
    num = f"{len(nll)} images"
    rows = [(score_name(run.config), f"{with_error(nll)} nats", num)]
    if getattr(run.config, "likelihood", None) == "discretized_logistic":
        bits = bits_per_dimension(nll.mean(), num_dimensions)
        rows.append(("bits per dimension", f"{bits:.4g}", num))
    return rows


def run(chosen: Options) -> str:
    """Measure, and put the numbers into a table."""
    run = opened(chosen)
    of_real = getattr(run.maker, "unseen", None)
    rows = [] if of_real else of_images(run, chosen)
    if isinstance(run.config, LikelihoodOptions) and isinstance(run.system, ImportanceWeighted):
        images = run.config.unseen()[0]
        rows += of_likelihood(run, of_real or {"image": images}, images[0].size)
    return f"{run.restored.experiment} at step {run.restored.step}\n{text.table(rows)}"


if __name__ == "__main__":
    runs.main("evaluate", Options, run, __doc__ or "")
