"""The options of experiments on images: which, and how they are seen."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.bounds import Size
from experiments.harness.feature_networks import Images, features_by
from experiments.harness.measures import Measure, Real, measured
from experiments.harness.options import Evaluate, RunOptions, load_images
from gan_jax import data, signals
from gan_jax.errors import Refusal
from gan_jax.nets.dcgan import dcgan_depth
from gan_jax.training import Evaluation
from gan_jax.typing import Batch, Feed, KeyArray, PyTree

LARGEST_BASE = 16
Crop = Literal["center", "random"]
NUM_MEASURED = 1_000

Draw = Callable[[KeyArray, PyTree, data.Examples], Images]
"""(key, state, real examples) -> images in [-1, 1], with the examples' labels where there are."""


@dataclass(frozen=True, kw_only=True)
class PictureOptions(RunOptions):
    """Which images there are, and how training sees them."""

    dataset: str = "digits"
    """`digits`, `optdigits` and `photographs` are embedded; a path (./pictures, /data/pictures) is
    a folder of pictures of yours; any other name is that of an image dataset of TensorFlow
    Datasets."""
    image_size: Size | None = None
    """The side of square images: the shorter side is resized to it. None leaves them."""
    crop: Crop = "center"
    """Where the square is cut out of an image; of images that are evaluated, at the centre."""
    flip: bool = False
    """Mirror each image that is trained on with probability 1/2, anew whenever it is seen."""
    background: str = "white"
    """The colour that transparent pixels show."""

    @property
    def pairs(self) -> bool:
        """Whether each picture is two images side by side."""
        return False

    def centered(self, dataset: data.Dataset) -> data.Dataset:
        """The training images as an evaluation sees them: cropped at the centre."""
        return dataset if self.crop == "center" else self.images(crop="center")

    def images(self, split: str = "train", *, crop: Crop | None = None) -> data.Dataset:
        """The images of a split, those of `test` cropped at the centre unless `crop` says else."""
        return load_images(
            self.dataset,
            split,
            image_size=self.image_size,
            crop=crop or (self.crop if split == "train" else "center"),
            background=self.background,
            pairs=self.pairs,
        )

    def picture_feed(self, dataset: data.Dataset, fields: data.Fields) -> Feed:
        """Batches that hold images, cropped and mirrored where that is asked for."""
        is_cropped = self.crop == "random"
        stored = self.feed(dataset, {**fields, "extent": None} if is_cropped else fields)
        if not (is_cropped or self.flip):
            return stored

        def seen(key: KeyArray, batch: Batch) -> Batch:
            key_crop, key_flip = jax.random.split(key)
            shown = {field: batch[field] for field in fields}
            for field in shown.keys() & {"image", "condition"}:  # both of a pair alike
                if self.image_size is not None and is_cropped:
                    extents = batch["extent"]
                    shown[field] = signals.random_crop(
                        key_crop, shown[field], extents, self.image_size
                    )
                if self.flip:
                    shown[field] = signals.flip(key_flip, shown[field])
            return shown

        return data.map_feed(seen, stored)


@dataclass(frozen=True, kw_only=True)
class SampleOptions(PictureOptions):
    """How samples are measured."""

    evaluate: tuple[Measure, ...] = ("fid", "kid")
    """What is measured in each evaluation, of 1,000 samples beside as many real images."""
    features: str = "auto"
    """What images are compared by: pixels, lenet (a classifier of the dataset's own classes),
    inception:FILE (with weights of the published FIDs), or auto: lenet where there are labels."""

    def real_images(self, dataset: data.Dataset) -> Real:
        """Real images that samples are compared with; says by which features.

        Raises:
            ValueError: there are too few for what is to be measured, or no such features.
        """
        train = self.centered(dataset)
        if getattr(self, "binarization", "none") == "static":
            train = PictureOptions.images(self, crop="center")
        features = features_by(self.features, train)
        real = Real(features, train, partial(self.images, "test"), NUM_MEASURED)
        if jax.process_index() == 0:
            print(f"samples are compared with {len(real.images)} real images by {features.name}")
        measured(self.evaluate, real, real.images)
        return real

    def measured(self, real: Real, images: Images) -> dict[str, float]:
        """The numbers of `--evaluate`, of images in [-1, 1]."""
        return measured(self.evaluate, real, np.asarray(data.to_uint8(jnp.asarray(images))))

    def measuring(self, evaluate: Evaluate, dataset: data.Dataset, draw: Draw) -> Evaluate:
        """Measure also, at each evaluation, as many images of `draw` as there are real ones."""
        if not self.evaluate:
            return evaluate
        real = self.real_images(dataset)

        def both(key: KeyArray, state: PyTree) -> Evaluation:
            found = evaluate(key, state)
            images = draw(self.key("measure"), state, real.reference)
            return found._replace(metrics={**found.metrics, **self.measured(real, images)})

        return both


def size_for_dcgan(batch: Batch) -> tuple[tuple[int, int], int]:
    """The height and width of a batch's images, and their channels.

    Raises:
        ValueError: a side is odd, or halves of both would stay large.
    """
    _, height, width, channels = batch["image"].shape
    check_halved(height, width)
    return (height, width), channels


def check_halved(height: int, width: int) -> None:
    """Raise ValueError where a side is odd, or halves of both would stay large."""
    if height % 2 or width % 2 or max(height, width) >> dcgan_depth(height, width) > LARGEST_BASE:
        near = max(round(max(height, width) / 16), 1) * 16
        raise Refusal(
            f"The images are {height}x{width}, and both sides are halved until one is small: give "
            f"an --image-size that can be halved often, such as {near}."
        )
