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
from gan_jax.losses.precision import at_least_float32
from gan_jax.systems.checks import (
    blank,
    check_examples,
    check_logits,
    check_made,
    check_networks,
    take,
    take_floats,
)
from gan_jax.systems.gan import OTHER_LOSSES, logits
from gan_jax.systems.networks import first, infer, join, of_part, part, start, train
from gan_jax.typing import Batch, KeyArray


@dataclass(frozen=True, kw_only=True, eq=False)
class ADDA:
    encoder: nn.Module
    classifier: nn.Module
    discriminator: nn.Module
    loss: AdversarialLoss
    field: str = "image"
    label: str = "label"

    def objective(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        key_encoder, key_classifier = jax.random.split(key)
        x, labels = take_floats(batch, self.field), take(batch, self.label)
        features, weights = of_part(train, "encoder")(self.encoder, weights, key_encoder, x)
        output, weights = of_part(train, "classifier")(
            self.classifier, weights, key_classifier, first(features)
        )
        scores = logits(output)
        errors = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        right = jnp.mean(jnp.argmax(scores, axis=-1) == labels)
        return PlayerOutcome(jnp.mean(errors), weights.state, {"accuracy": right})

    def init_source(self, key, batch, *, optimizer) -> DescentState:
        key_encoder, key_classifier = jax.random.split(key)
        features, encoder = start(self.encoder, key_encoder, blank(batch, self.field))
        _, classifier = start(self.classifier, key_classifier, first(features))
        weights = join({"encoder": encoder, "classifier": classifier})
        return games.init_descent(weights=weights, optimizer=optimizer)

    def game(self, *, generator, discriminator, batch, key) -> Outcome:
        keys = jax.random.split(key, 4)
        source, target = (take_floats(take(batch, of), self.field) for of in ("source", "target"))
        frozen = Weights(**generator.state["frozen"])
        real = infer(self.encoder, part(frozen, "encoder"), source, key=keys[0])
        fake, after = of_part(train, "encoder")(self.encoder, generator, keys[1], target)
        real_logits, seen = train(self.discriminator, discriminator, keys[2], first(real))
        fake_logits, seen = train(self.discriminator, seen, keys[3], first(fake))
        real_logits, fake_logits = logits(real_logits), logits(fake_logits)
        loss = jnp.mean(self.loss.real(real_logits)) + jnp.mean(self.loss.fake(fake_logits))
        return Outcome(
            generator=PlayerOutcome(jnp.mean(self.loss.generator(fake_logits)), after.state),
            discriminator=PlayerOutcome(
                loss,
                seen.state,
                {"real_logits": jnp.mean(real_logits), "fake_logits": jnp.mean(fake_logits)},
            ),
        )

    def init_target(self, key, source: Weights, batch, *, optimizers) -> GameState:
        x = blank(take(batch, "target"), self.field)
        features = infer(self.encoder, part(source, "encoder"), x)
        _, discriminator = start(self.discriminator, key, first(features))
        encoder = join({"encoder": part(source, "encoder")})
        frozen = {"params": source.params} | ({"state": source.state} if source.state else {})
        return games.init(
            generator=encoder.replace(state={**encoder.state, "frozen": frozen}),
            discriminator=discriminator,
            optimizers=optimizers,
        )

    def encode(self, weights: Weights, x, *, key=None):
        return first(infer(self.encoder, part(weights, "encoder"), x, key=key))

    def classify(self, weights: Weights, x, *, key=None):
        frozen = weights.state.get("frozen")
        owner = weights if frozen is None else Weights(**frozen)
        features = self.encode(weights, x, key=key)
        return logits(infer(self.classifier, part(owner, "classifier"), features))
