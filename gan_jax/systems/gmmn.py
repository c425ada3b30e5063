"""The generative moment matching network: one player, who makes two samples agree in moments."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import optax
from jaxtyping import Array, Float

from gan_jax import games, losses
from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.games import DescentState, PlayerOutcome, Weights
from gan_jax.losses.matching import Kernel
from gan_jax.systems.checks import (
    check_examples,
    check_networks,
    check_shape,
    output_bound,
    take,
    take_floats,
)
from gan_jax.systems.networks import Latents, check_latents, first, infer, start, train
from gan_jax.typing import Batch, KeyArray


@dataclass(frozen=True, kw_only=True, eq=False)
class GMMN:
    """Let `generator` minimise √MMD² to what the batch holds under `field`, example by example.

    L = √(E k(x, x') - 2 E k(x, G(z)) + E k(G(z), G(z'))), biased, over the batch and as many
    generated examples; the paper's latents are `networks.uniform(...)`. It is no mean over
    examples: under `pmap` each device compares its own share alone. Memory as in `losses.mmd2`.

    Li, Swersky & Zemel 2015.

    Raises:
        ValueError: what is given is no network or latents, or `chunk_size` is below 1.
    """

    generator: nn.Module
    kernel: Kernel
    latents: Latents
    field: str = "image"
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        check_networks(generator=self.generator)
        check_latents(self.latents)
        if self.chunk_size is not None:
            check_bound(AT_LEAST_1, chunk_size=self.chunk_size)

    def init(
        self, key: KeyArray, batch: Batch, *, optimizer: optax.GradientTransformation
    ) -> DescentState:
        """Draw the weights. Of the batch shapes count, and what it holds, as for a `GAN`.

        Raises:
            ValueError: the batch lacks the field or is out of range, or the generator makes another
                shape.
        """
        check_examples(batch, self.field, output_bound(self.generator), "generator")
        key_latents, key_generator = jax.random.split(key)
        made, weights = start(self.generator, key_generator, self.latents(key_latents, 1))
        check_shape(take(batch, self.field), first(made), self.field)
        return games.init_descent(weights=weights, optimizer=optimizer)

    def objective(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        """√MMD² of the batch and as many generated examples, for `descent_step`."""
        key_latents, key_generator = jax.random.split(key)
        real = take_floats(batch, self.field)
        latents = self.latents(key_latents, len(real))
        generated, after = train(self.generator, weights, key_generator, latents)
        generated = first(generated)
        check_shape(real, generated, self.field)
        real, generated = (x.reshape(len(x), -1) for x in (real, generated))
        discrepancy = losses.gmmn(generated, real, self.kernel, chunk_size=self.chunk_size)
        return PlayerOutcome(discrepancy, after.state)

    def sample(self, key: KeyArray, weights: Weights, num: int) -> Float[Array, "num *shape"]:
        """Draw that many examples."""
        check_bound(AT_LEAST_1, num=num)
        key_latents, key_generator = jax.random.split(key)
        return self.generate(weights, self.latents(key_latents, num), key=key_generator)

    def generate(
        self, weights: Weights, latents: Array, *, key: KeyArray | None = None
    ) -> Float[Array, "num *shape"]:
        """What the generator makes of these latents."""
        return first(infer(self.generator, weights, latents, key=key))
