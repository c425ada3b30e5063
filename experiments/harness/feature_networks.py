"""The features that `--features` names: of pixels, of a dataset's own classifier, of Inception."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from experiments.harness.features import Classifier, train_classifier
from experiments.harness.options import flat
from gan_jax import data
from gan_jax.errors import Refusal
from gan_jax.nets import inception

CHUNK = 50  # images that Inception sees at a time

Images = Float[Any, "num height width channels"]


class Features(NamedTuple):
    """What images in [-1, 1] are compared by.

    kind, name: a number of theirs is called `kind/...`, and is worth nothing without the `name`.
    reference, held_out: the training images that stand for the data, and others that are in the
        place of samples; None for all, and for none.
    """

    kind: str
    name: str
    of: Callable[[Images], Float[Any, "num features"]]
    logits: Callable[[Images], Float[Any, "num classes"]] | None = None
    reference: np.ndarray | None = None
    held_out: np.ndarray | None = None

    def standing_for(self, train: data.Dataset) -> np.ndarray:
        """The places of the training images that stand for the data."""
        return np.arange(len(train)) if self.reference is None else self.reference


def features_by(name: str, dataset: data.Dataset) -> Features:
    """The features of that name, for images such as those of a dataset.

    Raises:
        ValueError: there are no such features, or a classifier cannot learn from the dataset.
    """
    kind, _, path = name.partition(":")
    if kind == "auto":
        kind = "lenet" if len(getattr(dataset, "label_names", None) or ()) > 1 else "pixels"
    if kind == "pixels" and not path:
        return Features(kind, "pixels in [-1, 1]", flat)
    if kind == "lenet" and not path:
        return of_classifier(train_classifier(dataset))
    if kind == "inception" and path:
        return of_inception(path)
    raise Refusal(
        f"--features is {name!r}; it must be pixels, lenet, inception:FILE with the weights of "
        "Inception-v3 in FILE, or auto: lenet where the images have classes, else pixels."
    )


def check_differentiable(features: Features, what: str) -> None:
    """Raise ValueError where what differentiates features cannot."""
    if features.kind == "inception":
        raise Refusal(
            f"{what} differentiates the features, and Inception sees bytes: choose "
            "--features pixels or lenet."
        )


def of_classifier(judge: Classifier) -> Features:
    """The last hidden layer of a classifier of the dataset's own classes."""
    return Features(
        "lenet",
        f"{judge.name}, which names {judge.accuracy:.1%} of real ones",
        judge.features,
        judge.logits,
        judge.reference,
        judge.held_out,
    )


def of_inception(path: str) -> Features:
    """The network of the published FIDs, with a user's copy of its weights."""
    network, variables = inception.InceptionV3(), inception.from_state_dict(data.read_weights(path))

    @jax.jit
    def ask(images: Images) -> Any:
        return network.apply(variables, inception.preprocess(data.to_uint8(images)))

    def asked(images: Images, which: int) -> np.ndarray:
        parts = [ask(images[at : at + CHUNK])[which] for at in range(0, len(images), CHUNK)]
        return np.concatenate(parts)

    return Features(
        "inception",
        f"Inception-v3, weights of SHA-256 {data.weights_digest(path)}",
        lambda images: asked(images, 0),
        lambda images: asked(images, 1),
    )
