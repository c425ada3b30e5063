"""Joint embedding: images and sentences become vectors whose inner product says how they match."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gan_jax import games, losses
from gan_jax.checks import NOT_NEGATIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, PlayerOutcome, Weights
from gan_jax.losses.precision import at_least_float32
from gan_jax.systems.checks import (
    blank,
    check_examples,
    check_networks,
    take_floats,
    take_integers,
    take_labels,
)
from gan_jax.systems.networks import first, infer, join, of_part, part, start, train
from gan_jax.typing import Batch, KeyArray


@dataclass(frozen=True, kw_only=True, eq=False)
class JointEmbedding:
    """Learn of images v and sentences t the scores F(v, t) = ⟨θ(v), φ(t)⟩, high where they match.

    The loss is the mean of `losses.structured_joint_embedding` over the batch, which holds images,
    tokens of one sentence about each, and the images' classes, under the names `image`, `text` and
    `label`. θ is the image encoder, φ the text encoder; φ(t) is what GANs are then conditioned on.
    Batches whose labels are all equal teach nothing; the paper's hold 40 distinct ones.

    Params are {"image": ..., "text": ...}.

    >>> import jax, jax.numpy as jnp, optax
    >>> from functools import partial
    >>> from gan_jax import games, nets
    >>> from gan_jax.systems import JointEmbedding
    >>> system = JointEmbedding(
    ...     image_encoder=nets.MLPEncoder(5, (8,)),
    ...     text_encoder=nets.CharCNNRNN(5, widths=(8,), pools=(3,), hidden=8))
    >>> batch = {"image": jnp.ones((3, 4, 4, 1)), "text": jnp.ones((3, 9), int),
    ...          "label": jnp.arange(3)}
    >>> adam = optax.adam(1e-3)
    >>> state = jax.jit(partial(system.init, optimizer=adam))(jax.random.key(0), batch)
    >>> step = jax.jit(partial(games.descent_step, objective=system.objective, optimizer=adam))
    >>> state, metrics = step(jax.random.key(1), state, batch)
    >>> sorted(metrics)
    ['grad_norm', 'image_to_text', 'loss', 'text_to_image', 'update_norm']
    >>> system.embed_text(state.player.weights, batch["text"]).shape
    (3, 5)

    Reed, Akata, Lee & Schiele 2016 (CVPR), section 3.

    Raises:
        ValueError: what is given is no network, or the margin is negative or not finite.
    """

    image_encoder: nn.Module
    text_encoder: nn.Module
    margin: float = 1.0
    image: str = "image"
    text: str = "text"
    label: str = "label"

    def __post_init__(self) -> None:
        check_networks(image_encoder=self.image_encoder, text_encoder=self.text_encoder)
        check_bound(NOT_NEGATIVE, margin=self.margin)

    def init(
        self, key: KeyArray, batch: Batch, *, optimizer: optax.GradientTransformation
    ) -> DescentState:
        """Draw the weights. Of the batch shapes count, and what it holds, as for a `GAN`.

        Raises:
            ValueError: as `objective`, the images are not finite, or the encoders do not give
                vectors of one size.
        """
        key_image, key_text = jax.random.split(key)
        check_examples(batch, self.image, None)
        self._take(batch)
        of_image, image = start(self.image_encoder, key_image, blank(batch, self.image))
        of_text, text = start(self.text_encoder, key_text, blank(batch, self.text))
        shapes = [jnp.shape(first(output))[1:] for output in (of_image, of_text)]
        if len(shapes[0]) != 1 or shapes[0] != shapes[1]:
            raise Refusal(
                f"The image encoder gives an example the shape {shapes[0]}, the text encoder "
                f"{shapes[1]}; both must give one vector, of the same size."
            )
        return games.init_descent(weights=join({"image": image, "text": text}), optimizer=optimizer)

    def objective(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        """The mean loss, for `descent_step`, and how often the batch's best match is a right one.

        Metrics: `image_to_text`, the share of images whose text of the highest score in the batch
        is of their class, and `text_to_image`, the reverse.

        Raises:
            ValueError: the batch lacks a field; it holds no floating-point images, no whole numbers
                as tokens, or not one whole number an example as labels; the weights are another
                network's.
        """
        key_image, key_text = jax.random.split(key)
        x, tokens, labels = self._take(batch)
        of_image, of_text = of_part(train, "image"), of_part(train, "text")
        v, weights = of_image(self.image_encoder, weights, key_image, x)
        t, weights = of_text(self.text_encoder, weights, key_text, tokens)
        v, t = at_least_float32(first(v)), at_least_float32(first(t))
        errors = losses.structured_joint_embedding(v, t, labels, margin=self.margin)
        scores = v @ t.T
        metrics = {
            name: jnp.mean(labels[jnp.argmax(scores, axis=axis)] == labels)
            for name, axis in (("image_to_text", 1), ("text_to_image", 0))
        }
        return PlayerOutcome(jnp.mean(errors), weights.state, metrics)

    def embed_image(
        self, weights: Weights, x: Float[Array, "num *shape"], *, key: KeyArray | None = None
    ) -> Float[Array, "num dim"]:
        """θ(v) of images. Without a key the encoder's random streams, if any, are always the same.

        Raises:
            ValueError: the weights are another network's.
        """
        return first(infer(self.image_encoder, part(weights, "image"), x, key=key))

    def embed_text(
        self, weights: Weights, tokens: Int[Array, "num *length"], *, key: KeyArray | None = None
    ) -> Float[Array, "num dim"]:
        """φ(t) of sentences, as `embed_image` of images."""
        return first(infer(self.text_encoder, part(weights, "text"), tokens, key=key))

    def _take(self, batch: Batch) -> tuple[Array, Array, Array]:
        labels = take_labels(batch, self.label)
        return take_floats(batch, self.image), take_integers(batch, self.text), labels
