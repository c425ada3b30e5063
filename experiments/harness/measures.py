"""What images are measured by: numbers by name, beside real images."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8

from experiments.harness.feature_networks import Features
from experiments.harness.options import flat
from gan_jax import data, metrics
from gan_jax.errors import Refusal, require_extra

Measure = Literal[
    "fid",
    "kid",
    "is",
    "precision",
    "recall",
    "density",
    "coverage",
    "nearest",
    "copying",
    "ndb",
    "sliced_wasserstein",
    "ms_ssim",
]
NUM_BINS = 20
NUM_UNSEEN = 1_000
NUM_CUT = 250  # images of which patches are cut
PART = 5_000  # images of which features are computed at a time
OF_COPIES = frozenset({"nearest", "copying"})

Bytes = UInt8[np.ndarray, "num height width channels"]


class Real:
    """Real images, and what is computed of them, once, when a number needs it.

    Args:
        train, test: as they are evaluated; the second is loaded when it is needed.
        num: how many images stand for the data, if there are so many.
        statistics: a file of the moments of all images that may stand for the data, from which the
            Fréchet distance is taken; it is written where there is none.
    """

    def __init__(
        self,
        features: Features,
        train: data.Dataset,
        test: Callable[[], data.Dataset],
        num: int,
        statistics: Path | None = None,
    ) -> None:
        self.features, self.statistics = features, statistics
        self.train, self.test = train, test
        self.rows = features.standing_for(train)
        self.reference = self.train[self.rows[:num]]

    @property
    def images(self) -> Bytes:
        return self.reference["image"]

    @cached_property
    def points(self) -> Float[Any, "num features"]:
        return described(self.features, self.images)

    @cached_property
    def moments(self) -> metrics.Moments:
        """Of the file of statistics, which is written where there is none."""
        if self.statistics is None:
            return metrics.Moments.of(self.points)
        name = self.features.name
        if not self.statistics.exists():
            metrics.Moments.of(self._described(self.rows)).save(self.statistics, features=name)
        return metrics.Moments.load(self.statistics, features=name)

    @cached_property
    def taught(self) -> Float[Any, "num features"]:
        """The features of all training images."""
        return self._described(np.arange(len(self.train)))

    def unseen(self, num: int) -> Bytes:
        """The first images of the test set, if there are so many."""
        test = self.test()
        return test[np.arange(min(len(test), num))]["image"]

    @cached_property
    def distances(self) -> Float[Any, " num"]:
        """Of unseen images, to the training image that is nearest."""
        unseen = described(self.features, self.unseen(NUM_UNSEEN))
        return metrics.nearest_distances(unseen, self.taught)

    @cached_property
    def centres(self) -> Float[np.ndarray, "bins pixels"]:
        """Of bins of pixels, by k-means."""
        if len(self.images) < NUM_BINS:
            raise Refusal(
                f"The measure ndb has {NUM_BINS} bins, and there are {len(self.images)} real "
                "images: measure something else, or of more images."
            )
        means = require_extra("sklearn.cluster").KMeans(NUM_BINS, n_init=1, random_state=0)
        return means.fit(np.asarray(flat(data.signed(self.images)))).cluster_centers_

    def held_out(self, num: int) -> Bytes:
        """Images in the place of samples: none of the reference, nor known to a classifier."""
        rows = self.features.held_out
        if rows is None:
            return self.unseen(num)
        held_out = self.train[rows[:num]]["image"]
        if len(held_out) == num:
            return held_out
        return np.concatenate([held_out, self.unseen(num - len(held_out))])

    def _described(self, rows: np.ndarray) -> np.ndarray:
        parts = np.array_split(rows, -(-len(rows) // PART))
        return np.concatenate(
            [described(self.features, self.train[some]["image"]) for some in parts]
        )


class Sample(NamedTuple):
    images: Bytes
    points: Float[Any, "num features"]


Numbers = Mapping[str, Any]


def measured(names: Sequence[Measure], real: Real, images: Bytes) -> dict[str, float]:
    """The numbers of these names, each called `features/name`."""
    sample = Sample(images, described(real.features, images))
    found: dict[str, Any] = {}
    for of_these, compute in MEASURES.items():
        if set(of_these) & set(names):
            found.update(compute(real, sample))
    return {f"{real.features.kind}/{name}": float(found[name]) for name in names}


def measured_of_real(names: Sequence[Measure], real: Real, images: Bytes) -> dict[str, float]:
    """The same numbers of real images in the place of samples: what a perfect model would get."""
    others: list[Any] = [name for name in names if name not in OF_COPIES]
    found = measured(others, real, images)
    if "nearest" in names:
        found[f"{real.features.kind}/nearest"] = float(np.mean(real.distances))
    return found


def described(features: Features, images: Bytes) -> Float[Any, "num features"]:
    """Features of images in bytes: what a model makes is rounded to them, as a file would be."""
    return features.of(np.asarray(data.signed(images)))


def _moments(real: Real, sample: Sample) -> Numbers:
    reference = real.points if real.statistics is None else real.moments
    return {"fid": metrics.frechet_distance(reference, sample.points)}


def _kernel(real: Real, sample: Sample) -> Numbers:
    return {"kid": metrics.kernel_distance(real.points, sample.points)}


def _classes(real: Real, sample: Sample) -> Numbers:
    if real.features.logits is None:
        raise Refusal("The measure `is` needs classes: choose --features lenet or inception:FILE.")
    logits = real.features.logits(np.asarray(data.signed(sample.images)))
    return {"is": metrics.inception_score(logits)[0]}


def _neighbours(real: Real, sample: Sample) -> Numbers:
    return metrics.prdc(real.points, sample.points)._asdict()


def _copies(real: Real, sample: Sample) -> Numbers:
    distances = metrics.nearest_distances(sample.points, real.taught)
    copying = metrics.data_copying(distances, real.distances)
    return {"nearest": np.mean(distances), "copying": copying.nearer}


def _bins(real: Real, sample: Sample) -> Numbers:
    counts = (
        metrics.bin_counts(flat(data.signed(images)), real.centres)
        for images in (real.images, sample.images)
    )
    return {"ndb": metrics.different_bins(*counts).number}


def _patches(real: Real, sample: Sample) -> Numbers:
    num = min(len(real.images), len(sample.images), NUM_CUT)
    images = real.images[:num], sample.images[:num]
    levels = metrics.laplacian_sliced_wasserstein(jax.random.key(0), *images)
    return {"sliced_wasserstein": 1e3 * np.mean(levels)}


def _similarity(real: Real, sample: Sample) -> Numbers:
    pairs = sample.images[: len(sample.images) // 2 * 2]
    return {"ms_ssim": np.mean(jax.jit(metrics.ms_ssim)(pairs[::2], pairs[1::2]))}


MEASURES: dict[tuple[Measure, ...], Callable[[Real, Sample], Numbers]] = {
    ("fid",): _moments,
    ("kid",): _kernel,
    ("is",): _classes,
    ("precision", "recall", "density", "coverage"): _neighbours,
    ("nearest", "copying"): _copies,
    ("ndb",): _bins,
    ("sliced_wasserstein",): _patches,
    ("ms_ssim",): _similarity,
}
"""Numbers that are computed together."""
