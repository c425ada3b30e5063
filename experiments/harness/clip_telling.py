"""The options of experiments that make clips of sentences, and how the clips are scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import videos
from experiments.harness.bounds import Count, Size
from experiments.harness.captions import spread
from experiments.harness.clip_features import clip_classifier, clips_distance
from experiments.harness.options import SHOWN_SEEDS, Evaluate, Result
from experiments.harness.rates import HalvingOptions
from experiments.harness.runs import Players
from gan_jax import data, plots
from gan_jax.data import shapes, text
from gan_jax.data.paths import path_of
from gan_jax.data.streamed_folders import FolderDataset
from gan_jax.errors import Refusal
from gan_jax.games import GameState, averaged
from gan_jax.nets.tfgan_text import SHORTEST
from gan_jax.systems import GAN, TFGAN, CycleGAN
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch, Feed, KeyArray, PyTree

NUM_TOLD = 288
CHUNK = 72
NUM_ROWS = 4
NUM_NAMED = 40
READ = jax.jit(shapes.read_attributes)
GROUPS = {"look": ("size", "colour", "shape"), "path": ("motion", "direction")}

Draw = Callable[[KeyArray, Players, jax.Array], jax.Array]
"""(key, both players' weights, words) -> a clip in [-1, 1] of each sentence."""


class ClipCaptions(NamedTuple):
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
    """The words that are known, in small letters; without it all of the sentences that are trained
    on."""
    length: Size = 16
    """Words of a sentence, at least 10; what is longer is cut off, but of drawn shapes refused."""
    halving_steps: Count = 1_000
    average_decay: float = 0.99
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 250
    checkpoint_every: Count = 250

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < SHORTEST:
            raise Refusal(
                f"--length is {self.length}; sentences are read from {SHORTEST} words on: what is "
                "shorter is filled up."
            )
        if self.vocabulary and list(text.vocabulary(self.vocabulary)) != sorted(self.vocabulary):
            raise Refusal(
                f"--vocabulary is {' '.join(self.vocabulary)}; it must be words in small letters, "
                "each once."
            )

    def captions(self, split: str = "train") -> ClipCaptions:
        """The sentences of a split.

        Raises:
            ValueError: the clips have none, or those of drawn shapes would be cut off.
        """
        if self.dataset == videos.SHAPES:
            return self._drawn(split)
        if path_of(self.dataset, None) is None:
            raise Refusal(
                f"--dataset is {self.dataset!r}; it must be {videos.SHAPES}, or the path of a "
                "folder of clips with captions, such as ./clips."
            )
        clips = self.clips(split)
        if not isinstance(clips, data.ArrayDataset | FolderDataset) or clips.text is None:
            raise Refusal(
                f"The clips of --dataset {self.dataset} have no captions: name a folder with a "
                "column `text` in its metadata.jsonl or metadata.csv, or --dataset shapes."
            )
        return ClipCaptions(tuple(clips.text), clips=clips)

    def _drawn(self, split: str) -> ClipCaptions:
        codes, sentences = shapes.moving_scenes(split)
        longest = max(len(one.split()) for (one,) in sentences)
        if longest > self.length:
            raise Refusal(
                f"--length is {self.length}, but the sentences here have up to {longest} words: "
                "give as many."
            )
        return ClipCaptions(tuple(one for (one,) in sentences), codes)

    def with_vocabulary(self, captions: ClipCaptions) -> Self:
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

    def told_feed(self, captions: ClipCaptions) -> Feed:
        """Batches of `video`, in [-1, 1], and `text`, the words of its sentence."""
        tokens = self.tokens(captions.sentences)
        if captions.clips is not None:
            told = replace(captions.clips, arrays={**captions.clips.arrays, "text": tokens})
            return self.feed(told, {"video": data.signed, "text": None})

        def draw(key: KeyArray, num: int, codes: jax.Array, tokens: jax.Array) -> Batch:
            drawn = videos.draw_scenes(key, num, codes, **self.form)
            return {"video": drawn["video"], "text": tokens[drawn["scene"]]}

        resident = (captions.codes, tokens)
        return data.drawn_feed(draw, batch_size=self.examples_per_step, resident=resident)

    def start(self, system: GAN | CycleGAN | TFGAN, batch: Batch) -> GameState:
        """Both players as they are drawn, in one program: layer by layer it takes a minute."""
        return jax.jit(lambda: super(ClipTellingOptions, self).start(system, batch))()

    def asked(self, captions: ClipCaptions, num: int) -> np.ndarray:
        """Which sentences are asked for, as many as there are clips of `num`: from all over."""
        if captions.clips is not None:
            return np.arange(min(num, len(captions.clips)))
        return spread(len(captions.sentences), num)

    def real_clips(
        self, captions: ClipCaptions, scene: np.ndarray, split: str = "train"
    ) -> np.ndarray:
        """Clips in [-1, 1] of these sentences; of drawn ones others for the name of each split."""
        if captions.clips is not None:
            return np.asarray(data.signed(captions.clips[scene]["video"]))
        assert captions.codes is not None
        draw = jax.jit(partial(shapes.draw_moving, **self.form))
        return np.asarray(draw(jax.random.key(SHOWN_SEEDS[split]), captions.codes[scene]))


class ClipTeller:
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
            some = ", ".join(list(known)[:NUM_NAMED]) + (", ..." if len(known) > NUM_NAMED else "")
            raise Refusal(
                f"The run has never read {', '.join(map(repr, unknown))}: say it in the words that "
                f"it knows, {some}."
            )
        return self.make(key, players, sentences)

    def make(self, key: KeyArray, players: Players, sentences: Sequence[str]) -> jax.Array:
        """Make a clip in [-1, 1] of each sentence, by the words of it that are known."""
        tokens, parts = self._config.tokens(sentences), []
        for at in range(0, len(tokens), CHUNK):
            some = np.resize(tokens[at : at + CHUNK], (CHUNK, tokens.shape[1]))
            parts.append(self._draw(jax.random.fold_in(key, at), players, some))
        return jnp.concatenate(parts)[: len(tokens)]


def run(
    config: ClipTellingOptions,
    build: Callable[[Any, Batch], Any],
    teller: Callable[[Any, Any], ClipTeller],
    workdir: Path,
    *,
    fresh: bool,
) -> Result:
    """Train a system that is built of a configuration and a batch, and score its clips."""
    captions = config.captions()
    config = config.with_vocabulary(captions)
    feed = config.told_feed(captions)
    system = build(config, batch_shapes(feed))
    evaluate = evaluating(config, captions, teller(config, system))
    result = config.play(system, feed, evaluate, workdir=workdir, fresh=fresh, unit="clips")
    return result.says(said(result.metrics))


def evaluating(config: ClipTellingOptions, captions: ClipCaptions, teller: ClipTeller) -> Evaluate:
    """Make clips of seen and of held-out sentences, and score them.

    `frames` is a distance of the clips of seen sentences from real ones of these, which of a folder
    are those that are trained on. Of drawn shapes it is
    scored whether clips show what is said, by an oracle and by a classifier, as in the paper, and
    `video` is a distance on its features. Beside these stands what real clips have, and what drawn
    ones have under the sentences of others.
    """
    splits = {"seen": captions, "held_out": config.captions("test")}
    asked = {name: config.asked(some, NUM_TOLD) for name, some in splits.items()}
    scoring_once = cache(lambda: scoring_of(config, captions, asked["seen"]))

    def evaluate(key: KeyArray, state: PyTree) -> Evaluation:
        average, scoring = averaged(state), scoring_once()
        players = Players(average.generator, average.discriminator)
        scores, rows, said = dict(scoring.of_real), [], []
        for number, (name, some) in enumerate(splits.items()):
            sentences = [some.sentences[scene] for scene in asked[name]]
            clips = np.asarray(teller.make(jax.random.fold_in(key, number), players, sentences))
            if some.codes is not None:
                scores |= scoring.told(name, clips, some.codes[asked[name]])
            if name == "seen":
                scores |= scoring.compared(clips)
            chosen = np.random.default_rng(0).permutation(len(clips))[:NUM_ROWS]
            rows.append(clips[chosen])
            said += [sentences[row] for row in chosen]
        clips = np.concatenate(rows)
        images, scale = clips.reshape(-1, *clips.shape[2:]), max(2, 64 // clips.shape[3])
        told = plots.captioned_grid(images, said, scale=scale)
        return Evaluation({"told": told, "moving": plots.clip_grid(clips)}, scores)

    return evaluate


class Scoring(NamedTuple):
    """How clips are scored.

    compared: clips of seen sentences -> their distances from real ones.
    told: (the name of a split, clips, their scenes) -> how many show what is said, and how many can
        be read at all (`read`).
    of_real: what real clips have.
    """

    compared: Callable[[np.ndarray], dict[str, float]]
    told: Callable[[str, np.ndarray, np.ndarray], dict[str, float]]
    of_real: dict[str, float]


def scoring_of(config: ClipTellingOptions, captions: ClipCaptions, scene: np.ndarray) -> Scoring:
    """Compare with real clips of these sentences; read what is drawn."""
    real = config.real_clips(captions, scene)

    def by_frames(clips: np.ndarray) -> dict[str, float]:
        return {"frames": videos.frames_distance(real, clips)}

    if captions.codes is None:
        return Scoring(by_frames, lambda *clips: {}, {})
    classifier = clip_classifier(**config.form)
    readers = {"": READ, "classifier/": classifier.read}

    def compared(clips: np.ndarray) -> dict[str, float]:
        return {**by_frames(clips), "video": clips_distance(classifier, real, clips)}

    def told(name: str, clips: np.ndarray, codes: np.ndarray) -> dict[str, float]:
        found = {by: read(clips) for by, read in readers.items()}
        scores = {
            f"{by}{name}/{what}": share
            for by, attributes in found.items()
            for what, share in shown_rightly(attributes, codes).items()
        }
        is_read = np.asarray(found[""]["shape"]) != -1
        return {**scores, f"{name}/read": float(np.mean(is_read))}

    codes = captions.codes[scene]
    others = np.random.default_rng(0).permutation(codes)
    drawn_anew = compared(config.real_clips(captions, scene, "test"))
    of_real = {f"real/{name}": value for name, value in drawn_anew.items()}
    of_real |= told("real", real, codes) | told("shuffled", real, others)
    return Scoring(compared, told, of_real)


def shown_rightly(found: Mapping[str, Any], codes: np.ndarray) -> dict[str, float]:
    """The shares of clips of one drawn figure of which what their scene says is found.

    Of each attribute, of all three that say how it looks (`look`), of both of its path (`path`),
    and of all five (`all`).
    """
    right = {
        name: np.asarray(found[name]) == codes[:, 0, place]
        for place, name in enumerate(shapes.MOVING_ATTRIBUTES)
    }
    for group, names in GROUPS.items():
        right[group] = np.all([right[name] for name in names], axis=0)
    right["all"] = right["look"] & right["path"]
    return {name: float(np.mean(value)) for name, value in right.items()}


def said(metrics: Mapping[str, Any]) -> str:
    """What the scores of clips are, in a sentence."""
    found = "frames differ by {frames:.1f} (sliced Wasserstein, times 1,000)"
    if "seen/all" in metrics:
        found += (
            ", of real clips by {real/frames:.1f}; of clips of seen sentences {seen/look:.1%} have "
            "the size, colour and shape that they say, {seen/path:.1%} the motion and direction, "
            "{seen/all:.1%} all five, of held-out ones {held_out/look:.1%}, {held_out/path:.1%} "
            "and {held_out/all:.1%}; by a classifier, which names the unreadable, too, "
            "{classifier/seen/look:.1%}, {classifier/seen/path:.1%} and {classifier/seen/all:.1%}, "
            "{classifier/held_out/look:.1%}, {classifier/held_out/path:.1%} and "
            "{classifier/held_out/all:.1%}, and {classifier/real/all:.1%} of real ones"
        )
    return found.format_map(metrics)
