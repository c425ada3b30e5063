"""A classifier of clips of moving shapes, and the distance of clips by its features."""

import inspect
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float, Int

from experiments.harness.features import apply_network, descend, flat, in_chunks
from experiments.harness.kept import digest, kept
from experiments.harness.options import SHOWN_SEEDS
from experiments.harness.videos import draw_scenes
from gan_jax import data, metrics
from gan_jax.data import shapes
from gan_jax.errors import Refusal
from gan_jax.games import PlayerOutcome
from gan_jax.nets import LeNet
from gan_jax.systems import networks
from gan_jax.typing import Batch, Params

BATCH_SIZE = 50
NUM_PIXELS = 3.6e8
"""Of all frames that are learned from together: about a minute of two cores."""
MIN_STEPS = 800
NUM_JUDGED = 1_000
LEARNING_RATE = 2e-3
CONTRAST = 3
"""Of what the network reads: black is 0, and the mean square about 1, by which shapes, which a few
pixels tell apart, are learned in a third of the steps."""
SOURCES = (__file__, inspect.getfile(descend), inspect.getfile(LeNet))
NUM_CODES = [len(names) for names in shapes.MOVING_ATTRIBUTES.values()]


@dataclass(frozen=True, eq=False, kw_only=True)
class ClipClassifier:
    """A LeNet that has learned what clips of one moving shape show; they are in [-1, 1].

    name: says which one it is, by its code, its clips and its seed; to be stored with each number
        that is measured by it.
    accuracy: of each attribute, the share of 1,000 other clips of which it is named rightly.
    scale: features are divided by it, so that their mean square over those clips is 1.
    """

    name: str
    accuracy: dict[str, float]
    scale: float
    network: LeNet
    params: Params
    shape: tuple[int, ...]

    def features(
        self, clips: Float[Any, "num frames height width channels"]
    ) -> Float[Array, "num features"]:
        """The last hidden layer, of mean square 1 over real clips.

        Raises:
            ValueError: the clips are of another shape than those it has learned from.
        """
        return self._ask(clips)[1] / self.scale

    def read(
        self, clips: Float[Any, "num frames height width channels"]
    ) -> dict[str, Int[np.ndarray, " num"]]:
        """The likeliest class of each of `shapes.MOVING_ATTRIBUTES`. Raises as `features`."""
        return _likeliest(self._ask(clips)[0])

    def _ask(self, clips: Any) -> tuple[jax.Array, jax.Array]:
        if clips.shape[1:] != self.shape:
            raise Refusal(
                f"The clips are of shape {clips.shape[1:]}, but the classifier has learned from "
                f"those of {self.shape}: train one on clips of that length and size."
            )
        return _ask(self.network, self.params, clips)


def clip_classifier(*, num_frames: int, size: int, seed: int = 0) -> ClipClassifier:
    """Train a LeNet on drawn clips of all 360 scenes, or read what was kept of earlier times.

    Its outputs are the classes of all `shapes.MOVING_ATTRIBUTES`, a softmax for each; the loss is
    the sum of their cross entropies. Adam, from 2e-3 to 0 by a cosine, in batches of 50 clips, each
    of which is seen once, for about a minute; of clips larger than 8x32x32 for longer. Weights are
    kept beside compiled programs, where one may write.

    Raises:
        ValueError: `draw_moving` refuses the length or the size.
    """
    codes = np.concatenate([shapes.moving_scenes(split).codes for split in ("train", "test")])
    draw = partial(draw_scenes, num_frames=num_frames, size=size)
    unseen_key = jax.random.key(SHOWN_SEEDS["test"])
    unseen = jax.jit(draw, static_argnums=1)(unseen_key, NUM_JUDGED, codes)
    network, blank = LeNet(sum(NUM_CODES)), jnp.zeros((1, *unseen["video"].shape[1:]))
    name = f"clips-{seed}-{digest(SOURCES, *map(np.asarray, unseen.values()))}"

    def train() -> dict[str, Any]:
        feed = data.drawn_feed(draw, batch_size=BATCH_SIZE, resident=(codes,))
        params = _descend(network, blank, feed, seed)
        return {**_judge(network, params, unseen), **flat(params)}

    expected = flat(jax.eval_shape(network.init, jax.random.key(0), blank)["params"])
    found = kept(name, train, {"accuracy", "scale", *expected})
    return ClipClassifier(
        name=name,
        accuracy=dict(zip(shapes.MOVING_ATTRIBUTES, found["accuracy"].tolist(), strict=True)),
        scale=float(found["scale"]),
        network=network,
        params=unflatten_dict({path: found[path] for path in expected}, sep="/"),
        shape=blank.shape[1:],
    )


def clips_distance(classifier: ClipClassifier, real: Any, made: Any) -> float:
    """The Fréchet distance of the features of clips; compares only at the same numbers of clips.

    Raises:
        ValueError: the clips are of another shape than those the classifier has learned from, or
            fewer than two.
    """
    return metrics.frechet_distance(classifier.features(real), classifier.features(made))


def _descend(network: LeNet, blank: Array, feed: Any, seed: int) -> Params:
    """Train on all attributes at once."""
    num_steps = max(int(NUM_PIXELS / (BATCH_SIZE * blank[..., 0].size)), MIN_STEPS)
    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, num_steps))

    def objective(*, weights, batch, key) -> PlayerOutcome:
        logits = networks.first(networks.infer(network, weights, _read(batch["video"])))
        losses = [
            jnp.mean(optax.softmax_cross_entropy_with_integer_labels(of_one, codes))
            for of_one, codes in zip(_by_attribute(logits), batch["codes"][:, 0].T, strict=True)
        ]
        return PlayerOutcome(jnp.sum(jnp.stack(losses)), weights.state)

    return descend(network, blank, feed, objective, optimizer, num_steps, seed)


def _judge(network: LeNet, params: Params, unseen: Batch) -> dict[str, np.ndarray]:
    """Of each attribute, how many are named rightly; and the root of the features' mean square."""
    logits, features = _ask(network, params, unseen["video"])
    named = np.stack(list(_likeliest(logits).values()), axis=-1)
    accuracy = np.mean(named == unseen["codes"][:, 0], axis=0)
    return {"accuracy": accuracy, "scale": np.sqrt(np.mean(np.square(features)))}


def _by_attribute(logits: Float[Array, "num classes"]) -> list[jax.Array]:
    return jnp.split(logits, np.cumsum(NUM_CODES)[:-1], axis=-1)


def _likeliest(logits: jax.Array) -> dict[str, np.ndarray]:
    classes = [np.argmax(part, axis=-1) for part in _by_attribute(logits)]
    return dict(zip(shapes.MOVING_ATTRIBUTES, classes, strict=True))


def _ask(network: LeNet, params: Params, clips: Any) -> tuple[jax.Array, jax.Array]:
    return in_chunks(lambda x: apply_network(network, params, _read(x)), clips)


def _read(clips: Any) -> Any:
    return CONTRAST * (clips + 1)
