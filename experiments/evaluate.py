"""Measures of a run that is finished or was stopped.    python -m experiments.evaluate runs/dcgan

Its images are compared with real ones of its dataset, and beside them other real images in the
place of samples: what a perfect model would get. Of a run with labels each image is also judged by
a classifier that learned the real images, and of a model with an encoder the likelihood of unseen
images is estimated. Completions of unseen images are not compared with these. The numbers are also
written to measures.json in the run's directory.
"""

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import measures, runs, text
from experiments.harness.bounds import Count, Several
from experiments.harness.command import directory
from experiments.harness.feature_networks import Features, check_differentiable, features_by
from experiments.harness.features import Classifier, train_classifier
from experiments.harness.likelihoods import LikelihoodOptions, score_name, with_error
from experiments.harness.measures import Measure, Real
from experiments.harness.pictures import PictureOptions
from experiments.harness.runs import Opened, RunAgain, opened
from gan_jax import data
from gan_jax.errors import Refusal
from gan_jax.metrics import bits_per_dimension, path_length_lerp, trimmed_mean
from gan_jax.systems.latents import ImportanceWeighted
from gan_jax.typing import Batch, KeyArray

FILE = "measures.json"
NUM_SAMPLES = 1_000
PATH_LENGTH = "path_length"
NUM_PATHS = 1_000
CHUNK = 100  # paths that are followed at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    measures: tuple[Literal[Measure, "path_length"], ...] = (
        "fid",
        "kid",
        "precision",
        "recall",
        "density",
        "coverage",
        "nearest",
        "copying",
    )
    """What is measured, in this order."""
    features: str = "auto"
    """What images are compared by: pixels, lenet (a classifier of the dataset's own classes),
    inception:FILE (with weights of the published FIDs), or auto: lenet where there are labels."""
    num_samples: Several | None = None
    """How many images are made in each draw, and how many real ones are the reference, if there are
    so many; by default as many as there are of the reference and of other real images, up to
    1,000."""
    num_draws: Count = 3
    """How often, for a mean and a standard deviation."""
    reference: str | None = None
    """A file .npz of the real images' mean and covariance, for fid: written where there is none."""


def of_images(run: Opened, chosen: Options) -> tuple[str, dict[str, Any]]:
    """Compare images with real ones, in each draw; where the run has labels, with these labels."""
    images = partial(PictureOptions.images, run.config)  # where a run has bits, their brightnesses
    train = images(crop="center")
    features = features_by(chosen.features, train)
    file = None if chosen.reference is None else directory(chosen.reference, "--reference")
    if file is not None and not file.parent.is_dir():
        raise Refusal(f"--reference is {file}, in a directory that there is not: make it first.")
    test, most = partial(images, "test"), chosen.num_samples or NUM_SAMPLES
    real = Real(features, train, test, most, file)
    held_out = real.held_out(most)
    num = chosen.num_samples or min(len(real.images), len(held_out))
    if num < len(real.images):
        real = Real(features, train, test, num, file)
    labels = (np.resize(real.reference["label"], num),) if run.has_labels else ()
    total = num * chosen.num_draws
    key_drawn, key_paths = jax.random.split(chosen.key)
    drawn = run.draw(key_drawn, total, *(np.resize(label, total) for label in labels))
    made = np.split(np.concatenate(list(drawn)), chosen.num_draws)
    names: list[Any] = [name for name in chosen.measures if name != PATH_LENGTH]
    found = [measures.measured(names, real, images) for images in made]
    samples = {name: [draw[name] for draw in found] for name in found[0]}
    is_enough = len(held_out) >= num  # numbers compare at the same n alone
    beside = measures.measured_of_real(names, real, held_out[:num]) if is_enough else {}
    if PATH_LENGTH in chosen.measures:
        samples[f"{features.kind}/{PATH_LENGTH}"] = path_lengths(
            run, jax.random.split(key_paths, chosen.num_draws), features, labels
        )
    if labels:
        judge = train_classifier(train)
        samples["accuracy"] = [accuracy(judge, images, *labels) for images in made]
        beside["accuracy"] = judge.accuracy
    measured = {
        "features": features.name,
        "num_samples": num,
        "num_reference": len(real.images),
        "fid_reference": str(file) if file else None,
        "num_fid_reference": real.moments.count if file else len(real.images),
        "samples": samples,
        "real": beside,
    }
    return in_words(measured), measured


