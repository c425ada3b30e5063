"""The options of experiments on explicit densities: bits and likelihoods."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from experiments.harness.bounds import Rate, Several, Size
from experiments.harness.options import Dtype, first_examples
from experiments.harness.pictures import Crop, PictureOptions
from experiments.harness.text import plus_minus
from gan_jax import data, losses
from gan_jax.errors import Refusal
from gan_jax.games import Weights
from gan_jax.metrics import log_likelihoods_in_parts, spread
from gan_jax.training.compile import Parallel
from gan_jax.typing import Batch, Feed, KeyArray

CHUNK = 50  # images, and samples of each, that are decoded at a time
NUM_AVERAGED = 10_000

LIKELIHOODS = {
    "bernoulli": losses.bernoulli(),
    "gaussian": losses.gaussian(0.02),
    "learned_gaussian": losses.learned_gaussian(1e-3),
    "discretized_logistic": losses.discretized_logistic(),
}
LikelihoodName = Literal["bernoulli", "gaussian", "learned_gaussian", "discretized_logistic"]

Arrange = Callable[[jax.Array], Batch]


@dataclass(frozen=True, kw_only=True)
class ImageOptions(PictureOptions):
    """Which images are modelled, and by which rate."""

    binarization: Literal["stochastic", "static", "none"] = "stochastic"
    """Pixels drawn anew in each step, drawn once for all, or left as brightnesses in [0, 1]."""
    batch_size: Size = 100
    """Images in each step."""
    learning_rate: Rate = 1e-3
    """The optimiser's."""
    num_unseen: Several = 500
    """Images of the test set, the first ones, that are evaluated."""
    dtype: Dtype = "float32"
    """What the networks compute in; weights and losses stay float32."""
    parallel: Parallel = "jit"
    """All devices by sharded jit, all devices by pmap, or one device."""

    def images(self, split: str = "train", *, crop: Crop | None = None) -> data.Dataset:
        dataset = super().images(split, crop=crop)
        return data.binarized(dataset) if self.binarization == "static" else dataset

    def image_feed(
        self, dataset: data.Dataset, arrange: Arrange = lambda image: {"image": image}
    ) -> Feed:
        """Batches of images, whose pixels are drawn if they are drawn anew, as `arrange` has it."""

        def seen(key: KeyArray, batch: Batch) -> Batch:
            image = batch["image"]
            stochastic = self.binarization == "stochastic"
            return arrange(data.binarize(key, image) if stochastic else image)

        return data.map_feed(seen, self.picture_feed(dataset, {"image": data.unit}))

    def unseen(self) -> tuple[jax.Array, np.ndarray]:
        """Images of the test set and their labels, or zeros where it has none.

        Pixels that are drawn anew in training are drawn once here.

        Raises:
            ValueError: the test set has fewer.
        """
        dataset = self.images("test")
        if self.num_unseen > len(dataset):
            raise Refusal(
                f"--num-unseen is {self.num_unseen}, but the test set of {self.dataset} has "
                f"{len(dataset)} images: lower it."
            )
        some = first_examples(dataset, self.num_unseen)
        images = data.unit(some["image"])
        if self.binarization == "stochastic":
            images = data.binarize(self.key("pixels"), images)
        return images, some.get("label", np.zeros(len(images), np.int32))


@dataclass(frozen=True, kw_only=True)
class LikelihoodOptions(ImageOptions):
    """How likelihoods are estimated."""

    num_importance_samples: Size = 1_000
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
        log_weights: Callable[[KeyArray, Weights, Batch, int], jax.Array],
        weights: Weights,
        batch: Batch,
    ) -> np.ndarray:
        """-log p(x) of each example in nats, by importance sampling."""
        return -log_likelihoods_in_parts(
            self.key("score"),
            lambda key, part, num: log_weights(key, weights, part, num),
            batch,
            num_samples=self.num_importance_samples,
            part_size=CHUNK,
            chunk_size=min(self.num_importance_samples, CHUNK),
        )


def score_name(config: ImageOptions) -> str:
    """What minus the logarithm of a model's weights estimates."""
    if getattr(config, "likelihood", "bernoulli") == "bernoulli" and config.binarization == "none":
        return "cross-entropy bound of brightnesses, no likelihood,"
    return "negative log-likelihood"


def mean_image(dataset: data.Dataset) -> jax.Array:
    """Mean brightness of each pixel over the first images."""
    images = first_examples(dataset, NUM_AVERAGED)["image"]
    return jnp.asarray(images.mean(axis=0) / 255, jnp.float32)


def starting_at(
    mean: jax.Array | None, likelihood: LikelihoodName = "bernoulli"
) -> nn.initializers.Initializer:
    """Bias a decoder's last layer to the outputs that say this mean image whatever the latents are.

    From a bias of 0 a network of one layer of tanh starts as an odd function of the latents, and
    may never leave the half of them where it says the opposite of every image.
    """
    if mean is None:
        return nn.initializers.zeros
    if likelihood == "bernoulli":
        outputs = jax.scipy.special.logit(jnp.clip(mean, 1e-3, 1 - 1e-3))
    else:
        missing = LIKELIHOODS[likelihood].num_outputs - 1
        outputs = jnp.concatenate([mean, *[jnp.zeros_like(mean)] * missing], axis=-1)
    return nn.initializers.constant(outputs.ravel())


def refuse_brightnesses(binarization: str) -> None:
    """Raise ValueError where bits would be the model of pixels that are none."""
    if binarization == "none":
        raise Refusal(
            "--binarization none leaves brightnesses, of which this model of bits has no "
            "likelihood: choose stochastic or static."
        )


def with_error(values: np.ndarray) -> str:
    """A mean and its standard error over examples."""
    mean, _, error = spread(values)
    return plus_minus(mean, error)
