"""GANs, conditional or not: two networks, a loss and further terms are a game."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax import games
from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.games import GameState, Optimizers, Outcome, PlayerOutcome, Weights
from gan_jax.losses import AdversarialLoss, FDivergence, RelativisticLoss
from gan_jax.losses.precision import at_least_float32
from gan_jax.systems.checks import (
    blank,
    check_examples,
    check_gradients,
    check_logits,
    check_made,
    check_networks,
    check_shape,
    output_bound,
    take,
    take_floats,
)
from gan_jax.systems.networks import Latents, check_latents, first, infer, start, train
from gan_jax.typing import Batch, KeyArray


class Round(NamedTuple):
    """What one round has made: all that a further term of either loss may read.

    generated, real_output, fake_output: whatever the networks returned; fake, real_logits and
    fake_logits are the first of it. Under packing real and fake are packs.
    generate(key, *conditions): what the generator returns on latents drawn by this key, as many as
    there are real examples. judge(x, *conditions): the logits of other examples or conditions. Both
    play with the weights of this round and leave them as they are. critic(x): `judge` under the
    batch's own conditions, as penalties take it.
    key: another one for each term.
    """

    batch: Batch
    conditions: tuple[Any, ...]
    real: Array
    fake: Array
    generated: Any
    real_output: Any
    fake_output: Any
    real_logits: Array
    fake_logits: Array
    generate: Callable[..., Any]
    judge: Callable[..., Array]
    critic: Callable[[Array], Array]
    key: KeyArray


REPORTED = ("loss", "grad_norm", "update_norm")
OTHER_LOSSES = {
    FDivergence: "make a game of it by losses.f_gan(divergence)",
    RelativisticLoss: "play it by relativistic_gan(loss=...)",
}
LOGITS = ("real_logits", "fake_logits")

Term: TypeAlias = Callable[[Round], Float[Array, "num *rest"]]
"""One number per example, its weight included."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GAN:
    """Let `generator` learn p(x|y): x is what the batch holds under `field`, y its `conditions`.

    L_D = mean real(D(x, y)) + mean fake(D(G(z, y), y)) + Σ mean of `discriminator_terms`,
    L_G = mean generator(D(G(z, y), y)) + Σ mean of `generator_terms`, with the three curves of
    `loss`, as many fakes as there are real examples, and the batch's y for both. Latents z come
    from `latents`; with None the generator sees the conditions alone. The discriminator sees real
    and fake examples in separate batches, so batch normalisation has statistics for each; its
    running averages take both, real first.

    A term is a function of the `Round`, and a metric of its player under its name: a gradient
    penalty is `{"penalty": lambda r: 10 * gradient_penalty(r.critic, r.real, r.fake, r.key)}`. Give
    such a critic no batch normalisation, which is refused, and no minibatch discrimination: they
    mix the gradients of a batch's examples. The terms of one player cost a move of the other
    nothing.

    With `packing` m the discriminator judges m examples at once, joined along their last axis: B
    examples make B/m packs, so give batches of m·B for B logits (PacGAN).

    >>> import jax, optax
    >>> from functools import partial
    >>> from gan_jax import games, losses, nets
    >>> from gan_jax.systems import GAN, networks
    >>> system = GAN(
    ...     generator=nets.MLPGenerator((2,), (16,)), discriminator=nets.MLPDiscriminator((16,)),
    ...     loss=losses.hinge(), latents=networks.normal(4), field="point")
    >>> batch, adam = {"point": jax.numpy.zeros((8, 2))}, optax.adam(1e-3)
    >>> optimizers = games.Optimizers(generator=adam, discriminator=adam)
    >>> state = jax.jit(partial(system.init, optimizers=optimizers))(jax.random.key(0), batch)
    >>> step = jax.jit(partial(games.alternating_step, game=system.game, optimizers=optimizers))
    >>> state, metrics = step(jax.random.key(1), state, batch)
    >>> system.sample(jax.random.key(2), state.generator.weights, 3).shape
    (3, 2)

    Goodfellow et al. 2014, equation (1) and Algorithm 1; Mirza & Osindero 2014, equation (2); Lin
    et al. 2018, section 2.

    Raises:
        ValueError: what is given is no network, loss or latents; `packing` is below 1, or goes with
            conditions; there are neither latents nor conditions; the terms have no names, or that
            of a metric that each step reports.
    """

    generator: nn.Module
    discriminator: nn.Module
    loss: AdversarialLoss
    latents: Latents | None
    field: str = "image"
    conditions: tuple[str, ...] = ()
    generator_terms: Mapping[str, Term] = dataclasses.field(default_factory=dict)
    discriminator_terms: Mapping[str, Term] = dataclasses.field(default_factory=dict)
    packing: int = 1

    def __post_init__(self) -> None:
        check_networks(generator=self.generator, discriminator=self.discriminator)
        check_made(AdversarialLoss, "losses.non_saturating()", OTHER_LOSSES, loss=self.loss)
        check_bound(AT_LEAST_1, packing=self.packing)
        if isinstance(self.conditions, str):
            raise Refusal(f"conditions is {self.conditions!r}; give a tuple of such names.")
        if self.packing > 1 and self.conditions:
            raise Refusal(
                f"packing is {self.packing}, but a pack of examples has no one condition: take "
                "packing 1, or no conditions."
            )
        check_names("generator", self.generator_terms, REPORTED)
        check_names("discriminator", self.discriminator_terms, (*REPORTED, *LOGITS))
        if self.latents is None and not self.conditions:
            raise Refusal(
                "A generator without latents and conditions makes one example: give it latents, "
                "such as networks.normal(100), or conditions."
            )
        if self.latents is not None:
            check_latents(self.latents)

    def game(
        self, *, generator: Weights, discriminator: Weights, batch: Batch, key: KeyArray
    ) -> Outcome:
        """Play one round, for any step of `gan_jax.games`.

        Raises:
            ValueError: the batch lacks a field, its examples are no floating-point numbers or not
                of the generator's shape, or they do not divide into packs; the discriminator gives
                neither a number nor a map for each; the weights are another network's.
        """
        keys = jax.random.split(key, 5)
        real = take_floats(batch, self.field)
        given = tuple(take(batch, name) for name in self.conditions)
        generated, generator_after = train(
            self.generator, generator, keys[0], *self._inputs(keys[1], len(real), given)
        )
        check_shape(real, first(generated), self.field)
        real, fake = pack(real, self.packing), pack(first(generated), self.packing)
        real_output, seen = train(self.discriminator, discriminator, keys[2], real, *given)
        check_logits(real, first(real_output))
        fake_output, discriminator_after = train(self.discriminator, seen, keys[3], fake, *given)

        def judge(x: Array, *conditions: Any) -> Array:
            return logits(train(self.discriminator, seen, keys[3], x, *conditions)[0])

        def generate(key: KeyArray, *conditions: Any) -> Any:
            key_latents, key_network = jax.random.split(key)
            inputs = self._inputs(key_latents, len(batch[self.field]), conditions)
            return train(self.generator, generator, key_network, *inputs)[0]

        played = Round(
            batch=batch,
            conditions=given,
            real=real,
            fake=fake,
            generated=generated,
            real_output=real_output,
            fake_output=fake_output,
            real_logits=logits(real_output),
            fake_logits=logits(fake_output),
            generate=generate,
            judge=judge,
            critic=lambda x: judge(x, *given),
            key=keys[4],
        )
        return Outcome(
            generator=self._generator_outcome(played, generator_after),
            discriminator=self._discriminator_outcome(played, discriminator_after),
        )

    def init(self, key: KeyArray, batch: Batch, *, optimizers: Optimizers) -> GameState:
        """Draw both players' weights. Of the batch shapes and types count, and what it holds.

        Its arrays may be `jax.ShapeDtypeStruct`s, or traced. Where there are numbers, they must be
        finite, and in the range of a generator that has an `output_bound`.

        Raises:
            ValueError: the batch lacks a field, or holds what is out of range; the generator makes
                examples of another shape, the discriminator gives neither a number nor a map for
                each, or a term takes gradients of a discriminator with batch normalisation.
        """
        key_latents, key_generator, key_discriminator = jax.random.split(key, 3)
        check_examples(batch, self.field, output_bound(self.generator), "generator")
        for name in self.conditions:
            check_examples(batch, name, None)
        given = tuple(blank(batch, name) for name in self.conditions)
        inputs = self._inputs(key_latents, self.packing, given)
        generated, generator = start(self.generator, key_generator, *inputs)
        check_shape(take(batch, self.field), first(generated), self.field)
        fake = pack(first(generated), self.packing)
        judged, discriminator = start(self.discriminator, key_discriminator, fake, *given)
        check_logits(fake, first(judged))
        players = {"generator": generator, "discriminator": discriminator}
        if "batch_stats" in discriminator.state and (
            self.generator_terms or self.discriminator_terms
        ):
            examples = whole_packs(take(batch, self.field), self.packing)
            check_gradients(self.game, **players, batch={**batch, self.field: examples}, key=key)
        return games.init(**players, optimizers=optimizers)

    def sample(
        self, key: KeyArray, weights: Weights, num: int, *conditions: Any
    ) -> Float[Array, "num *shape"]:
        """Draw that many examples by the generator's weights, under that many of each condition.

        Batch normalisation takes its running statistics.

        Raises:
            ValueError: `num` is below 1; other conditions than the system's, or another number of
                them than `num`; the weights are another network's.
        """
        check_bound(AT_LEAST_1, num=num)
        self.check_conditions(conditions, num)
        key_latents, key_network = jax.random.split(key)
        latents = None if self.latents is None else self.latents(key_latents, num)
        return self.generate(weights, latents, *conditions, key=key_network)

    def generate(
        self,
        weights: Weights,
        latents: Array | None,
        *conditions: Any,
        key: KeyArray | None = None,
    ) -> Float[Array, "num *shape"]:
        """What the generator makes of these latents, one for each of the conditions.

        Latents are None where the system has none. Without a key the generator's random streams,
        if it has any, are always the same.

        Raises:
            ValueError: the weights are another network's.
        """
        inputs = conditions if latents is None else (latents, *conditions)
        return first(infer(self.generator, weights, *inputs, key=key))

    def discriminate(
        self, weights: Weights, x: Float[Array, "num *shape"], *conditions: Any
    ) -> Float[Array, "packs *rest"]:
        """The discriminator's logits of examples, by its weights, as it is asked and not trained.

        Its random streams, if it has any, are always the same.

        Raises:
            ValueError: more or fewer conditions than the system's, or of another number.
        """
        self.check_conditions(conditions, len(x))
        return logits(infer(self.discriminator, weights, pack(x, self.packing), *conditions))

    def check_conditions(self, conditions: tuple[Any, ...], num: int) -> None:
        """Raise ValueError unless there are as many of each of the system's conditions."""
        lengths = [len(condition) for condition in conditions]
        if lengths != [num] * len(self.conditions):
            raise Refusal(
                f"The conditions given hold {lengths} values; {num} examples need {num} of each of "
                f"{', '.join(self.conditions) or 'none'}."
            )

    def _inputs(self, key: KeyArray, num: int, conditions: tuple[Any, ...]) -> tuple[Any, ...]:
        return conditions if self.latents is None else (self.latents(key, num), *conditions)

    def _generator_outcome(self, played: Round, after: Weights) -> PlayerOutcome:
        loss = jnp.mean(self.loss.generator(played.fake_logits))
        return with_terms(loss, after, {}, self.generator_terms, played, 0)

    def _discriminator_outcome(self, played: Round, after: Weights) -> PlayerOutcome:
        real, fake = played.real_logits, played.fake_logits
        loss = jnp.mean(self.loss.real(real)) + jnp.mean(self.loss.fake(fake))
        metrics = {"real_logits": jnp.mean(real), "fake_logits": jnp.mean(fake)}
        return with_terms(loss, after, metrics, self.discriminator_terms, played, 1)


