"""The options of experiments that draw pictures of sentences, and how the pictures are scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import encoders, runs
from experiments.harness.bounds import Count, Size
from experiments.harness.captions import Captions, read_scenes, spread
from experiments.harness.features import in_chunks
from experiments.harness.measures import Real, measured_of_real
from experiments.harness.options import Evaluate, first_examples
from experiments.harness.phases import PhaseOptions
from experiments.harness.pictures import SampleOptions
from experiments.harness.rates import HalvingOptions
from gan_jax import data, plots
from gan_jax.games import Weights, averaged, exponential_average_memory
from gan_jax.metrics import retrieval_accuracy
from gan_jax.systems import GAN, JointEmbedding
from gan_jax.systems.walks import straight
from gan_jax.training import Evaluation, Phase, first_batch
from gan_jax.typing import KeyArray, PyTree

NUM_TOLD = 500
CHUNK = 250
ROWS, COLUMNS = 4, 8

Judge = Callable[[KeyArray, Weights], Evaluation]


@dataclass(frozen=True, kw_only=True)
class TellingOptions(HalvingOptions, encoders.EncoderOptions, SampleOptions, PhaseOptions):
    encoder: str | None = None
    """The directory of a run whose encoder of sentences is taken, with all its sizes; without it
    one is learned in a first phase."""
    text_steps: Count = 1_500
    """Steps of the phase that learns to encode sentences; --steps are those of the last."""
    num_captions: Count = 1
    """Sentences of an image whose embeddings are averaged, drawn anew whenever it is seen."""
    text_dim: Size = 32
    """Numbers to which the networks bring an embedding."""
    latent_dim: Size = 16
    """Size of the latents, which are normal."""
    batch_size: Size = 32
    learning_rate: float = 1e-3
    halving_steps: Count = 1_000
    """Steps of a phase after which both learning rates are halved, again and again: in the papers
    a sixth of it, in the first stage of StackGAN's code a twelfth."""
    average_decay: float = 0.99
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 500
    checkpoint_every: Count = 500

    def with_encoder(self) -> Self:
        """With the sizes of the encoder that is taken."""
        return self if self.encoder is None else replace(self, **encoders.sizes_in(self.encoder))

    def text_phases(self, system: JointEmbedding, captions: Captions) -> list[Phase]:
        """The phase that learns to encode sentences, where none is taken."""
        if self.encoder is not None:
            return []
        feed = self.encoder_feed(captions)

        def start(_: None) -> PyTree:
            return self.encoder_start(system, self.key("encoder"), feed)

        return [self.phase("text", start, self.encoder_step(system), feed, self.text_steps)]

    def told_phase(
        self,
        name: str,
        key: KeyArray,
        num_steps: int,
        system: GAN,
        captions: Captions,
        keep: Callable[[PyTree, Weights], Weights],
    ) -> Phase:
        """A phase that plays on images and what an encoder makes of their sentences.

        keep: (what the phase before has left, the generator's weights) -> these, and what they are
            to keep of it.
        """
        shape = len(captions.sentences), len(captions.sentences[0])
        rows = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
        shown = self.caption_feed(captions)
        feed = data.captioned(shown, rows, scene="scene", num=self.num_captions)

        def start(before: PyTree) -> PyTree:
            batch = first_batch(feed)
            text = jnp.zeros((len(batch["text"]), self.embedding_dim))
            batch, optimizers = {**batch, "text": text}, self.optimizers()
            state = jax.jit(lambda key: system.init(key, batch, optimizers=optimizers))(key)
            weights = keep(before, state.generator.weights)
            player = state.generator.replace(weights=weights)
            return exponential_average_memory(state.replace(generator=player))

        return self.phase(name, start, encoders.told(self.step(system)), feed, num_steps)

    def keeping_encoder(
        self, system: JointEmbedding, captions: Captions
    ) -> Callable[[PyTree, Weights], Weights]:
        """Let a generator's weights keep the encoder of the phase before, or the one taken."""
        tokens = captions.tokens(self.length)

        def keep(before: PyTree, weights: Weights) -> Weights:
            if self.encoder is not None:
                encoder = encoders.encoder_in(self.encoder)
            else:
                encoder = before.player.weights
            return encoders.with_encoder(weights, system, encoder, tokens)

        return keep


