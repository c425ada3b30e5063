"""ADDA: an encoder of another domain learns to give features like those of a labelled one."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_jax import games
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, GameState, Optimizers, Outcome, PlayerOutcome, Weights
from gan_jax.losses import AdversarialLoss
from gan_jax.systems.checks import (
    DOMAINS,
    blank,
    check_domains,
    check_examples,
    check_logits,
    check_made,
    check_networks,
    take,
    take_floats,
    take_labels,
)
from gan_jax.systems.gan import OTHER_LOSSES, logits
from gan_jax.systems.networks import first, fixed, infer, join, of_part, part, start, train
from gan_jax.typing import Batch, KeyArray


@dataclass(frozen=True, kw_only=True, eq=False)
class ADDA:
    """Let a classifier of labelled images, the source, name images of a domain without labels.

    First the source encoder M_s and the classifier C learn from what the batch holds under `field`
    and `label`, by `objective`:

    min over M_s, C of E_s -log softmax(C(M_s(x_s)))_y.

    Then they stay as they are, and by `game` a target encoder M_t, which starts from M_s, and a
    discriminator D of features play, on batches {"source": {...}, "target": {...}}:

    L_D = mean real(D(M_s(x_s))) + mean fake(D(M_t(x_t))),  L_M = mean generator(D(M_t(x_t))),

    with the curves of `loss`; those of the paper are `losses.non_saturating()`, inverted labels. C
    names the target's images by M_t. D reads features, the input of C, as the paper has it; the
    authors' script gives it the output of C. They move both players at once
    (`simultaneous_step`).

    >>> import jax, optax
    >>> from functools import partial
    >>> from gan_jax import games, losses, nets
    >>> from gan_jax.systems import ADDA
    >>> system = ADDA(
    ...     encoder=nets.MLPEncoder(5, (8,)), classifier=nets.MLPEncoder(3, ()),
    ...     discriminator=nets.MLPDiscriminator((8,)), loss=losses.non_saturating(), field="point")
    >>> points, sgd = jax.numpy.ones((4, 2)), optax.sgd(0.1)
    >>> labelled = {"point": points, "label": jax.numpy.array([0, 1, 2, 0])}
    >>> source = system.init_source(jax.random.key(0), labelled, optimizer=sgd)
    >>> learn = partial(games.descent_step, objective=system.objective, optimizer=sgd)
    >>> source, metrics = jax.jit(learn)(jax.random.key(1), source, labelled)
    >>> both = {"source": labelled, "target": {"point": points}}
    >>> optimizers = games.Optimizers(generator=sgd, discriminator=sgd)
    >>> state = system.init_target(
    ...     jax.random.key(2), source.player.weights, both, optimizers=optimizers)
    >>> step = partial(games.simultaneous_step, game=system.game, optimizers=optimizers)
    >>> state, metrics = jax.jit(step)(jax.random.key(3), state, both)
    >>> system.classify(state.generator.weights, points).shape
    (4, 3)

    Tzeng, Hoffman, Saenko & Darrell 2017, equations (7) to (9).

    Raises:
        ValueError: what is given is no network or loss.
    """

    encoder: nn.Module
    classifier: nn.Module
    discriminator: nn.Module
    loss: AdversarialLoss
    field: str = "image"
    label: str = "label"

    def __post_init__(self) -> None:
        check_networks(
            encoder=self.encoder, classifier=self.classifier, discriminator=self.discriminator
        )
        check_made(AdversarialLoss, "losses.non_saturating()", OTHER_LOSSES, loss=self.loss)

    def objective(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        """The cross entropy of the source's labels, and the share that is named rightly.

        Raises:
            ValueError: the batch lacks a field, or holds no floats or no whole numbers there; the
                weights are another network's.
        """
        key_encoder, key_classifier = jax.random.split(key)
        x, labels = take_floats(batch, self.field), take_labels(batch, self.label)
        encode, name = of_part(train, "encoder"), of_part(train, "classifier")
        features, weights = encode(self.encoder, weights, key_encoder, x)
        output, weights = name(self.classifier, weights, key_classifier, first(features))
        scores = logits(output)
        errors = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        accuracy = jnp.mean(jnp.argmax(scores, axis=-1) == labels)
        return PlayerOutcome(jnp.mean(errors), weights.state, {"accuracy": accuracy})

    def init_source(
        self, key: KeyArray, batch: Batch, *, optimizer: optax.GradientTransformation
    ) -> DescentState:
        """Draw the weights of the source's encoder and of the classifier, for `objective`.

        Of the batch shapes count, and what it holds, as for a `GAN`. Params are {"encoder": ...,
        "classifier": ...}.

        Raises:
            ValueError: the batch lacks a field or is not finite, its labels are no whole numbers,
                or the classifier gives no logits.
        """
        key_encoder, key_classifier = jax.random.split(key)
        check_examples(batch, self.field, None)
        take_labels(batch, self.label)
        features, encoder = start(self.encoder, key_encoder, blank(batch, self.field))
        output, classifier = start(self.classifier, key_classifier, first(features))
        if jnp.ndim(first(output)) != 2:
            raise Refusal(
                f"The classifier gives an example logits of shape {jnp.shape(first(output))[1:]}; "
                "it must give one number for each class."
            )
        weights = join({"encoder": encoder, "classifier": classifier})
        return games.init_descent(weights=weights, optimizer=optimizer)

    def game(
        self, *, generator: Weights, discriminator: Weights, batch: Batch, key: KeyArray
    ) -> Outcome:
        """Play one round; the generator is the target's encoder.

        Raises:
            ValueError: the batch lacks a domain or its field, or holds no floats there; the weights
                are another network's.
        """
        if "frozen" not in generator.state:
            raise Refusal("The weights hold no source: start the second phase by `init_target`.")
        keys = jax.random.split(key, 4)
        source, target = (take_floats(take(batch, name), self.field) for name in DOMAINS)
        real = infer(self.encoder, part(self.source(generator), "encoder"), source, key=keys[0])
        fake, after = of_part(train, "encoder")(self.encoder, generator, keys[1], target)
        real_output, seen = train(self.discriminator, discriminator, keys[2], first(real))
        fake_output, seen = train(self.discriminator, seen, keys[3], first(fake))
        real_logits, fake_logits = logits(real_output), logits(fake_output)
        loss = jnp.mean(self.loss.real(real_logits)) + jnp.mean(self.loss.fake(fake_logits))
        metrics = {"real_logits": jnp.mean(real_logits), "fake_logits": jnp.mean(fake_logits)}
        return Outcome(
            generator=PlayerOutcome(jnp.mean(self.loss.generator(fake_logits)), after.state),
            discriminator=PlayerOutcome(loss, seen.state, metrics),
        )

    def init_target(
        self, key: KeyArray, source: Weights, batch: Batch, *, optimizers: Optimizers
    ) -> GameState:
        """Start the game: M_t from M_s, a discriminator that is drawn, and the source frozen.

        Args:
            source: the weights that `objective` has trained. They go, bit for bit, to the target
                encoder's `state["frozen"]`, which no step changes and no device averages.
            batch: of both domains, as for `game`; as in `init_source`.

        Raises:
            ValueError: as `game`, the domains' examples differ in shape or are not finite, or the
                discriminator does not give each example one number.
        """
        for name in DOMAINS:
            check_examples(take(batch, name), self.field, None)
        one, other = (blank(batch[name], self.field) for name in DOMAINS)
        check_domains(one, other)
        encoder = join({"encoder": part(source, "encoder")})
        features = first(infer(self.encoder, part(source, "encoder"), other))
        judged, discriminator = start(self.discriminator, key, features)
        check_logits(features, first(judged))
        frozen = {"params": source.params, "state": source.state}
        return games.init(
            generator=encoder.replace(state={**encoder.state, "frozen": frozen}),
            discriminator=discriminator,
            optimizers=optimizers,
        )

    def source(self, weights: Weights) -> Weights:
        """The source's weights: those that a target's encoder keeps, or these themselves."""
        kept = weights.state.get("frozen")
        if kept is None:
            return weights
        return Weights(params=kept["params"], state=kept.get("state", {}))

    def encode(
        self, weights: Weights, x: Float[Array, "num *shape"], *, key: KeyArray | None = None
    ) -> Float[Array, "num features"]:
        """The features of images: by the source's weights M_s(x), by the target encoder's M_t(x).

        Without a key the encoder's random streams, if it has any, are always the same.

        Raises:
            ValueError: the weights are another network's.
        """
        return first(infer(self.encoder, part(weights, "encoder"), x, key=key))

    def classify(
        self, weights: Weights, x: Float[Array, "num *shape"], *, key: KeyArray | None = None
    ) -> Float[Array, "num classes"]:
        """The classes' logits C(M(x)) of images, of which softmax makes probabilities.

        Weights and key as for `encode`; raises as it does.
        """
        key_encoder, key_classifier = jax.random.split(fixed(key))
        classifier = part(self.source(weights), "classifier")
        features = self.encode(weights, x, key=key_encoder)
        return logits(infer(self.classifier, classifier, features, key=key_classifier))
