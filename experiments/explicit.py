"""What the experiments on explicit densities have in common: bits, descent, likelihoods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from experiments.options import RunOptions
from gan_jax import data
from gan_jax.errors import Refusal
from gan_jax.games import Objective, PlayerOutcome, Weights, descent_step
from gan_jax.metrics import importance_log_likelihood
from gan_jax.training.compile import AXIS, Parallel
from gan_jax.typing import Batch, KeyArray, PyTree, Step

CHUNK = 50  # images, and samples of each, that are decoded at a time
NUM_AVERAGED = 10_000


@dataclass(frozen=True, kw_only=True)
class ImageOptions(RunOptions):
    """Which images are modelled, and how a model descends on its objective."""

    dataset: str = "digits"
    """`digits` is embedded; any other name is that of an image dataset of TensorFlow Datasets."""
    binarization: Literal["stochastic", "static", "none"] = "stochastic"
    """Pixels drawn anew in each step, drawn once for all, or left as brightnesses in [0, 1]."""
    batch_size: int = 100
    """Images in each step."""
    learning_rate: float = 1e-3
    """The optimiser's."""
    num_unseen: int = 500
    """Images of the test set, the first ones, that are evaluated."""
    parallel: Parallel = "jit"
    """All devices by sharded jit, all devices by pmap, or one device."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_unseen < 2:
            raise Refusal(f"--num-unseen is {self.num_unseen}; an error needs at least 2 images.")

    def images(self, split: str = "train") -> data.Dataset:
        dataset = data.load(self.dataset, split=split)
        if "image" not in dataset[np.arange(1)]:
            raise Refusal(f"--dataset {self.dataset} has no images: choose one that has.")
        return data.binarized(dataset) if self.binarization == "static" else dataset

    def unseen(self, key: KeyArray) -> tuple[jax.Array, np.ndarray]:
        """Images of the test set and their labels, or zeros where it has none.

        Pixels that are drawn anew in training are drawn once here.
        """
        dataset = self.images("test")
        some = dataset[np.arange(min(self.num_unseen, len(dataset)))]
        images = data.unit(some["image"])
        if self.binarization == "stochastic":
            images = data.binarize(key, images)
        return images, some.get("label", np.zeros(len(images), np.int32))

    def descent(
        self,
        objective: Objective,
        optimizer: optax.GradientTransformation,
        arrange: Callable[[jax.Array], Batch] = lambda image: {"image": image},
    ) -> Step:
        """A step on images that are drawn, if they are drawn anew, and then arranged in a batch."""

        def on_images(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
            key_pixels, key_model = jax.random.split(key)
            image = batch["image"]
            if self.binarization == "stochastic":
                image = data.binarize(key_pixels, image)
            return objective(weights=weights, batch=arrange(image), key=key_model)

        axis_name = AXIS if self.parallel == "pmap" else None
        return partial(descent_step, objective=on_images, optimizer=optimizer, axis_name=axis_name)

    def descend(
        self,
        step: Step,
        state: PyTree,
        dataset: data.Dataset,
        evaluate: Callable[[int, Any], Mapping[str, Any]],
        *,
        key: KeyArray,
        workdir: Path,
        fresh: bool,
        shown: tuple[str, ...] = ("loss",),
    ) -> PyTree:
        """Train, from the start or from where the run in `workdir` was stopped."""
        return self.train(
            step,
            state,
            self.image_feed(dataset, self.batch_size, data.unit),
            evaluate,
            key=key,
            workdir=workdir,
            fresh=fresh,
            batch_size=self.batch_size,
            parallel=self.parallel,
            shown=shown,
        )


@dataclass(frozen=True, kw_only=True)
class LikelihoodOptions(ImageOptions):
    """How likelihoods are estimated."""

    num_importance_samples: int = 1_000
    """Samples of each unseen image in the estimate of its likelihood; up to 50, or a multiple."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_importance_samples > CHUNK and self.num_importance_samples % CHUNK:
            raise Refusal(
                f"--num-importance-samples is {self.num_importance_samples}; above {CHUNK} it must "
                f"be a multiple of {CHUNK}, as many as are drawn at a time."
            )

    def negative_log_likelihoods(
        self,
        key: KeyArray,
        log_weights: Callable[[KeyArray, Weights, Batch, int], jax.Array],
        weights: Weights,
        batch: Batch,
    ) -> np.ndarray:
        """-log p(x) of each example in nats, by importance sampling, some examples at a time."""
        chunk_size = min(self.num_importance_samples, CHUNK)

        @jax.jit
        def estimate(key, weights, batch):
            return importance_log_likelihood(
                key,
                lambda key, num: log_weights(key, weights, batch, num),
                num_samples=self.num_importance_samples,
                chunk_size=chunk_size,
            ).log_likelihood

        found = []
        for start in range(0, len(next(iter(batch.values()))), CHUNK):
            part = {field: examples[start : start + CHUNK] for field, examples in batch.items()}
            found.append(estimate(jax.random.fold_in(key, start), weights, part))
        return -np.concatenate(found)


def mean_image(dataset: data.Dataset) -> jax.Array:
    """Mean brightness of each pixel over the first images."""
    images = dataset[np.arange(min(NUM_AVERAGED, len(dataset)))]["image"]
    return jnp.asarray(images.mean(axis=0) / 255, jnp.float32)


def starting_at(outputs: jax.Array) -> nn.initializers.Initializer:
    """Bias a decoder's last layer to the outputs that it shall give at first."""
    return lambda key, shape, dtype=jnp.float32: outputs.astype(dtype).reshape(shape)


def logits(probabilities: jax.Array) -> jax.Array:
    """log p/(1 - p), for probabilities kept from 0 and 1 by a thousandth."""
    return jax.scipy.special.logit(jnp.clip(probabilities, 1e-3, 1 - 1e-3))


def refuse_brightnesses(binarization: str) -> None:
    """Raise ValueError where bits would be the model of pixels that are none."""
    if binarization == "none":
        raise Refusal(
            "--binarization none leaves brightnesses, of which this model of bits has no "
            "likelihood: choose stochastic or static."
        )


def with_error(values: np.ndarray) -> str:
    """A mean and its standard error over examples."""
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"