def with_terms(
    loss: Array,
    after: Weights,
    metrics: dict[str, Array],
    terms: Mapping[str, Term],
    played: Round,
    player: int,
) -> PlayerOutcome:
    """Add the means of the terms, each of which has a key of its own, to a player's loss."""
    keys = jax.random.split(jax.random.fold_in(played.key, player), max(len(terms), 1))
    for (name, term), key in zip(terms.items(), keys, strict=False):
        metrics[name] = jnp.mean(at_least_float32(term(played._replace(key=key))))
        loss = loss + metrics[name]
    return PlayerOutcome(loss, after.state, metrics)


def check_names(player: str, terms: Any, taken: tuple[str, ...]) -> None:
    """Raise ValueError where a term has no name, or one of these."""
    if not isinstance(terms, Mapping):
        raise Refusal(
            f'{player}_terms is a {type(terms).__name__}; give each term a name, as {{"penalty": '
            "term}."
        )
    if both := [name for name in terms if name in taken]:
        raise Refusal(
            f"A term of the {player} is called {both[0]}, as a metric that is reported already: "
            f"give it a name other than {', '.join(taken)}."
        )


def logits(output: Any) -> Array:
    return at_least_float32(first(output))


def whole_packs(examples: Any, packing: int) -> jax.ShapeDtypeStruct:
    """The shape of no fewer examples that divide into packs."""
    num = -(-examples.shape[0] // packing) * packing
    return jax.ShapeDtypeStruct((num, *examples.shape[1:]), examples.dtype)


def pack(examples: Array, packing: int) -> Array:
    """Join every m = `packing` examples along their last axis: (m·B, ..., C) -> (B, ..., m·C)."""
    if packing == 1:
        return examples
    if examples.shape[0] % packing:
        raise Refusal(
            f"{examples.shape[0]} examples do not divide into packs of {packing}; give a multiple."
        )
    packs = examples.reshape(-1, packing, *examples.shape[1:])
    return jnp.concatenate([packs[:, slot] for slot in range(packing)], axis=-1)
