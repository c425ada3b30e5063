"""A classifier of the pitches of notes, and what made notes are measured by."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float

from experiments.harness.features import apply_network, descend, flat, in_chunks
from experiments.harness.kept import digest, kept
from experiments.harness.notes import NUM_RANGED, NoteOptions
from gan_jax import metrics
from gan_jax.data import Dataset
from gan_jax.errors import Refusal, require_extra
from gan_jax.games import PlayerOutcome
from gan_jax.nets import LeNet
from gan_jax.systems import networks
from gan_jax.typing import Batch, Params

NUM_STEPS = 800
BATCH_SIZE = 16
LEARNING_RATE = 1e-3
NUM_JUDGED = 488
NUM_BINS = 20
SOURCES = (__file__, inspect.getfile(NoteOptions), inspect.getfile(descend), inspect.getfile(LeNet))


@dataclass(frozen=True, kw_only=True)
class Lesson(NoteOptions):
    """The notes of a configuration, in batches of a size of its own."""

    batch_size: int


@dataclass(frozen=True, eq=False, kw_only=True)
class NoteClassifier:
    """A LeNet that has learned the pitches of notes by their spectrograms, in their own units.

    name: says which one it is, by its code, its notes and its seed; to be stored with each number
        that is measured by it.
    accuracy: the share of unseen notes whose pitch it names.
    scale: features are divided by it, so that their mean square over those notes is 1.
    seen: what the network sees of spectrograms.
    """

    name: str
    accuracy: float
    scale: float
    network: LeNet
    params: Params
    seen: Callable[[Array], Array]

    def ask(
        self, spectrograms: Float[Any, "num frames bins 2"]
    ) -> tuple[Float[Array, "num pitches"], Float[Array, "num features"]]:
        """The logits of pitches, and the last hidden layer, of mean square 1 over real notes."""
        logits, features = _ask(self.network, self.params, spectrograms, self.seen)
        return logits, features / self.scale


def note_classifier(
    config: NoteOptions, sounds: Dataset | None, unseen: Batch, *, seed: int = 0
) -> NoteClassifier:
    """Train a LeNet on a configuration's notes, or read what was kept of earlier times.

    800 batches of 16, by Adam from 1e-3 to 0 by a cosine. `sounds` are those of training; `unseen`
    are spectrograms, with pitches.
    """
    network = LeNet(len(config.pitches))
    blank = jnp.zeros((1, *unseen["spectrogram"].shape[1:]))
    taught = config.examples(sounds, "train", NUM_RANGED)
    said = [*config.units.values(), *unseen.values(), *taught.values()]
    name = f"notes-{seed}-{digest(SOURCES, *map(np.asarray, said))}"
    options = {field.name: getattr(config, field.name) for field in fields(NoteOptions)}
    lesson = Lesson(**{**options, "seed": seed}, batch_size=min(BATCH_SIZE, len(taught["pitch"])))

    def train() -> dict[str, Any]:
        steps = NUM_STEPS
        optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

        def objective(*, weights, batch, key) -> PlayerOutcome:
            x = config.scaled(batch["spectrogram"])
            logits = networks.first(networks.infer(network, weights, x))
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["pitch"])
            return PlayerOutcome(jnp.mean(losses), weights.state)

        params = descend(
            network, blank, lesson.note_feed(sounds), objective, optimizer, steps, seed
        )
        logits, features = _ask(network, params, unseen["spectrogram"], config.scaled)
        right = np.argmax(logits, axis=-1) == unseen["pitch"]
        scale = np.sqrt(np.mean(np.square(features)))
        return {"accuracy": np.mean(right), "scale": scale, **flat(params)}

    expected = flat(jax.eval_shape(network.init, jax.random.key(0), blank)["params"])
    found = kept(name, train, {"accuracy", "scale", *expected})
    return NoteClassifier(
        name=name,
        accuracy=float(found["accuracy"]),
        scale=float(found["scale"]),
        network=network,
        params=unflatten_dict({path: found[path] for path in expected}, sep="/"),
        seen=config.scaled,
    )


class Listener:
    """What notes are measured by: unseen ones, a classifier of pitches, and autocorrelation.

    `sounds` are those of training, which the classifier learns from.
    """

    def __init__(self, config: NoteOptions, sounds: Dataset | None) -> None:
        self._config = config
        self._spectrograms = jax.jit(config.spectrograms.of)
        self._sounds = jax.jit(config.spectrograms.audio)
        self._read = jax.jit(
            partial(
                metrics.read_pitch,
                rate=config.rate,
                lowest=config.lowest_pitch,
                highest=config.highest_pitch,
            )
        )
        unseen = config.examples(config.sounds("test"), "test", NUM_JUDGED)
        if len(unseen["pitch"]) < NUM_BINS:
            raise Refusal(
                f"There are {len(unseen['pitch'])} notes to compare with, and they are sorted into "
                f"{NUM_BINS} bins: bring more into the folder test, or, without one, more in all."
            )
        self._real = np.asarray(in_chunks(self._spectrograms, unseen["audio"]))
        self._pitch = unseen["pitch"]
        told = {"spectrogram": self._real, "pitch": self._pitch}
        self.classifier = note_classifier(config, sounds, told)
        self._features = self.classifier.ask(self._real)[1]
        rows = self._real[..., 0].reshape(len(self._real), -1)
        bins = require_extra("sklearn.cluster").KMeans(NUM_BINS, n_init=1, random_state=0)
        self._centres = bins.fit(rows).cluster_centers_
        self.of_real = {
            "real/classifier": self.classifier.accuracy,
            "real/heard": self._heard(unseen["audio"], self._pitch),
        }

    def scores(self, spectrograms: Any, pitch: np.ndarray) -> dict[str, float]:
        """Of made notes, which are to have these pitches: which are named and heard rightly, how
        clearly (`is`), and how far they are from real ones (`fid`, and `ndb`, of 20 bins)."""
        logits, features = self.classifier.ask(spectrograms)
        audio = np.asarray(self._sounds(spectrograms))
        counts = (
            metrics.bin_counts(np.asarray(x[..., 0]).reshape(len(x), -1), self._centres)
            for x in (self._real, spectrograms)
        )
        return {
            "classifier": float(np.mean(np.argmax(logits, axis=-1) == pitch)),
            "heard": self._heard(audio, pitch),
            "fid": float(metrics.frechet_distance(self._features, features)),
            "is": float(metrics.inception_score(logits)[0]),
            "ndb": float(metrics.different_bins(*counts).number),
        }

    def _heard(self, audio: Any, pitch: np.ndarray) -> float:
        found = np.rint(np.asarray(self._read(audio))) - self._config.lowest_pitch
        return float(np.mean(found == pitch))


def _ask(
    network: LeNet, params: Params, spectrograms: Any, seen: Callable[[Array], Array]
) -> tuple[Array, Array]:
    return in_chunks(lambda x: apply_network(network, params, seen(x)), spectrograms)
