"""The unconditional GAN: two networks and a loss become a game, its start and its sampler."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax import games
from gan_jax.errors import Refusal
from gan_jax.games import Game, GameState, Optimizers, Outcome, PlayerOutcome, Weights
from gan_jax.losses import AdversarialLoss
from gan_jax.losses.penalties import Critic
from gan_jax.losses.precision import at_least_float32
from gan_jax.systems.checks import check_examples, only_field
from gan_jax.typing import Batch, KeyArray

Penalty: TypeAlias = Callable[[Critic, Array, Array, KeyArray], Float[Array, " num"]]


class GAN(NamedTuple):
    """What a system offers: the game, how it starts, what its generator makes.

    `init(key, *, optimizers) -> GameState` draws both players' weights.
    `sample(key, state, num)` draws latents and returns that many examples, batch normalisation
    with its running statistics.
    """

    game: Game
    init: Callable[..., GameState]
    sample: Callable[[KeyArray, GameState, int], Float[Array, "num *shape"]]


def gan(
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    loss: AdversarialLoss,
    latent_dim: int,
    prior: Literal["normal", "uniform"] = "normal",
    field: str = "image",
    penalty: Penalty | None = None,
    packing: int = 1,
) -> GAN:
    """Let `generator` learn to make what the batch holds under `field`.

    L_D = mean real(D(x)) + mean fake(D(G(z))),  L_G = mean generator(D(G(z))), with the three
    curves of `loss` and as many fakes as there are real examples. Latents z come from N(0, I) or
    from the uniform distribution on [-1, 1]^latent_dim. The discriminator sees real and fake
    examples in separate batches, so batch normalisation has statistics for each; its running
    averages take both, real first. Both networks are called as `network(x, train=...)`: `True` when
    played, their default when `sample` draws.

    `penalty(critic, real, fake, key)` gives one number per example, whose mean is added to L_D, its
    weight included: `lambda *at: 10 * gradient_penalty(*at)`. Give such a critic no batch
    normalisation and no minibatch discrimination: they mix the gradients of a batch's examples.

    With `packing` m the discriminator judges m examples at once, joined along their last axis: B
    examples make B/m packs, so that give batches of m·B for B logits (PacGAN). Its penalty is on
    packs.

    Goodfellow et al. 2014, equation (1) and Algorithm 1; Lin et al. 2018, section 2.

    Raises:
        ValueError: `latent_dim` or `packing` is below 1 or `prior` unknown; when played: the batch
            is not exactly one array of floating-point examples shaped like the generator's, or does
            not divide into packs.
    """
    if latent_dim < 1:
        raise Refusal(f"latent_dim is {latent_dim}; a generator needs at least 1 latent.")
    if packing < 1:
        raise Refusal(f"packing is {packing}; a pack needs at least 1 example.")
    if prior not in ("normal", "uniform"):
        raise Refusal(f'prior is "{prior}"; it must be "normal" or "uniform".')

    def latents(key: KeyArray, num: int) -> Float[Array, "num latent_dim"]:
        if prior == "normal":
            return jax.random.normal(key, (num, latent_dim))
        return jax.random.uniform(key, (num, latent_dim), minval=-1.0)

    def game(*, generator: Weights, discriminator: Weights, batch: Batch, key: KeyArray) -> Outcome:
        real = only_field(batch, field)
        key_latents, key_generator, key_real, key_fake, key_penalty = jax.random.split(key, 5)
        fake, generator_state = generate(
            generator, latents(key_latents, real.shape[0]), key_generator
        )
        check_examples(real, fake, field)
        real, fake = pack(real, packing), pack(fake, packing)
        real_logits, discriminator_state = discriminate(discriminator, real, key_real)
        discriminator = discriminator.replace(state=discriminator_state)
        fake_logits, discriminator_state = discriminate(discriminator, fake, key_fake)
        real_logits, fake_logits = at_least_float32(real_logits), at_least_float32(fake_logits)
        discriminator_loss = jnp.mean(loss.real(real_logits)) + jnp.mean(loss.fake(fake_logits))
        metrics = {"real_logits": jnp.mean(real_logits), "fake_logits": jnp.mean(fake_logits)}
        if penalty is not None:

            def critic(x):
                return at_least_float32(discriminate(discriminator, x, key_fake)[0])

            metrics["penalty"] = jnp.mean(penalty(critic, real, fake, key_penalty))
            discriminator_loss += metrics["penalty"]
        return Outcome(
            generator=PlayerOutcome(jnp.mean(loss.generator(fake_logits)), generator_state),
            discriminator=PlayerOutcome(discriminator_loss, discriminator_state, metrics),
        )

    generate = _trained(generator)
    discriminate = _trained(discriminator)

    def init(key: KeyArray, *, optimizers: Optimizers) -> GameState:
        key_generator, key_discriminator = jax.random.split(key)
        z = jnp.zeros((packing, latent_dim))
        fake, generator_variables = generator.init_with_output(key_generator, z)
        discriminator_variables = discriminator.init(key_discriminator, pack(fake, packing))
        return games.init(
            generator=_weights(generator_variables),
            discriminator=_weights(discriminator_variables),
            optimizers=optimizers,
        )

    def sample(key: KeyArray, state: GameState, num: int) -> Float[Array, "num *shape"]:
        weights = state.generator.weights
        variables = {"params": weights.params, **weights.state}
        examples: Any = generator.apply(variables, latents(key, num))
        return examples

    return GAN(game=game, init=init, sample=sample)


def _weights(variables) -> Weights:
    params = variables["params"]
    return Weights(params=params, state={k: v for k, v in variables.items() if k != "params"})


def _trained(network: nn.Module):
    """Make (weights, x, key) -> (output, next state) of a network that is being trained."""

    def apply(weights: Weights, x, key: KeyArray):
        return network.apply(
            {"params": weights.params, **weights.state},
            x,
            train=True,
            mutable=list(weights.state),
            rngs={"dropout": key},
        )

    return apply


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
