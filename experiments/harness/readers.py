"""Classifiers of real images that read what was made to look like them."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.harness.features import Classifier, train_classifier
from gan_jax import data
from gan_jax.games import Weights
from gan_jax.metrics import frechet_distance

CHUNK = 20


class Reading(NamedTuple):
    """The share that is read as the class that is meant, and the distance to real images."""

    right: float
    fid: float

    def named(self, suffix: str = "") -> dict[str, float]:
        """The two numbers as metrics."""
        return {f"read{suffix}": self.right, f"lenet/fid{suffix}": self.fid}


class Reader(NamedTuple):
    """A classifier of a domain, and the features of real images that it has not learned from."""

    judge: Classifier
    real: np.ndarray

    @classmethod
    def of(cls, dataset: data.Dataset) -> "Reader":
        """Train it, or read what was kept. Raises as `train_classifier`."""
        judge = train_classifier(dataset)
        real = dataset[judge.reference]["image"]
        return cls(judge, np.asarray(judge.features(data.signed(real))))

    def __call__(self, images: Any, labels: np.ndarray) -> Reading:
        """Read images in [-1, 1] whose classes are meant to be these."""
        right = np.mean(self.judge.classes(images) == labels)
        return Reading(
            float(right), float(frechet_distance(self.real, self.judge.features(images)))
        )


def in_chunks(ask: Callable[[Weights, jax.Array], jax.Array]) -> Callable[..., jax.Array]:
    """Compile what maps images, to map any number of them, a few at a time."""

    def one(weights: Weights, image: jax.Array) -> jax.Array:
        return ask(weights, image[None])[0]

    return jax.jit(lambda weights, x: jax.lax.map(partial(one, weights), x, batch_size=CHUNK))
