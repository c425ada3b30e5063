"""Small datasets prepared as TFDS prepares them, but without TensorFlow and without a download."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from gan_jax.data import paths
from gan_jax.data.pictures import as_picture


def prepare_tfds(name: str, data_dir: Path, splits: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write examples under the name of a dataset TFDS knows."""
    tfds = pytest.importorskip("tensorflow_datasets")
    array_record = pytest.importorskip("array_record.python.array_record_module")
    builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
    folder, features = Path(builder.data_path), builder.info.features
    folder.mkdir(parents=True)
    infos = []
    for split, arrays in splits.items():
        num = len(next(iter(arrays.values())))
        template = tfds.core.ShardedFileTemplate(
            dataset_name=builder.name, data_dir=folder, split=split, filetype_suffix="array_record"
        )
        path = folder / f"{builder.name}-{split}.array_record-00000-of-00001"
        writer = array_record.ArrayRecordWriter(str(path), "group_size:1")
        for index in range(num):
            example = {field: array[index] for field, array in arrays.items()}
            if "image" in example:
                example["image"] = _png(example["image"])
            writer.write(features.serialize_example(features.encode_example(example)))
        writer.close()
        infos.append(
            tfds.core.SplitInfo(
                name=split, shard_lengths=[num], num_bytes=0, filename_template=template
            )
        )
    builder.info.set_splits(tfds.core.splits.SplitDict(infos))
    builder.info.write_to_directory(folder)


def _png(image: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    as_picture(image).save(file, "PNG")
    file.seek(0)
    return file


def _examples(num: int, seed: int) -> dict[str, np.ndarray]:
    """Noise of MNIST's shape, labelled 0, 1, ..., 9, 0, ..."""
    images = np.random.default_rng(seed).integers(0, 256, (num, 28, 28, 1), np.uint8)
    return {"image": images, "label": np.arange(num) % 10}


@pytest.fixture(scope="session")
def mnist() -> dict[str, dict[str, np.ndarray]]:
    """What `data_dir` holds under the name mnist."""
    return {"train": _examples(20, seed=0), "test": _examples(10, seed=1)}


@pytest.fixture
def data_dir(tmp_path: Path, mnist: dict[str, dict[str, np.ndarray]]) -> Path:
    prepare_tfds("mnist", tmp_path, mnist)
    return tmp_path


@pytest.fixture
def prepare() -> Callable[[str, Path, Mapping[str, Mapping[str, np.ndarray]]], None]:
    return prepare_tfds


@pytest.fixture(autouse=True)
def _sorted_by_name(monkeypatch):
    """Pictures of a folder in the order of their names, which tests can tell."""
    monkeypatch.setattr(paths, "in_order", sorted)
