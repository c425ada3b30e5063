"""The generative moment matching network: one player, who makes two samples agree in moments."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_jax import games, losses
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, Objective, PlayerOutcome, Weights
from gan_jax.losses.matching import Kernel
from gan_jax.systems.checks import check_examples, only_field, only_params
from gan_jax.typing import Batch, KeyArray


class GMMN(NamedTuple):
    """What the system offers: the objective for `descent_step`, its start and its sampler.

    `init(key, *, optimizer) -> DescentState`; `sample(key, state, num)` returns examples.
    """

    objective: Objective
    init: Callable[..., DescentState]
    sample: Callable[[KeyArray, DescentState, int], Float[Array, "num *shape"]]


def gmmn(
    *,
    generator: nn.Module,
    kernel: Kernel,
    latent_dim: int,
    field: str = "image",
    chunk_size: int | None = None,
) -> GMMN:
    """Let `generator` minimise √MMD² to what the batch holds under `field`, example by example.

    L = √(E k(x, x') - 2 E k(x, G(z)) + E k(G(z), G(z'))), biased, over the batch and as many
    generated examples, with latents z uniform on [-1, 1]^latent_dim. It is no mean over examples:
    under `pmap` each device compares its own share alone. Memory as in `losses.mmd2`.

    Li, Swersky & Zemel 2015.

    Raises:
        ValueError: `latent_dim` is below 1; at the start: the generator keeps batch statistics;
            when played: the batch is not one array of floating-point examples like the generator's.
    """
    if latent_dim < 1:
        raise Refusal(f"latent_dim is {latent_dim}; a generator needs at least 1 latent.")

    def generate(weights: Weights, key: KeyArray, num: int) -> Float[Array, "num *shape"]:
        latents = jax.random.uniform(key, (num, latent_dim), minval=-1.0)
        examples: Any = generator.apply({"params": weights.params}, latents)
        return examples

    def objective(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        real = only_field(batch, field)
        generated = generate(weights, key, len(real))
        check_examples(real, generated, field)
        real, generated = (x.reshape(len(x), -1) for x in (real, generated))
        return PlayerOutcome(losses.gmmn(generated, real, kernel, chunk_size=chunk_size))

    def init(key: KeyArray, *, optimizer: optax.GradientTransformation) -> DescentState:
        variables = generator.init(key, jnp.zeros((1, latent_dim)))
        weights = Weights(params=only_params(variables, "generator"))
        return games.init_descent(weights=weights, optimizer=optimizer)

    def sample(key: KeyArray, state: DescentState, num: int) -> Float[Array, "num *shape"]:
        return generate(state.player.weights, key, num)

    return GMMN(objective=objective, init=init, sample=sample)
