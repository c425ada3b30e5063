"""CycleGAN: two populations, and two maps between them that undo each other."""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax import games
from gan_jax.checks import AT_LEAST_0, NOT_NEGATIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.games import GameState, Optimizers, Outcome, PlayerOutcome, Weights
from gan_jax.losses import AdversarialLoss
from gan_jax.losses.adversarial import Curve
from gan_jax.losses.precision import at_least_float32
from gan_jax.systems.checks import (
    DOMAINS,
    blank,
    check_domains,
    check_examples,
    check_logits,
    check_made,
    check_networks,
    check_shape,
    output_bound,
    take,
    take_floats,
)
from gan_jax.systems.gan import OTHER_LOSSES, logits
from gan_jax.systems.networks import first, infer, join, of_part, part, start, train
from gan_jax.systems.pix2pix import distance
from gan_jax.systems.pool import empty_pool, exchange
from gan_jax.typing import Batch, KeyArray, Scalar

MAPS = ("translate", "back")


class Judged(NamedTuple):
    """What a discriminator says of real examples, of new fakes, and of those of the pool."""

    real: Array
    fresh: Array
    past: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class CycleGAN:
    """Map examples x of the source to the target by G, and y back by F, without any pair.

    With the three curves of `loss`, (λ₁, λ₂) = `cycle_weight` and μ = `identity_weight`,

        L_{G,F} = generator(D_Y(G(x))) + generator(D_X(F(y)))
                  + λ₁ ‖F(G(x)) - x‖₁ + λ₂ ‖G(F(y)) - y‖₁ + μ (‖G(y) - y‖₁ + ‖F(x) - x‖₁),
        L_D = real(D_Y(y)) + fake(D_Y(y')) + real(D_X(x)) + fake(D_X(x')),

    all in the mean, over the numbers of an example too. y' and x' are G(x) and F(y), or what they
    were at earlier steps: each discriminator has a pool of `pool_size` past fakes (`exchange`),
    while the generators are always judged by what they make now. A pool is filled by the moves of
    the discriminators: in a simultaneous step by the very fakes that the generators are judged by.
    That step is the authors' order of play, for they show the discriminators the fakes from before
    the generators' move. Of several devices under `pmap` each has pools of its own.

    Nothing is halved here. The paper and the authors' PyTorch code halve L_D, and not L_{G,F}:
    `least_squares` halves both, so give it a generator's curve that is doubled.

    A batch is {"source": {field: ...}, "target": {field: ...}}, of any two numbers of examples. G
    and F are two `generator`s, of params {"translate": ..., "back": ...}; D_X and D_Y are two
    `discriminator`s, {"source": ..., "target": ...}, with the pools in their state under "pool".
    Cycle weights of 0, and curves that are 0, make the ablations of the paper's tables 4 and 5.

    Zhu et al. 2017, equations (1) to (3); the identity term is that of section 5.2.

    Raises:
        ValueError: what is given is no network or no loss, a weight is negative, or `pool_size` is
            no integer from 0 on.
    """

    generator: nn.Module
    discriminator: nn.Module
    loss: AdversarialLoss
    cycle_weight: float | tuple[float, float] = 10.0
    identity_weight: float = 0.0
    pool_size: int = 50
    field: str = "image"

    def __post_init__(self) -> None:
        check_networks(generator=self.generator, discriminator=self.discriminator)
        check_made(AdversarialLoss, "losses.least_squares()", OTHER_LOSSES, loss=self.loss)
        forward, backward = self._cycle_weights
        check_bound(NOT_NEGATIVE, cycle_weight=forward, identity_weight=self.identity_weight)
        check_bound(NOT_NEGATIVE, cycle_weight=backward)
        check_bound(AT_LEAST_0, pool_size=self.pool_size)

    def game(
        self, *, generator: Weights, discriminator: Weights, batch: Batch, key: KeyArray
    ) -> Outcome:
        """Play one round, for any step of `gan_jax.games`.

        Raises:
            ValueError: the batch lacks a domain or its field, its examples are no floating-point
                numbers or not of the generator's shape; the discriminator gives neither a number
                nor a map for each; the weights are another network's.
        """
        x, y = self._examples(batch)
        keys = jax.random.split(key, 8)
        fake_y, after = self._map("translate", generator, keys[0], x)
        fake_x, after = self._map("back", after, keys[1], y)
        check_shape(y, fake_y, self.field)
        cycled_x, after = self._map("back", after, keys[2], fake_y)
        cycled_y, after = self._map("translate", after, keys[3], fake_x)
        of_x, seen = self._judge("source", discriminator, keys[4], x, fake_x)
        of_y, seen = self._judge("target", seen, keys[5], y, fake_y)
        metrics = {
            "adversarial": mean_of(self.loss.generator, of_x.fresh, of_y.fresh),
            "forward_cycle": jnp.mean(distance(cycled_x, x)),
            "backward_cycle": jnp.mean(distance(cycled_y, y)),
        }
        forward, backward = self._cycle_weights
        loss = metrics["adversarial"]
        loss += forward * metrics["forward_cycle"] + backward * metrics["backward_cycle"]
        if self.identity_weight:
            same_y, after = self._map("translate", after, keys[6], y)
            same_x, after = self._map("back", after, keys[7], x)
            metrics["identity"] = jnp.mean(distance(same_y, y)) + jnp.mean(distance(same_x, x))
            loss += self.identity_weight * metrics["identity"]
        real, fake = (of_x.real, of_y.real), (of_x.past, of_y.past)
        judging = mean_of(self.loss.real, *real) + mean_of(self.loss.fake, *fake)
        said = {
            "real_logits": (jnp.mean(real[0]) + jnp.mean(real[1])) / 2,
            "fake_logits": (jnp.mean(fake[0]) + jnp.mean(fake[1])) / 2,
        }
        return Outcome(
            generator=PlayerOutcome(loss, after.state, metrics),
            discriminator=PlayerOutcome(judging, seen.state, said),
        )

    def init(self, key: KeyArray, batch: Batch, *, optimizers: Optimizers) -> GameState:
        """Draw the weights of all four networks, with empty pools. Of the batch shapes count, and
        what it holds, as for a `GAN`.

        Raises:
            ValueError: the batch lacks a domain or its field, or holds what is out of range; the
                domains' examples or what is made of them differ in shape; the discriminator gives
                neither a number nor a map for each.
        """
        for domain in DOMAINS:
            check_examples(
                take(batch, domain), self.field, output_bound(self.generator), "generator"
            )
        self._examples(batch)
        x, y = (blank(batch[domain], self.field) for domain in DOMAINS)
        check_domains(x, y)
        keys = iter(jax.random.split(key, 4))
        made = {name: start(self.generator, next(keys), x) for name in MAPS}
        check_shape(x, first(made["translate"][0]), self.field)
        judged = {name: start(self.discriminator, next(keys), x) for name in DOMAINS}
        check_logits(x, first(judged["source"][0]))
        discriminator = join({name: weights for name, (_, weights) in judged.items()})
        if self.pool_size:
            fake = at_least_float32(first(made["translate"][0]))[0]
            pools = {name: empty_pool(self.pool_size, fake) for name in DOMAINS}
            discriminator = discriminator.replace(state={**discriminator.state, "pool": pools})
        return games.init(
            generator=join({name: weights for name, (_, weights) in made.items()}),
            discriminator=discriminator,
            optimizers=optimizers,
        )

    def translate(
        self, weights: Weights, images: Float[Array, "num *shape"], key: KeyArray | None = None
    ) -> Float[Array, "num *shape"]:
        """G of examples of the source, by the generator's weights.

        Without a key the random streams of the network, if it has any, are always the same.
        """
        return first(infer(self.generator, part(weights, "translate"), images, key=key))

    def back(
        self, weights: Weights, images: Float[Array, "num *shape"], key: KeyArray | None = None
    ) -> Float[Array, "num *shape"]:
        """F of examples of the target; otherwise as `translate`."""
        return first(infer(self.generator, part(weights, "back"), images, key=key))

    @property
    def _cycle_weights(self) -> tuple[float, float]:
        """λ₁ and λ₂."""
        given = self.cycle_weight
        weights = given if isinstance(given, tuple) else (given, given)
        if len(weights) != 2:
            raise Refusal(
                f"cycle_weight is {given}; it must be one number, or (forward, backward)."
            )
        return weights

    def _examples(self, batch: Batch) -> tuple[Array, Array]:
        x, y = (take_floats(take(batch, domain), self.field) for domain in DOMAINS)
        return x, y

    def _map(self, name: str, weights: Weights, key: KeyArray, x: Array) -> tuple[Array, Weights]:
        made, after = of_part(train, name)(self.generator, weights, key, x)
        return at_least_float32(first(made)), after

    def _judge(
        self, name: str, weights: Weights, key: KeyArray, real: Array, fake: Array
    ) -> tuple[Judged, Weights]:
        """Judge one domain; give also the weights with the states and the pool that are left."""
        judge = of_part(train, name)
        keys = jax.random.split(key, 4)
        of_real, after = judge(self.discriminator, weights, keys[0], real)
        check_logits(real, first(of_real))
        fresh, seen = judge(self.discriminator, after, keys[1], fake)
        past = fresh
        if self.pool_size:
            pools = weights.state.get("pool")
            if pools is None:
                raise Refusal(
                    f"The discriminator's weights have no pool, and pool_size is {self.pool_size}: "
                    "give the pool_size that they were started with."
                )
            given, pool = exchange(keys[2], pools[name], fake)
            past, seen = judge(self.discriminator, after, keys[3], given)
            seen = seen.replace(state={**seen.state, "pool": {**pools, name: pool}})
        return Judged(logits(of_real), logits(fresh), logits(past)), seen


def mean_of(curve: Curve, *of_domains: Array) -> Scalar:
    """The sum over domains of the mean of a curve."""
    return sum((jnp.mean(curve(some)) for some in of_domains), jnp.zeros(()))
