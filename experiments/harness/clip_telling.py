"""The options of experiments that make clips of sentences, and how the clips are scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import videos
from experiments.harness.bounds import Count, Size
from experiments.harness.captions import spread
from experiments.harness.options import SHOWN_SEEDS, Evaluate, first_examples
from experiments.harness.play import HalvingOptions
from experiments.harness.runs import Players
from gan_jax import data, plots
from gan_jax.data import shapes, text
from gan_jax.data.streamed_folders import FolderDataset
from gan_jax.errors import Refusal
from gan_jax.games import averaged
from gan_jax.training import Evaluation
from gan_jax.typing import Batch, Feed, KeyArray, PyTree

NUM_TOLD = 288
CHUNK = 72
NUM_ROWS = 4
READ = jax.jit(shapes.read_attributes)
GROUPS = {"look": ("size", "colour", "shape"), "path": ("motion", "direction")}

Draw = Callable[[KeyArray, Players, jax.Array], jax.Array]
"""(key, both players' weights, words) -> a clip in [-1, 1] of each sentence."""


class Captions(NamedTuple):
    """The sentences of a split, one of each scene or clip, and the codes or the clips of these."""

    sentences: tuple[str, ...]
    codes: np.ndarray | None = None
    clips: data.ArrayDataset | FolderDataset | None = None


@dataclass(frozen=True, kw_only=True)
class ClipTellingOptions(HalvingOptions, videos.VideoOptions):
    dataset: str = videos.SHAPES
    """`shapes` move over black as their sentences say, drawn anew in every step; a path (./clips)
    is a folder of clips of yours with a list of captions, metadata.jsonl or metadata.csv."""
    vocabulary: tuple[str, ...] | None = None
    """The words that are known; without it all of the sentences that are trained on."""
    length: Size = 16
    """Words of a sentence, at least 10; what is longer is cut off."""
    halving_steps: Count = 1_000
    average_decay: float = 0.99
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 250
    checkpoint_every: Count = 250

    def captions(self, split: str = "train") -> Captions:
        """The sentences of a split.

        Raises:
            ValueError: the clips have none.
        """
        if self.dataset == videos.SHAPES:
            codes, sentences = shapes.moving_scenes(split)
            return Captions(tuple(one for (one,) in sentences), codes)
        clips = None if self.dataset == videos.DIGITS else self.clips(split)
        if not isinstance(clips, data.ArrayDataset | FolderDataset) or clips.text is None:
            raise Refusal(
                f"The clips of --dataset {self.dataset} have no captions: name a folder with a "
                "column `text` in its metadata.jsonl or metadata.csv, or --dataset shapes."
            )
        return Captions(tuple(clips.text), clips=clips)

    def with_vocabulary(self, captions: Captions) -> Self:
        """With the words of these sentences, unless words are given."""
        if self.vocabulary is not None:
            return self
        return replace(self, vocabulary=tuple(text.vocabulary(captions.sentences)))

    @property
    def numbers(self) -> dict[str, int]:
        """The words that are known, and their numbers."""
        return {word: number for number, word in enumerate(self.vocabulary or (), 1)}

    def tokens(self, sentences: Sequence[str]) -> np.ndarray:
        return text.words(sentences, self.numbers, length=self.length)

    def told_feed(self, captions: Captions) -> Feed:
        """Batches of `video`, in [-1, 1], and `text`, the words of its sentence."""
        tokens = self.tokens(captions.sentences)
        if captions.clips is not None:
            told = replace(captions.clips, arrays={**captions.clips.arrays, "text": tokens})
            return self.feed(told, {"video": data.signed, "text": None})

        def draw(key: KeyArray, num: int, codes: jax.Array, tokens: jax.Array) -> Batch:
            key_scene, key_video = jax.random.split(key)
            scene = jax.random.randint(key_scene, (num,), 0, len(codes))
            return {"video": self.drawn(key_video, codes[scene]), "text": tokens[scene]}

        resident = (captions.codes, tokens)
        return data.drawn_feed(draw, batch_size=self.examples_per_step, resident=resident)

    def drawn(self, key: KeyArray, codes: Any) -> jax.Array:
        return shapes.draw_moving(key, codes, num_frames=self.num_frames, size=self.image_size)

    def shown(self, captions: Captions, split: str, num: int) -> tuple[np.ndarray, np.ndarray]:
        """Clips in [-1, 1], as many as there are of `num`, and of which sentences they are."""
        if captions.clips is not None:
            clips = data.signed(first_examples(captions.clips, num)["video"])
            return np.asarray(clips), np.arange(len(clips))
        assert captions.codes is not None
        scene = spread(len(captions.codes), num)
        key = jax.random.key(SHOWN_SEEDS[split])
        return np.asarray(jax.jit(self.drawn)(key, captions.codes[scene])), scene


class Teller:
    """Makes clips of sentences by the weights of both players."""

    def __init__(self, config: ClipTellingOptions, draw: Draw) -> None:
        self._config, self._draw = config, jax.jit(draw)

    def __call__(self, key: KeyArray, players: Players, sentences: Sequence[str]) -> jax.Array:
        """Make a clip in [-1, 1] of each sentence, whose words are all known.

        Raises:
            ValueError: one is not.
        """
        known = self._config.numbers
        unknown = sorted(set(text.vocabulary(sentences)) - set(known))
        if unknown:
            raise Refusal(
                f"The run has never read {', '.join(map(repr, unknown))}: say it in the words that "
                f"it knows, {', '.join(known)}."
            )
        return self.make(key, players, sentences)

    def make(self, key: KeyArray, players: Players, sentences: Sequence[str]) -> jax.Array:
        """Make a clip in [-1, 1] of each sentence, by the words of it that are known."""
        tokens, parts = self._config.tokens(sentences), []
        for at in range(0, len(tokens), CHUNK):
            some = np.resize(tokens[at : at + CHUNK], (CHUNK, tokens.shape[1]))
            parts.append(self._draw(jax.random.fold_in(key, at), players, some))
        return jnp.concatenate(parts)[: len(tokens)]


def evaluating(config: ClipTellingOptions, captions: Captions, teller: Teller) -> Evaluate:
    """Make clips of seen and of held-out sentences, and score whether they show what is said.

    Of drawn shapes an oracle reads the clips. `frames` and `video` are distances of the clips of
    seen sentences from real ones. Beside the scores stand those of real clips, of drawn ones under
    the sentences of others, too.
    """
    splits = {"seen": captions, "held_out": config.captions("test")}
    real, asked = {}, {}
    for (name, some), split in zip(splits.items(), ("train", "test"), strict=True):
        real[name], asked[name] = config.shown(some, split, NUM_TOLD)
    of_real = scores_of_real(config, captions, real["seen"], asked["seen"])

    def evaluate(key: KeyArray, state: PyTree) -> Evaluation:
        average, scores, rows, said = averaged(state), dict(of_real), [], []
        players = Players(average.generator, average.discriminator)
        for number, (name, some) in enumerate(splits.items()):
            sentences = [some.sentences[scene] for scene in asked[name]]
            clips = np.asarray(teller.make(jax.random.fold_in(key, number), players, sentences))
            if some.codes is not None:
                scores |= named(name, read_scenes(clips, some.codes[asked[name]]))
            if name == "seen":
                scores["frames"] = videos.frames_distance(real[name], clips)
            chosen = np.linspace(0, len(clips) - 1, NUM_ROWS).astype(int)
            rows.append(clips[chosen])
            said += [sentences[row] for row in chosen]
        shown = np.concatenate(rows)
        images, scale = shown.reshape(-1, *shown.shape[2:]), max(2, 64 // shown.shape[3])
        told = plots.captioned_grid(images, said, scale=scale)
        return Evaluation({"told": told, "moving": plots.clip_grid(shown)}, scores)

    return evaluate


def read_scenes(clips: Any, codes: np.ndarray) -> dict[str, float]:
    """The shares of clips of one drawn figure of which what their scene says is read.

    Of each attribute, of all three that say how it looks (`look`), of both of its path (`path`), of
    all five (`all`), and of what can be read at all (`read`).
    """
    found = {name: np.asarray(value) for name, value in READ(clips).items()}
    right = {
        name: found[name] == codes[:, 0, place]
        for place, name in enumerate(shapes.MOVING_ATTRIBUTES)
    }
    for group, names in GROUPS.items():
        right[group] = np.all([right[name] for name in names], axis=0)
    right["all"] = right["look"] & right["path"]
    right["read"] = found["shape"] != -1
    return {name: float(np.mean(value)) for name, value in right.items()}


def scores_of_real(
    config: ClipTellingOptions, captions: Captions, clips: np.ndarray, asked: np.ndarray
) -> dict[str, float]:
    """The scores of real clips (`real`), of drawn ones beside other sentences (`shuffled`)."""
    if captions.codes is None:
        return {}
    said = captions.codes[asked]
    others = np.random.default_rng(0).permutation(said)
    scores = named("real", read_scenes(clips, said)) | named("shuffled", read_scenes(clips, others))
    drawn_anew, _ = config.shown(captions, "test", len(clips))
    return {**scores, "real/frames": videos.frames_distance(clips, drawn_anew)}


def named(name: str, scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}/{what}": value for what, value in scores.items()}


def said(metrics: Mapping[str, Any]) -> str:
    """What the scores of clips are, in a sentence."""
    found = "frames differ by {frames:.1f} (sliced Wasserstein, times 1,000)"
    if "seen/all" in metrics:
        found += (
            "; of clips of seen sentences {seen/look:.1%} have the size, colour and shape that "
            "they say, {seen/path:.1%} the motion and direction, {seen/all:.1%} all five; of "
            "held-out ones {held_out/look:.1%}, {held_out/path:.1%} and {held_out/all:.1%}"
        )
    return found.format_map(metrics)
