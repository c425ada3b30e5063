"""On how thin a surface samples lie.    python -m experiments.supports runs/dcgan

A generator's samples lie on a surface of at most as many dimensions as there are latents, and so do
the data on one of few: two such surfaces hardly meet, and a discriminator can tell them apart
(Arjovsky & Bottou 2017, section 2.1). Estimates how many dimensions the images of a run and its
samples have (Levina & Bickel 2004), takes the rank of the generator's Jacobian, and says in how
many directions an image is moving with its latents (participation ratio). Says, too, of how many
samples another looks the same though its latents are far away: several to one image.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import numpy as np
from scipy.spatial import distance

from experiments.harness import options, runs, text
from experiments.harness.bounds import Count
from experiments.harness.features import in_chunks
from experiments.harness.neighbours import distances
from experiments.harness.pictures import PictureOptions
from experiments.harness.runs import Opened, RunAgain, of_latents_alone
from gan_jax import data, metrics

NUM_COMPARED = 2_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    num_spectra: Count = 20
    """Latents at which the Jacobian is taken."""


def dimensions(run: Opened, latents: jax.Array, images: np.ndarray) -> dict[str, float]:
    """Of the surface at some of the latents; moving: its slopes' mean participation ratio."""

    def image(z: jax.Array) -> jax.Array:
        return run.maker.generate(run.weights, z.reshape(1, *latents.shape[1:]))[0]

    some = options.flat(latents)
    spectra = np.asarray(jax.jit(lambda z: metrics.jacobian_spectra(image, z))(some))
    size = max(some.shape[1], images[0].size)
    return {
        "latents": some.shape[1],
        "pixels": images[0].size,
        "rank": int(metrics.numerical_rank(spectra, size).max()),
        "moving": float(np.mean(metrics.participation_ratio(spectra))),
    }


def several_to_one(latents: np.ndarray, images: np.ndarray, real: np.ndarray) -> float:
    """The share of samples whose nearest other looks the same and has latents that are far away.

    The same: nearer than half of the real images are to their nearest. Far: farther than half of
    all pairs of latents.
    """
    apart = distances(images)
    nearest = apart.argmin(axis=1)
    alike = apart.min(axis=1) < np.median(distances(real).min(axis=1))
    steps = np.linalg.norm(latents - latents[nearest], axis=1)
    return float(np.mean(alike & (steps > np.median(distance.pdist(latents)))))


def measured(run: Opened, key: Any, num_spectra: int) -> dict[str, float]:
    """All numbers of a run, of as many samples as there are real images."""
    dataset = PictureOptions.images(run.config, crop="center")  # brightnesses, of a run of bits too
    real = options.flat(data.signed(options.first_examples(dataset, NUM_COMPARED)["image"]))
    latents = run.maker.latents(key, len(real))
    made = in_chunks(partial(jax.jit(run.maker.generate), run.weights), latents)
    images = options.flat(run.to_signed(made))
    return {
        **dimensions(run, latents[:num_spectra], np.asarray(images)),
        "dimension of real images": float(metrics.intrinsic_dimension(real)),
        "dimension of samples": float(metrics.intrinsic_dimension(images)),
        "several to one": several_to_one(np.asarray(options.flat(latents)), images, real),
    }


def run(chosen: Options) -> str:
    """Measure, and say it."""
    run = of_latents_alone(chosen)
    found = measured(run, chosen.key, chosen.num_spectra)
    return text.table([(name, f"{value:.4g}") for name, value in found.items()])


if __name__ == "__main__":
    runs.main("supports", Options, run, __doc__ or "")