class Asked(NamedTuple):
    """Sentences of which pictures are to be made, their scenes, and what drawn ones are to show."""

    sentences: list[str]
    scene: np.ndarray
    codes: np.ndarray | None

    @classmethod
    def of(cls, captions: Captions, num: int) -> "Asked":
        """Of all scenes alike, of each its sentences in turn."""
        scene = spread(len(captions.sentences), num)
        return cls.about(captions, scene, np.arange(num) // len(captions.sentences) + scene)

    @classmethod
    def about(cls, captions: Captions, scene: np.ndarray, turn: np.ndarray) -> "Asked":
        """Of these scenes, of each its sentence of that number, counted round."""
        pairs = zip(scene, turn % len(captions.sentences[0]), strict=True)
        codes = None if captions.codes is None else captions.codes[scene]
        return cls([captions.sentences[s][t] for s, t in pairs], scene, codes)


class Teller:
    """Draws pictures of sentences by the weights of a generator that keep an encoder."""

    def __init__(self, config: TellingOptions, system: GAN) -> None:
        self.length, self.system, self.joint = config.length, system, config.joint_embedding()
        self._sample = jax.jit(system.sample, static_argnums=2)
        self._each = jax.jit(self._generate_each)
        self._embed = jax.jit(self.joint.embed_text)

    def _generate_each(self, weights: Weights, latents: jax.Array, text: jax.Array) -> jax.Array:
        """Generate one by one, so that the noise inside of a generator is one and the same."""
        return jax.vmap(lambda one: self.system.generate(weights, latents, one[None])[0])(text)

    def embed(self, weights: Weights, sentences: Sequence[str]) -> jax.Array:
        tokens = data.characters(sentences, length=self.length)
        return in_chunks(partial(self._embed, encoders.encoder_of(weights)), tokens)

    def __call__(self, key: KeyArray, weights: Weights, sentences: Sequence[str]) -> jax.Array:
        """Draw a picture in [-1, 1] of each sentence."""
        text = self.embed(weights, sentences)
        parts = []
        for at in range(0, len(text), CHUNK):
            some = text[at : at + CHUNK]
            parts.append(self._sample(jax.random.fold_in(key, at), weights, len(some), some))
        return jnp.concatenate(parts)

    def between(self, key: KeyArray, weights: Weights, ends: Sequence[str], num: int) -> jax.Array:
        """Draw pictures on the way from one sentence to another, of one and the same latents."""
        assert self.system.latents is not None
        first, last = self.embed(weights, ends)
        times = jnp.linspace(0, 1, num)
        text = jax.vmap(straight, in_axes=(None, None, 0))(first, last, times)
        return self._each(weights, self.system.latents(key, 1), text)


def drawing(config: TellingOptions, system: GAN) -> runs.Teller:
    """What draws sentences by the players of a run."""
    teller = Teller(config, system)
    return lambda key, players, sentences: teller(key, players.generator, sentences)


def evaluating(config: TellingOptions, splits: Mapping[str, Captions], judge: Judge) -> Evaluate:
    """Let sentences find images, and then judge the pictures that are drawn of them."""
    find = encoders.finder(config.joint_embedding(), splits, config.length)

    def evaluate(key: KeyArray, state: PyTree) -> Evaluation:
        if hasattr(state, "player"):
            return find(state.player.weights)
        return judge(key, averaged(state).generator)

    return evaluate


def judging(config: TellingOptions, teller: Teller, splits: Mapping[str, Captions]) -> Judge:
    """Draw pictures of seen and of held-out sentences, and score whether they show what is said.

    Of drawn shapes an oracle reads them; of others, the encoder itself: the share of pictures whose
    own sentence, of all scenes of the split, scores highest with it. Beside them stands what of
    real pictures would be found, of drawn ones under the sentences of others, too.
    """
    asked = {name: Asked.of(captions, NUM_TOLD) for name, captions in splits.items()}
    real = config.real_images(splits["seen"].dataset) if config.evaluate else None
    of_real = scores_of_real(config, splits["seen"], real)
    embed_text, embed_image = jax.jit(teller.joint.embed_text), jax.jit(teller.joint.embed_image)

    def retrieved(weights: Weights, images: jax.Array, name: str) -> dict[str, float]:
        encoder, tokens = encoders.encoder_of(weights), splits[name].tokens(teller.length)
        texts = jnp.mean(encoders.embeddings(embed_text, encoder, tokens), axis=1)
        seen = in_chunks(partial(embed_image, encoder), images)
        share = retrieval_accuracy(seen, texts, asked[name].scene, np.arange(len(texts)))
        return {"retrieved": float(share)}

    def judge(key: KeyArray, weights: Weights) -> Evaluation:
        scores = dict(of_real)
        *keys, key_real, key_sheet = jax.random.split(key, len(asked) + 2)
        for key_split, (name, some) in zip(keys, asked.items(), strict=True):
            images = teller(key_split, weights, some.sentences)
            if some.codes is None:
                found = retrieved(weights, images, name)
            else:
                found = read_scenes(images, some.codes)
            scores |= {f"{name}/{what}": share for what, share in found.items()}
        if real is not None:
            scene = real.reference["scene"]
            like = Asked.about(splits["seen"], scene, np.arange(len(scene)))
            scores |= config.measured(real, teller(key_real, weights, like.sentences))
        return Evaluation({"told": _sheet(key_sheet, weights, teller, asked)}, scores)

    return judge


def scores_of_real(
    config: TellingOptions, captions: Captions, real: Real | None
) -> dict[str, float]:
    """The scores of real pictures (`real`), of drawn ones beside other sentences (`shuffled`)."""
    scores = {}
    if captions.codes is not None:
        shown = first_examples(captions.dataset, NUM_TOLD)
        images, codes = data.signed(shown["image"]), captions.codes[shown["scene"]]
        for name, said in (("real", codes), ("shuffled", np.roll(codes, 1, axis=0))):
            scores |= {f"{name}/{what}": share for what, share in read_scenes(images, said).items()}
    if real is not None:
        found = measured_of_real(config.evaluate, real, real.held_out(len(real.images)))
        scores |= {f"real/{name}": value for name, value in found.items()}
    return scores


def _sheet(
    key: KeyArray, weights: Weights, teller: Teller, asked: dict[str, Asked]
) -> plots.Picture:
    """Rows of pictures under their sentences, and on the way from one to another."""
    sentences = [
        some.sentences[row]
        for some in asked.values()
        for row in np.linspace(0, len(some.sentences) - 1, ROWS).astype(int)
    ]
    told = teller(key, weights, [one for one in sentences for _ in range(COLUMNS)])
    ends = sentences[1], sentences[-2]
    way = teller.between(key, weights, ends, COLUMNS)
    captions = [*sentences, f"{ends[0]} ... {ends[1]}"]
    return plots.captioned_grid(np.concatenate([told, way]), captions)


def said(metrics: Mapping[str, Any]) -> str:
    """What the scores of pictures are, in a sentence."""
    if "seen/all" not in metrics:
        return (
            "{seen/retrieved:.1%} of pictures of seen sentences are nearest to their own, and "
            "{held_out/retrieved:.1%} of unseen ones"
        ).format_map(metrics)
    return (
        "{seen/all:.1%} of pictures have the shape, colour and size that a seen sentence says "
        "(shape {seen/shape:.1%}, colour {seen/colour:.1%}, size {seen/size:.1%}), and "
        "{held_out/all:.1%} those of a held-out combination"
    ).format_map(metrics)
