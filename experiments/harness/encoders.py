"""An encoder of sentences: its options, how it learns, and how well it finds what it is to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.bounds import Rate, Size, Weight
from experiments.harness.captions import CaptionOptions, Captions
from experiments.harness.features import in_chunks
from experiments.harness.options import first_examples
from gan_jax import data, plots, training
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, Weights
from gan_jax.metrics import retrieval_accuracy
from gan_jax.nets import CharCNNRNN, ImageEncoder
from gan_jax.systems import JointEmbedding
from gan_jax.training import Evaluation, first_batch
from gan_jax.typing import Batch, Feed, KeyArray, PyTree, Step

NUM_FOUND = 1_000
NUM_ROWS, COLUMNS = 12, 8
FORM = (
    "length",
    "embedding_dim",
    "encoder_widths",
    "encoder_pools",
    "encoder_hidden",
    "cell",
    "image_width",
    "image_side",
)


@dataclass(frozen=True, kw_only=True)
class EncoderOptions(CaptionOptions):
    embedding_dim: Size = 64
    """Numbers that a sentence, or an image, becomes."""
    encoder_widths: tuple[Size, ...] = (64, 64, 64)
    """Channels of the convolutions over characters."""
    encoder_pools: tuple[Size, ...] = (3, 3, 1)
    """How far apart the largest of 3 is taken after each; a 1 pools nothing."""
    encoder_hidden: Size = 64
    """Units of the recurrent network."""
    cell: Literal["rnn", "gru"] = "gru"
    """Of the recurrent network: plain with ReLU, or gated."""
    image_width: Size = 32
    """Channels of the first convolution of the encoder of images."""
    image_side: Size = 32
    """To which the encoder of images brings those of other sizes."""
    margin: Weight = 1.0
    """By which each pair's score is to exceed those of its image and sentence with others."""
    encoder_learning_rate: Rate = 1e-3
    """Adam's, for the encoders of sentences and of images."""

    def joint_embedding(self) -> JointEmbedding:
        return JointEmbedding(
            image_encoder=ImageEncoder(self.embedding_dim, self.image_width, size=self.image_side),
            text_encoder=CharCNNRNN(
                self.embedding_dim,
                self.encoder_widths,
                self.encoder_pools,
                hidden=self.encoder_hidden,
                cell=self.cell,
                kernel_init=nn.initializers.he_normal(),
            ),
            margin=self.margin,
            label="scene",
        )

    @property
    def encoder_optimizer(self) -> optax.GradientTransformation:
        return optax.adam(self.encoder_learning_rate)

    def encoder_step(self, system: JointEmbedding) -> Step:
        return self.descent(system.objective, self.encoder_optimizer)

    def encoder_feed(self, captions: Captions) -> Feed:
        """Images, and of each one sentence, drawn anew whenever it is seen."""
        feed = self.caption_feed(captions)
        return data.captioned(feed, captions.tokens(self.length), scene="scene")

    def encoder_start(self, system: JointEmbedding, key: KeyArray, feed: Feed) -> DescentState:
        batch, optimizer = first_batch(feed), self.encoder_optimizer
        return jax.jit(lambda key: system.init(key, batch, optimizer=optimizer))(key)


