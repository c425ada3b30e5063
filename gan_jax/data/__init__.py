"""Datasets -> arrays -> batches: embedded, synthetic, TensorFlow Datasets, a user's folders.

And files of weights -> arrays.
"""

from gan_jax.data import mixtures, moving_digits, notes, shapes, text
from gan_jax.data.batches import (
    Fields,
    batch_indices,
    drawn_feed,
    feed,
    map_feed,
    resident_feed,
    side_by_side,
    streamed_feed,
)
from gan_jax.data.binary import binarize, binarized, join_quadrants, split_quadrants
from gan_jax.data.datasets import load
from gan_jax.data.folders import read_pictures
from gan_jax.data.framing import FramedDataset
from gan_jax.data.grey import grey
from gan_jax.data.mixtures import Mixture, grid, ring
from gan_jax.data.scaling import signed, to_uint8, unit
from gan_jax.data.sounds import SoundDataset
from gan_jax.data.sources import ArrayDataset, Dataset, Examples
from gan_jax.data.streamed_folders import FolderDataset
from gan_jax.data.text import captioned, characters
from gan_jax.data.tfds import DatasetUnavailable, TFDSDataset
from gan_jax.data.weights import read_weights, weights_digest

__all__ = [
    "ArrayDataset",
    "Dataset",
    "DatasetUnavailable",
    "Examples",
    "Fields",
    "FolderDataset",
    "FramedDataset",
    "Mixture",
    "SoundDataset",
    "TFDSDataset",
    "batch_indices",
    "binarize",
    "binarized",
    "captioned",
    "characters",
    "drawn_feed",
    "feed",
    "grey",
    "grid",
    "join_quadrants",
    "load",
    "map_feed",
    "mixtures",
    "moving_digits",
    "notes",
    "read_pictures",
    "read_weights",
    "resident_feed",
    "ring",
    "shapes",
    "side_by_side",
    "signed",
    "split_quadrants",
    "streamed_feed",
    "text",
    "to_uint8",
    "unit",
    "weights_digest",
]
