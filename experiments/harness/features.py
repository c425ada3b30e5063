"""A classifier of a dataset's own classes: features and classes by which samples are measured."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Int

from experiments.harness.kept import digest, kept
from gan_jax import data
from gan_jax.errors import Refusal
from gan_jax.games import Objective, PlayerOutcome, Weights, descent_step, init_descent
from gan_jax.nets import LeNet
from gan_jax.systems import networks
from gan_jax.training import scan_steps
from gan_jax.training.compile import jit_with_options
from gan_jax.typing import Feed, Params, PyTree

BATCH_SIZE = 100
NUM_EPOCHS = 40
MAX_SHIFT = 2  # pixels, each way: one shift for a batch
OPTIMIZER = optax.adam(1e-3)
MAX_EXAMPLES = 20_000
MAX_PIXELS = 2.7e8
"""Pixels of all batches together: about a minute of one core."""
CHUNK = 500
SOURCES = (__file__, inspect.getfile(LeNet))

Prepare = Callable[[Any], jax.Array]


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier:
    """A LeNet that has learned five examples of nine of a dataset; its images are in [-1, 1].

    name: says which one it is, by its code, its data and its seed; to be stored with each number
        that is measured by it.
    accuracy: the share of the examples that it has not learned from that it names rightly.
    reference: two examples of nine that it has not learned from, with which others are compared:
        its features of what it knows are others.
    held_out: the remaining two of nine.
    scale: features are divided by it, so that their mean square over the reference is 1, which the
        kernel of KID needs.
    """

    name: str
    seed: int
    accuracy: float
    reference: np.ndarray
    held_out: np.ndarray
    scale: float
    network: LeNet
    params: Params
    shape: tuple[int, ...]

    def features(
        self, images: Float[Any, "num height width channels"]
    ) -> Float[Array, "num features"]:
        """The last hidden layer, of mean square 1 over the reference.

        Raises:
            ValueError: the images are of another shape than those it has learned from.
        """
        return self._ask(images)[1] / self.scale

    def logits(
        self, images: Float[Any, "num height width channels"]
    ) -> Float[Array, "num classes"]:
        """Log-probabilities of the classes, up to a constant an image. Raises as `features`."""
        return self._ask(images)[0]

    def classes(self, images: Float[Any, "num height width channels"]) -> Int[np.ndarray, " num"]:
        """The likeliest class of each. Raises as `features`."""
        return np.argmax(self.logits(images), axis=-1)

    def _ask(self, images: Any) -> tuple[jax.Array, jax.Array]:
        if images.shape[1:] != self.shape:
            raise Refusal(
                f"The images are of shape {images.shape[1:]}, but the classifier has learned from "
                f"those of {self.shape}: train it on what is prepared as the samples are."
            )
        return in_chunks(partial(apply_network, self.network, self.params), images)


def train_classifier(
    dataset: data.Dataset, *, field: str = "image", seed: int = 0, prepare: Prepare = data.signed
) -> Classifier:
    """Train a LeNet on five of nine examples of each class, or read what was kept of earlier times.

    Adam at 1e-3, batches of 100, each shifted as a whole by up to 2 pixels, 40 epochs; fewer where
    these would take more than about a minute. Of large datasets 20,000 examples, drawn once for
    all, are known to it. Weights are kept beside compiled programs, where one may write.

    Args:
        prepare: from images as they are stored to those that are classified, in [-1, 1]: scaled,
            and of the size that the samples have.

    Raises:
        ValueError: the dataset has no such field, no labels, or one class alone.
    """
    rows, examples = labelled(dataset, field, MAX_EXAMPLES)
    by_class = np.argsort(examples["label"], kind="stable")
    place = np.arange(len(rows)) % 9
    known, *others = (
        np.sort(by_class[of]) for of in (place % 2 == 0, place % 4 == 1, place % 4 == 3)
    )
    some = np.asarray(prepare(examples[field][:CHUNK]))
    network, blank = LeNet(int(examples["label"].max()) + 1), jnp.zeros((1, *some.shape[1:]))
    name = f"lenet-{seed}-{digest(SOURCES, some, *examples.values())}"

    def train() -> dict[str, np.ndarray]:
        params = _descend(network, blank, _of(examples, known), prepare, seed)
        unseen = _of(examples, np.concatenate(others))
        return {**_judge(network, params, unseen, len(others[0]), prepare), **flat(params)}

    expected = flat(jax.eval_shape(network.init, jax.random.key(0), blank)["params"])
    found = kept(name, train, {"accuracy", "scale", *expected})
    return Classifier(
        name=name,
        seed=seed,
        accuracy=float(found["accuracy"]),
        reference=rows[others[0]],
        held_out=rows[others[1]],
        scale=float(found["scale"]),
        network=network,
        params=unflatten_dict({path: found[path] for path in expected}, sep="/"),
        shape=blank.shape[1:],
    )


def labelled(dataset: data.Dataset, field: str, num: int) -> tuple[np.ndarray, data.Examples]:
    """Examples from all over the dataset, as many as there are of `num`, and which ones they are.

    They are the same at every seed.

    Raises:
        ValueError: the dataset has no such field, no labels, or one class alone.
    """
    num = min(len(dataset), num)
    rows = np.sort(np.random.RandomState(0).permutation(len(dataset))[:num])
    examples = dataset[rows]
    if field not in examples or "label" not in examples:
        raise Refusal(
            f"The dataset holds {', '.join(examples)}; a classifier learns from `{field}` and "
            "`label`: choose a dataset that has both."
        )
    labels = examples["label"]
    if labels.ndim != 1 or labels.min() < 0 or len(np.unique(labels)) < 2:
        raise Refusal(
            "The dataset's labels tell no classes apart: choose one with a class for each example, "
            "and two or more of them."
        )
    return rows, {field: examples[field], "label": labels}


def _descend(
    network: LeNet, blank: Array, examples: data.Examples, prepare: Prepare, seed: int
) -> Params:
    """Train on batches that are shifted as a whole."""
    field, _ = examples
    batch_size = min(BATCH_SIZE, len(examples[field]))
    held, fields = data.ArrayDataset(examples), {field: prepare, "label": None}
    feed = data.resident_feed(held, fields, batch_size=batch_size, seed=seed)

    def objective(*, weights, batch, key) -> PlayerOutcome:
        shift = jax.random.randint(key, (2,), -MAX_SHIFT, MAX_SHIFT + 1)
        moved = jnp.roll(batch[field], shift, (1, 2))
        logits = networks.first(networks.infer(network, weights, moved))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return PlayerOutcome(jnp.mean(losses), weights.state)

    pixels = batch_size * blank.shape[1] * blank.shape[2]
    steps = num_steps(len(held), batch_size, pixels)
    return descend(network, blank, feed, objective, OPTIMIZER, steps, seed)


def descend(
    network: LeNet,
    blank: Array,
    feed: Feed,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    steps: int,
    seed: int,
) -> Params:
    """The params of a network after so many steps from where they are drawn, in one dispatch."""

    def run(resident, chunk):
        key_start, key_steps = jax.random.split(jax.random.key(seed))
        _, weights = networks.start(network, key_start, blank)
        state = init_descent(weights=weights, optimizer=optimizer)
        step = partial(descent_step, objective=objective, optimizer=optimizer)
        return scan_steps(step, feed.read)(key_steps, 0, state, resident, chunk)[0]

    (chunk,) = feed.chunks([(0, steps)])
    return jit_with_options(run)(feed.resident, chunk).player.weights.params


def num_steps(num: int, batch_size: int, pixels: int) -> int:
    """All epochs of so many examples, or as many steps as there is time for such batches."""
    return max(min(NUM_EPOCHS * num // batch_size, int(MAX_PIXELS / pixels)), 1)


def _judge(
    network: LeNet, params: Params, unseen: data.Examples, num_reference: int, prepare: Prepare
) -> dict[str, np.ndarray]:
    """How many are named rightly, and the root of the mean square of the reference's features."""
    field, _ = unseen
    logits, features = in_chunks(
        lambda x: apply_network(network, params, prepare(x)), unseen[field]
    )
    right = np.argmax(logits, axis=-1) == unseen["label"]
    scale = np.sqrt(np.mean(np.square(features[:num_reference])))
    return {"accuracy": np.mean(right), "scale": scale}


def _of(examples: data.Examples, rows: np.ndarray) -> data.Examples:
    return {name: array[rows] for name, array in examples.items()}


def flat(params: Params) -> dict[str, Any]:
    return flatten_dict(params, sep="/")


def in_chunks(ask: Callable[[Any], PyTree], images: Any) -> PyTree:
    """What is asked of images, some hundred at a time, in arrays of all."""
    parts = [ask(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
    return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)


@partial(jax.jit, static_argnums=0)
def apply_network(network: LeNet, params: Params, images: Any) -> tuple[jax.Array, jax.Array]:
    return networks.infer(network, Weights(params=params, state={}), images)
