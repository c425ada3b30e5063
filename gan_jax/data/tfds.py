"""Datasets of TensorFlow Datasets, of images and of sounds, read without TensorFlow."""

import contextlib
import difflib
import importlib
import importlib.util
import math
import os
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_jax.data.decoded import decoded
from gan_jax.data.embedded import EMBEDDED
from gan_jax.data.sources import ArrayDataset, Dataset, Examples
from gan_jax.errors import Refusal, require_extra

RESIDENT_BYTES = 2**30
"""A split whose decoded images or sounds take no more than this is held in memory."""

DTYPES = {"image": np.uint8, "label": np.int32, "audio": np.float32, "pitch": np.int32}


class DatasetUnavailable(Refusal):
    """The dataset exists, but not here; the message says how to go on."""


@dataclass(frozen=True)
class TFDSDataset:
    """Read and decode examples when they are asked for.

    Raises:
        DatasetUnavailable: files in the `folder` of the dataset cannot be read, or are damaged.
    """

    records: Any
    fields: tuple[str, ...]
    label_names: tuple[str, ...] | None = None
    folder: str | os.PathLike[str] = ""
    differ: tuple[str, ...] = ()
    """Fields whose sizes differ: they are objects in an array."""

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, indices: np.ndarray) -> Examples:
        with _readable(self.folder):
            examples = self.records.__getitems__(indices.tolist())
            columns = {field: [example[field] for example in examples] for field in self.fields}
            objects = {field: _objects(columns.pop(field)) for field in self.differ}
            return objects | {
                field: np.stack(values).astype(DTYPES[field]) for field, values in columns.items()
            }


def knows(family: str, data_dir: str | os.PathLike[str] | None) -> bool:
    """Whether a name that begins with this, as in family/config, is a dataset's."""
    folder = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets", family)
    builders = require_extra("tensorflow_datasets").list_builders
    return (
        family in EMBEDDED
        or folder.expanduser().is_dir()
        or family in builders(with_community_datasets=False)
    )


def read(
    name: str, *, split: str, data_dir: str | os.PathLike[str] | None, may_differ: bool = False
) -> Dataset:
    """Read a dataset of TFDS; `load` says which, and what it raises.

    Args:
        may_differ: images may be of several sizes; they are then objects in an array.
    """
    builder = find(name, data_dir or os.environ.get("TFDS_DATA_DIR"))
    fields = _check_features(name, builder, may_differ)
    if not builder.is_prepared():
        prepare(name, builder)
    names = tuple(builder.info.features["label"].names) if "label" in fields else None
    shapes = {"image": builder.info.features["image"].shape, "label": ()}
    differ, records = ("image",) * (None in shapes["image"]), records_of(name, builder, split)
    dataset = TFDSDataset(records, fields, names, builder.data_path, differ)
    if differ or len(dataset) * math.prod(shapes["image"]) > RESIDENT_BYTES:
        return dataset
    # A slice of a split, such as train[:10%], is not kept.
    kept = Path(builder.data_path, f"gan_jax-{split}.npz") if split in builder.info.splits else None
    expected = {field: ((len(dataset), *shapes[field]), DTYPES[field]) for field in fields}
    return ArrayDataset(decoded(dataset, expected, kept), names)


def _objects(values: list[np.ndarray]) -> np.ndarray:
    array = np.empty(len(values), object)
    for index, value in enumerate(values):  # at once, NumPy would stack those of one shape
        array[index] = value
    return array