def finder(
    system: JointEmbedding, splits: Mapping[str, Captions], length: int
) -> Callable[[Weights], Evaluation]:
    """Let sentences find images, and images sentences, among those of both splits.

    `image_to_text`: the share of images whose scene's mean sentence, of all scenes, scores highest;
    `text_to_image`: of scenes, as far as some image is of theirs, whose mean sentence has its
    highest score with such an image.
    The picture has unseen sentences and the images that score highest with each.
    """
    train, test = splits["seen"], splits["held_out"]
    num_seen = len(train.sentences)
    shown = [first_examples(split.dataset, NUM_FOUND) for split in (train, test)]
    images = np.concatenate([some["image"] for some in shown])
    scene = np.concatenate([shown[0]["scene"], shown[1]["scene"] + num_seen])
    tokens = np.concatenate([train.tokens(length), test.tokens(length)])
    embed_image = jax.jit(lambda weights, x: system.embed_image(weights, data.signed(x)))
    embed_text = jax.jit(system.embed_text)
    sentences = [many[0] for many in (*train.sentences, *test.sentences)]
    _, said = np.unique(sentences, return_inverse=True)  # one may be in both splits of a folder

    def find(weights: Weights) -> Evaluation:
        texts = jnp.mean(embeddings(embed_text, weights, tokens), axis=1)
        seen = in_chunks(partial(embed_image, weights), images)
        found = {}
        for name, of_split in (("seen", scene < num_seen), ("held_out", scene >= num_seen)):
            shown_scenes = np.unique(scene[of_split])
            found[f"{name}/image_to_text"] = retrieval_accuracy(
                seen[of_split], texts, said[scene[of_split]], said
            )
            found[f"{name}/text_to_image"] = retrieval_accuracy(
                texts[shown_scenes], seen, said[shown_scenes], said[scene]
            )
        rows = np.unique(np.linspace(num_seen, len(texts) - 1, NUM_ROWS).astype(int))
        best = np.argsort(-(texts[rows] @ seen.T), axis=1)[:, :COLUMNS]
        picture = plots.image_grid(
            np.asarray(data.signed(images[best.ravel()])),
            columns=COLUMNS,
            row_names=[sentences[row] for row in rows],
        )
        return Evaluation({"found": picture}, {name: float(value) for name, value in found.items()})

    return find


def embeddings(
    embed: Callable[[Weights, np.ndarray], jax.Array], weights: Weights, tokens: np.ndarray
) -> jax.Array:
    """Of each scene, the embeddings of its sentences: (scenes, captions, embedding_dim).

    embed: a compiled `JointEmbedding.embed_text`.
    """
    flat = tokens.reshape(-1, tokens.shape[-1])
    return in_chunks(partial(embed, weights), flat).reshape(*tokens.shape[:2], -1)


def sizes_in(run: str) -> dict[str, Any]:
    """The options that give a run's encoder its form.

    Raises:
        ValueError: it is no run that has learned to encode sentences.
    """
    config = training.restore(run).config
    if not config.keys() >= set(FORM):
        raise Refusal(f"--encoder is {run}, a run that has no encoder of sentences: name another.")
    return {name: config[name] for name in FORM}


def encoder_in(run: str) -> Weights:
    """The weights of a run's encoder."""
    restored = training.restore(run)
    if "generator" in restored.state:
        return encoder_of(restored.weights("generator"))
    return restored.weights("player")


def with_encoder(
    weights: Weights, system: JointEmbedding, encoder: Weights, tokens: np.ndarray
) -> Weights:
    """Keep an encoder with a generator's weights, and what it makes of all sentences, frozen.

    So the sentences are read once, and the run has all that it takes to read others.
    """
    table = embeddings(jax.jit(system.embed_text), encoder, tokens)
    return keeping(
        weights,
        encoder={"params": encoder.params, "state": encoder.state},
        text=table.reshape(-1, table.shape[-1]),
    )


def keeping(weights: Weights, **kept: PyTree) -> Weights:
    """Keep what no gradient moves, under these names, with a generator's weights."""
    frozen = {**weights.state.get("frozen", {}), **kept}
    return weights.replace(state={**weights.state, "frozen": frozen})


def encoder_of(weights: Weights) -> Weights:
    """The encoder that a generator's weights keep."""
    kept = weights.state["frozen"]["encoder"]
    return Weights(params=kept["params"], state=kept.get("state", {}))


def told(step: Step) -> Step:
    """Give a step, for the numbers of sentences under `text`, the mean of their embeddings."""

    def step_told(key: KeyArray, state: Any, batch: Batch) -> Any:
        table = state.generator.weights.state["frozen"]["text"]
        return step(key, state, {**batch, "text": jnp.mean(table[batch["text"]], axis=1)})

    return step_told