def path_lengths(
    run: Opened, keys: KeyArray, features: Features, labels: Sequence[np.ndarray]
) -> list[float]:
    """How far features go, squared, per unit of straight lines between latents, in each draw."""
    check_differentiable(features, PATH_LENGTH)

    @jax.jit
    def follow(key, *labels):
        key_ends, key_t = jax.random.split(key)
        start, end = jnp.split(run.maker.latents(key_ends, 2 * CHUNK), 2)

        def seen(latents):
            made = run.maker.generate(run.weights, latents, *labels)
            return features.of(run.to_signed(made))

        t = jax.random.uniform(key_t, (CHUNK,))
        return path_length_lerp(seen, start, end, t, epsilon=0)

    parts = [np.resize(label, (NUM_PATHS // CHUNK, CHUNK)) for label in labels]
    means = []
    for key in keys:
        chunks = zip(jax.random.split(key, NUM_PATHS // CHUNK), *parts, strict=True)
        lengths = jnp.concatenate([follow(*chunk) for chunk in chunks])
        means.append(float(trimmed_mean(lengths)))
    return means


def accuracy(judge: Classifier, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of images that a classifier takes for what they are to be."""
    return float(np.mean(judge.classes(np.asarray(data.signed(images))) == labels))


def in_words(measured: dict[str, Any]) -> str:
    """A table of the numbers, and what they are worth."""
    num, file = measured["num_samples"], measured["fid_reference"]
    rows = [("", f"{num} samples", f"{num} real images")]
    for name, values in measured["samples"].items():
        deviation = f" ± {np.std(values, ddof=1):.2g}" if len(values) > 1 else ""
        real = measured["real"].get(name)
        beside = "" if real is None else f"{real:.4g}"
        rows.append((name, f"{np.mean(values):.4g}{deviation}", beside))
    said = [
        text.table(rows),
        f"features: {measured['features']}",
        f"reference: {measured['num_reference']} training images, of which the run learned too",
    ]
    if file:
        said.append(f"fid: beside {measured['num_fid_reference']} images of {file}")
    if any(name.endswith(("nearest", "copying")) for name in measured["samples"]):
        said.append(
            "nearest, copying: among all training images; the real ones are of the test set"
        )
    return "\n".join(said)


def of_likelihood(run: Opened, unseen: Batch, num_dimensions: int) -> str:
    """The negative log-likelihood of unseen images, in nats, and in bits where they have levels."""
    log_weights = run.system.log_weights
    nll = run.config.negative_log_likelihoods(log_weights, run.weights, unseen)
    num = f"{len(nll)} unseen images"
    rows = [(score_name(run.config), f"{with_error(nll)} nats", num)]
    if getattr(run.config, "likelihood", None) == "discretized_logistic":
        bits = bits_per_dimension(nll.mean(), num_dimensions)
        rows.append(("bits per dimension", f"{bits:.4g}", num))
    return text.table(rows)


def run(chosen: Options) -> str:
    """Measure, write the numbers down, and put them into tables."""
    run = opened(chosen)
    restored, of_real = run.restored, getattr(run.maker, "unseen", None)
    said = [f"{restored.experiment} at step {restored.step}"]
    if not of_real:
        words, numbers = of_images(run, chosen)
        written = {"step": restored.step, "seed": chosen.seed, **numbers}
        said.append(words)
        try:
            Path(chosen.run, FILE).write_text(json.dumps(written, indent=2) + "\n")
        except OSError as error:
            said.append(f"{FILE} could not be written there ({error.strerror})")
    if isinstance(run.config, LikelihoodOptions) and isinstance(run.system, ImportanceWeighted):
        images = run.config.unseen()[0]
        said.append(of_likelihood(run, of_real or {"image": images}, images[0].size))
    return "\n".join(said)


if __name__ == "__main__":
    runs.main("evaluate", Options, run, __doc__ or "")