@contextlib.contextmanager
def _readable(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Say what is to be done where files of TFDS cannot be read; it raises what its parsers do."""
    try:
        yield
    except (Refusal, ImportError, MemoryError, NotImplementedError):
        raise
    except Exception as error:
        raise DatasetUnavailable(
            f"The files in {folder} cannot be read as a dataset ({_shortened(error)}): bring back "
            "whole ones, or move that folder away and load the dataset again to have it prepared "
            'anew, which needs network access and pip install "gan_jax[tfds-prepare]".'
        ) from error


def _shortened(error: Exception) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", 120)


def find(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    tfds = require_extra("tensorflow_datasets")
    try:
        return tfds.builder(name, data_dir=data_dir)
    except ImportError as error:
        raise DatasetUnavailable(
            f"TensorFlow Datasets needs another package even to describe {name!r}: "
            'pip install "gan_jax[tfds-prepare]". load("digits") is embedded.'
        ) from error
    except Exception:  # the name, a version, or files
        plain, family = name.partition(":")[0], re.split("[/:]", name)[0]
        known = [*EMBEDDED, *tfds.list_builders(with_community_datasets=False)]
        if family in known and family not in EMBEDDED:
            known += [f"{family}/{config}" for config in tfds.builder_cls(family).builder_configs]
        folder = Path(data_dir or "~/tensorflow_datasets", name.replace(":", "/")).expanduser()
        named = plain in known if family in known else name[:1].isalnum()
        if named and os.path.isdir(folder):
            with _readable(folder):
                raise
        if name in known:
            raise
    near = ", ".join(difflib.get_close_matches(name, known, n=5)) or "none"
    here = f" For the folder of that name here, say ./{name}." if os.path.isdir(name) else ""
    raise Refusal(
        f"Unknown dataset {name!r}: neither one of {', '.join(EMBEDDED)} nor known to "
        f"TensorFlow Datasets. Near matches: {near}.{here}"
    )


def features_of(builder: Any) -> tuple[Any, dict[str, Any]]:
    """The kinds of features there are, and those of the dataset by their names."""
    kinds, features = require_extra("tensorflow_datasets").features, builder.info.features
    return kinds, dict(features) if isinstance(features, kinds.FeaturesDict) else {}


def _check_features(name: str, builder: Any, may_differ: bool) -> tuple[str, ...]:
    """Name the fields to read: the image, and the label if there is one."""
    kinds, features = features_of(builder)
    image: Any = features.get("image")
    if not isinstance(image, kinds.Image) or image.np_dtype != np.uint8:
        raise Refusal(f"{name!r} is not an image dataset: it has no field `image` of bytes.")
    if None in image.shape and not may_differ:
        raise Refusal(
            f"The images of {name!r} differ in size, so no array holds a batch: give image_size "
            "(--image-size) to bring all to one."
        )
    return ("image", "label") if isinstance(features.get("label"), kinds.ClassLabel) else ("image",)


def prepare(name: str, builder: Any) -> None:
    """Let TFDS download the dataset and write it in the format that is read by index."""
    missing = f"Dataset {name!r} is not prepared in {builder.data_path}"
    instead = 'load("digits") is embedded and needs no download.'
    if importlib.util.find_spec("tensorflow") is None:
        raise DatasetUnavailable(
            f'{missing}: pip install "gan_jax[tfds-prepare]" and load it again with network '
            f"access, or name another directory by TFDS_DATA_DIR. {instead}"
        )
    downloader: Any = importlib.import_module("tensorflow_datasets.core.download.downloader")
    retries = getattr(downloader, "MAX_RETRIES", None)
    try:
        downloader.MAX_RETRIES = 0  # its ten retries take 200 s to notice that there is no network
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:
        raise DatasetUnavailable(
            f"{missing}, and TensorFlow Datasets could not prepare it ({_shortened(error)}): that "
            f"needs network access and the extra gan_jax[tfds-prepare]. {instead}"
        ) from error
    finally:
        downloader.MAX_RETRIES = retries


def records_of(name: str, builder: Any, split: str) -> Any:
    splits = builder.info.splits
    try:
        num_examples = splits[split].num_examples
    except ValueError:
        num_examples = 0
    if not num_examples:
        raise Refusal(
            f"{name!r} has no examples in a split {split!r}; it has {', '.join(splits)}, and "
            "slices such as 'train[:10%]'."
        )
    try:
        with _readable(builder.data_path):
            return builder.as_data_source(split)
    except NotImplementedError:
        raise DatasetUnavailable(
            f"Dataset {name!r} is prepared in {builder.data_path} in a format that cannot be read "
            "by index: name another directory by TFDS_DATA_DIR to prepare it as array_record."
        ) from None
