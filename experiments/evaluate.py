"""Measures of a run that is finished or was stopped.    python -m experiments.evaluate runs/dcgan

Its images are compared with unseen ones of its dataset; of a run with labels each is also judged by
a classifier that learned the real images, and of a model with an encoder the likelihood of unseen
images is estimated.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import tyro

from experiments.harness import features, options, text
from experiments.harness.bounds import Several
from experiments.harness.command import in_one_line
from experiments.harness.likelihoods import LikelihoodOptions
from experiments.harness.runs import Opened, RunAgain, opened
from gan_jax import training
from gan_jax.metrics import bits_per_dimension, precision_recall
from gan_jax.systems.latents import ImportanceWeighted

Measures = dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    num: Several = 2_000
    """How many unseen images are compared, if there are so many, with as many that are made."""


def of_images(run: Opened, chosen: Options) -> Measures:
    """Precision and recall of pixels, and the share of images that are of their class."""
    unseen = options.first_examples(run.config.images("test"), chosen.num)["image"]
    labels = run.labels(len(unseen))
    images = np.concatenate(list(run.draw(chosen.key, len(unseen), *labels)))
    quality = precision_recall(
        *(options.flat(jnp.asarray(x, jnp.float32)) for x in (unseen, images))
    )
    measures = dict(quality._asdict())
    if labels:
        judge = features.train_classifier(run.config.images(crop="center"))
        named = np.argmax(judge.logits(images / np.float32(127.5) - 1), axis=-1)
        measures["accuracy"] = np.mean(named == labels[0])
    return {f"{name} ({len(images)} images)": float(value) for name, value in measures.items()}


def of_likelihood(run: Opened) -> Measures:
    """The negative log-likelihood of unseen images, in nats, and in bits where they have levels."""
    unseen = {"image": run.config.unseen()[0]}
    nll = run.config.negative_log_likelihoods(run.system.log_weights, run.weights, unseen).mean()
    measures = {"negative log-likelihood": nll}
    if getattr(run.config, "likelihood", None) == "discretized_logistic":
        measures["bits per dimension"] = bits_per_dimension(nll, unseen["image"][0].size)
    return {f"{name} ({len(unseen['image'])} images)": float(x) for name, x in measures.items()}


def run(chosen: Options) -> str:
    """Measure, and put the numbers into a table."""
    run = opened(chosen)
    measures = of_images(run, chosen)
    has_likelihood = isinstance(run.config, LikelihoodOptions) and not hasattr(run.maker, "at")
    if has_likelihood and isinstance(run.system, ImportanceWeighted):
        measures |= of_likelihood(run)
    rows = [(name, f"{value:.4g}") for name, value in measures.items()]
    return f"{run.restored.experiment} at step {run.restored.step}\n{text.table(rows)}"


if __name__ == "__main__":
    with in_one_line("evaluate"):
        given = tyro.cli(Options, description=__doc__, prog="python -m experiments.evaluate")
        training.enable_compilation_cache()
        print(run(given))
