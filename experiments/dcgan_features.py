"""What a DCGAN's critic has learned to see.    python -m experiments.dcgan_features runs/dcgan

The critic has seen no label. What all its layers make of an image, each max-pooled to 4x4, is given
to a linear classifier, an L2-SVM, which learns to name labelled images and is scored on unseen ones
(Radford, Metz & Chintala 2016, section 5.1). Beside it stand the same critic before its training,
and a linear classifier of pixels. What follows a ± is a standard error over the unseen images.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Array, Float, UInt8
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.svm import LinearSVC

from experiments.harness import features, runs, text
from experiments.harness.bounds import Seed, Several
from experiments.harness.options import flat
from experiments.harness.runs import Opened, RunAgain, opened
from gan_jax import data
from gan_jax.errors import Refusal
from gan_jax.games import Weights
from gan_jax.metrics import spread
from gan_jax.nets import DCGANDiscriminator
from gan_jax.systems import networks
from gan_jax.typing import KeyArray

GRID = 4
STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""What the classifier's squared hinges are multiplied by."""
SHARE_VALIDATING = 0.2
NUM_TESTED = 10_000
NUM_SETTLING, BATCH_SIZE = 150, 128

Layers: TypeAlias = list[np.ndarray]
"""A row of numbers for each image, by each layer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    num: Several = 5_000
    """How many labelled images the classifier learns from, if there are so many; memory and time
    grow with it."""
    seed: Seed = 0
    """Of the labelled images that choose the classifier's strength, and that settle the critic."""
    live: tyro.conf.Suppress[bool] = False
    """A critic has no moving average."""


