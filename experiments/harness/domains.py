"""The options of experiments on two domains of images: which, and how they are fed."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from experiments.harness.pictures import PictureOptions
from gan_jax import data
from gan_jax.data.paths import path_of
from gan_jax.errors import Refusal
from gan_jax.typing import Feed


class Domains(NamedTuple):
    """Two datasets of images, of which no example belongs to one of the other."""

    source: data.Dataset
    target: data.Dataset


@dataclass(frozen=True, kw_only=True)
class DomainOptions(PictureOptions):
    """The domain that images come from is --dataset, the one that they are to be in the target."""

    target_dataset: str | None = None
    """Names a dataset as --dataset does. Without it --dataset is a folder that holds the folders
    trainA (source) and trainB (target), and for evaluations testA and testB."""

    def domains(self, split: str = "train") -> Domains:
        """The images of both domains.

        Raises:
            ValueError: they are of different shapes, or one of them is not there.
        """
        crop = self.crop if split == "train" else "center"
        if self.target_dataset is None:
            if path_of(self.dataset, None) is None:
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
