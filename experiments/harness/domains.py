"""The options of experiments on two domains of images: which, and how they are fed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from experiments.harness.options import label_names
from experiments.harness.pictures import PictureOptions
from gan_jax import data
from gan_jax.data.embedded import EMBEDDED
from gan_jax.errors import Refusal
from gan_jax.typing import Feed


class Domains(NamedTuple):
    """Two datasets of images, of which no example belongs to one of the other."""

    source: data.Dataset
    target: data.Dataset


def knows(judge: data.Dataset, dataset: data.Dataset) -> bool:
    """Whether who learned one dataset's classes, two or more, knows those of another."""
    own, others = (getattr(some, "label_names", None) or () for some in (judge, dataset))
    return len(own) > 1 and bool(others) and set(others) <= set(own)


def labels_among(names: Sequence[str], dataset: data.Dataset, labels: np.ndarray) -> np.ndarray:
    """Labels of a dataset as places among other names.

    Raises:
        ValueError: the dataset has a class that is not among them.
    """
    own = label_names(dataset)
    if unknown := [name for name in own if name not in names]:
        raise Refusal(
            f"The target has the class {unknown[0]!r}, and the source {', '.join(names)}: call the "
            "classes of both alike, or give the target no labels."
        )
    return np.array([names.index(name) for name in own])[labels]


@dataclass(frozen=True, kw_only=True)
class DomainOptions(PictureOptions):
    """The domain that images come from is --dataset, the one that they are to be in the target."""

    target_dataset: str | None = None
    """Names a dataset as --dataset does. Without it --dataset is a folder that holds the folders
    trainA and testA (source), trainB and testB (target), or a dataset with splits of these names,
    such as cycle_gan/horse2zebra of TensorFlow Datasets."""

    def domains(self, split: str = "train") -> Domains:
        """The images of both domains.

        Raises:
            ValueError: they are of different shapes, or one of them is not there.
        """
        crop = self.crop if split == "train" else "center"
        if self.target_dataset is None:
            if self.dataset in EMBEDDED:
                raise Refusal(
                    f"--dataset is {self.dataset}, one domain: name the other by --target-dataset, "
                    "or a folder that holds trainA and trainB by --dataset."
                )
            found = Domains(*(self.images(f"{split}{side}", crop=crop) for side in "AB"))
        else:
            target = replace(self, dataset=self.target_dataset)
            found = Domains(*(of.images(split, crop=crop) for of in (self, target)))
        source, target = (dataset[np.arange(1)]["image"].shape[1:] for dataset in found)
        if source != target:
            raise Refusal(
                f"The images of the source are {source} and those of the target {target} (height, "
                "width, channels): give an --image-size, and domains that are both grey or both "
                "in colours."
            )
        return found

    def domains_feed(self, domains: Domains, source: data.Fields, target: data.Fields) -> Feed:
        """Batches {"source": ..., "target": ...} of examples that have nothing to do with another.

        Each domain is shuffled by itself.
        """
        return data.side_by_side(
            {
                "source": self.picture_feed(domains.source, source),
                "target": self.picture_feed(domains.target, target),
            }
        )