def max_pooled(
    maps: Float[Array, "num height width channels"],
) -> Float[Array, "num grid grid channels"]:
    """Take the maximum over each cell of a grid of 4x4.

    Cell i spans ⌊i·n/4⌋ to ⌈(i + 1)·n/4⌉ of n rows, and columns likewise: where 4 does not divide
    n, cells overlap, and maps of less than 4 are repeated.
    """
    for axis in (1, 2):
        size = maps.shape[axis]
        spans = [(i * size // GRID, -(-(i + 1) * size // GRID)) for i in range(GRID)]
        cells = [jax.lax.slice_in_dim(maps, *span, axis=axis).max(axis) for span in spans]
        maps = jnp.stack(cells, axis)
    return maps


@partial(jax.jit, static_argnums=0)
def layers_of(
    critic: DCGANDiscriminator, weights: Weights, images: UInt8[Array, "num height width channels"]
) -> list[Float[Array, "num features"]]:
    """What each layer makes of images, max-pooled."""
    variables = networks.variables_of(weights)
    made: Any = critic.apply(variables, data.signed(images), mutable="intermediates")
    layers = made[1]["intermediates"]["layers"]
    return [flat(max_pooled(maps)).astype(jnp.float32) for maps in layers]


def seen(critic: DCGANDiscriminator, weights: Weights, images: np.ndarray) -> Layers:
    ask = partial(layers_of, critic, weights)
    return [np.asarray(layer) for layer in features.in_chunks(ask, images)]


def settled(
    critic: DCGANDiscriminator, weights: Weights, key: KeyArray, images: np.ndarray
) -> Weights:
    """Let running statistics be those of real images, and of these weights.

    In training they took generated images too, and before it they were of none. The authors' code
    also takes them anew.
    """
    learn = jax.jit(
        lambda weights, some: networks.train(critic, weights, key, data.signed(some))[1]
    )
    rows = jax.random.randint(key, (NUM_SETTLING, BATCH_SIZE), 0, len(images))
    for some in np.asarray(rows):
        weights = learn(weights, images[some])
    return weights


def joined(taught: Layers, unseen: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Put the layers beside each other: over `taught`, each has rows of mean square norm 1."""
    norms = [np.sqrt(np.mean(np.sum(np.square(layer), axis=1))) for layer in taught]
    first, second = (
        np.concatenate([layer / norm for layer, norm in zip(layers, norms, strict=True)], axis=1)
        for layers in (taught, unseen)
    )
    return first, second


def classified(
    taught: np.ndarray, labels: np.ndarray, unseen: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    """Name the unseen by an L2-SVM, one class against the rest; say also its strength C.

    ½|w|² + C Σ max(0, 1 - y (w·x + b))² is minimised, b being a weight too, on four fifths of the
    labelled rows, by each C; then on all, by the C that named the last fifth best.
    """
    chosen = GridSearchCV(
        LinearSVC(dual=False),  # type: ignore (a Boolean is allowed)
        {"C": STRENGTHS},
        cv=StratifiedShuffleSplit(1, test_size=SHARE_VALIDATING, random_state=seed),
    ).fit(taught, labels)
    return chosen.predict(unseen), chosen.best_params_["C"]


def critics(run: Opened) -> tuple[DCGANDiscriminator, dict[str, Weights]]:
    """The run's critic, and its weights after the training and before it.

    Raises:
        ValueError: the run has none of a DCGAN, or one that was told labels.
    """
    name, critic = run.restored.experiment, getattr(run.system, "discriminator", None)
    if run.has_labels:
        raise Refusal("The run was trained on labels, so its critic has not learned without them.")
    if not isinstance(critic, DCGANDiscriminator):
        raise Refusal(
            f"The run is one of {name}, which has no critic of a DCGAN: name one that "
            "experiments.dcgan has left, or experiments.wgan on images."
        )
    config = run.config
    start = partial(run.system.init, optimizers=config.optimizers())
    fresh = jax.jit(lambda: start(config.key("init"), run.restored.batch).discriminator.weights)()
    found = {"trained critic": run.restored.weights("discriminator"), "untrained critic": fresh}
    return critic.clone(axis_name=None), found


def examples(run: Opened, num: int) -> tuple[data.Examples, data.Examples]:
    """Labelled images to learn from, and unseen ones.

    Raises:
        ValueError: they have no labels, or a class has fewer than five of the first.
    """
    _, taught = features.labelled(run.config.images(crop="center"), "image", num)
    _, unseen = features.labelled(run.config.images("test"), "image", NUM_TESTED)
    _, counts = np.unique(taught["label"], return_counts=True)
    if counts.min() < 1 / SHARE_VALIDATING:
        raise Refusal(
            f"Of one class there are {counts.min()} among {len(taught['label'])} labelled images; "
            "there must be 5 of each, for one in five chooses the classifier's strength: give a "
            "larger --num, if there are more."
        )
    return taught, unseen


def run(chosen: Options) -> str:
    """Score each kind of features, and put the numbers into a table."""
    run = opened(chosen)
    critic, weights = critics(run)
    taught, unseen = examples(run, chosen.num)
    looks: dict[str, Callable[[np.ndarray], Layers]] = {
        name: partial(seen, critic, settled(critic, of, chosen.key, taught["image"]))
        for name, of in weights.items()
    }
    looks["pixels"] = lambda images: [np.asarray(flat(data.signed(images)))]
    rows = [("", "accuracy, %", "numbers an image", "C")]
    for name, look in looks.items():
        first, second = joined(look(taught["image"]), look(unseen["image"]))
        names, strength = classified(first, taught["label"], second, chosen.seed)
        score = accuracy(names, unseen["label"])
        rows.append((name, score, str(first.shape[1]), f"{strength:g}"))
    commonest = np.bincount(taught["label"]).argmax()
    rows.append(("commonest class", accuracy(commonest, unseen["label"]), "", ""))
    return (
        f"{run.restored.experiment} at step {run.restored.step}; {len(taught['label'])} labelled "
        f"images, {len(unseen['label'])} unseen\n{text.table(rows)}"
    )


def accuracy(names: Any, labels: np.ndarray) -> str:
    score = spread((names == labels).astype(float))
    return text.plus_minus(100 * score.mean, 100 * score.error, 1)


if __name__ == "__main__":
    runs.main("dcgan_features", Options, run, __doc__ or "")
