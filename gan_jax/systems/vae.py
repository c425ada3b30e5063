"""The variational autoencoder: a decoder, and an encoder that infers its latents."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_jax import games, losses
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, Objective, PlayerOutcome, Weights
from gan_jax.losses import Likelihood
from gan_jax.systems.checks import decoded_field, only_field, only_params
from gan_jax.systems.latents import (
    Gaussian,
    apply_to_vectors,
    check_counts,
    draw,
    log_density,
    read_gaussian,
    repeat,
)
from gan_jax.typing import Batch, KeyArray


class Bound(NamedTuple):
    """The two terms of the evidence lower bound, for each example of the batch, in nats."""

    log_likelihood: Float[Array, " batch"]
    kl: Float[Array, " batch"]


class VAE(NamedTuple):
    """What the system offers.

    objective: for `descent_step`.
    init(key, *, optimizer) -> DescentState; sample(key, state, num): means of p(x|z), z ~ p(z).
    encode(weights, batch) -> Gaussian: q(z|x).
    decode(weights, latents): raw outputs, which the likelihood reads; latents (*axes, latent_dim).
    bound(key, weights, batch, posterior) -> Bound: with any Gaussian in place of q(z|x).
    log_weights(key, weights, batch, num_samples): log p(x, z) - log q(z|x), (num_samples, batch).
    """

    objective: Objective
    init: Callable[..., DescentState]
    sample: Callable[[KeyArray, DescentState, int], Float[Array, "num *shape"]]
    encode: Callable[[Weights, Batch], Gaussian]
    decode: Callable[[Weights, Float[Array, "*axes latents"]], Float[Array, "..."]]
    bound: Callable[[KeyArray, Weights, Batch, Gaussian], Bound]
    log_weights: Callable[[KeyArray, Weights, Batch, int], Float[Array, "samples batch"]]


def vae(
    *,
    encoder: nn.Module,
    decoder: nn.Module,
    likelihood: Likelihood,
    latent_dim: int,
    beta: float = 1.0,
    kl: Literal["closed", "sampled"] = "closed",
    num_samples: int = 1,
    field: str = "image",
) -> VAE:
    """Learn what the batch holds under `field` by maximising the evidence lower bound.

    L = E_q(z|x) log p(x|z) - β KL(q(z|x) ‖ p(z)), p(z) = N(0, I), to be maximised: the loss is the
    mean of -L over the batch. The encoder gives 2·latent_dim numbers, means and log-variances of
    q(z|x); the decoder raw outputs, which `likelihood` reads. Expectations are means over
    `num_samples` latents z = μ + σ ⊙ ε; with `kl="sampled"` so is the KL, of log q(z|x) - log p(z).
    β = 0 with a Gaussian of fixed variance is a noisy autoencoder.

    Params are {"encoder": ..., "decoder": ...}. Metrics: `elbo` (β = 1), `log_likelihood`, `kl`.

    Kingma & Welling 2014, equations (6) (sampled) and (7) (closed); Higgins et al. 2017 for β.

    Raises:
        ValueError: `latent_dim` or `num_samples` is below 1, β negative or not finite, `kl`
            unknown; at the start: a network keeps batch statistics, or the encoder does not give
            2·latent_dim numbers; when played: the batch is not one array of floating-point numbers
            that fit the decoder.
    """
    check_counts(latent_dim=latent_dim, num_samples=num_samples)
    if not 0 <= beta < float("inf"):
        raise Refusal(f"beta is {beta}; it must be finite, and not below 0.")
    if kl not in ("closed", "sampled"):
        raise Refusal(f'kl is "{kl}"; it must be "closed" or "sampled".')

    def examples(weights: Weights, batch: Batch) -> Array:
        latents = jnp.zeros((1, latent_dim))
        return decoded_field(batch, field, lambda: likelihood.mean(decode(weights, latents)))

    def encode(weights: Weights, batch: Batch) -> Gaussian:
        params = weights.params["encoder"]
        outputs: Any = encoder.apply({"params": params}, examples(weights, batch))
        return read_gaussian(outputs)

    def decode(weights: Weights, latents):
        return apply_to_vectors(decoder, weights.params["decoder"], latents)

    def terms(key, weights: Weights, batch: Batch, posterior: Gaussian, num: int):
        """log p(x|z) and log q(z|x) - log p(z), (num, batch)."""
        posterior = repeat(posterior, num)
        latents = draw(jax.random.fold_in(key, 0), posterior)
        log_likelihood = likelihood.log_prob(only_field(batch, field), decode(weights, latents))
        log_prior = losses.gaussian_log_density(latents)
        return log_likelihood, log_density(latents, posterior) - log_prior

    def bound(key: KeyArray, weights: Weights, batch: Batch, posterior: Gaussian) -> Bound:
        log_likelihood, log_ratio = terms(key, weights, batch, posterior, num_samples)
        divergence = (
            losses.gaussian_kl(*posterior) if kl == "closed" else jnp.mean(log_ratio, axis=0)
        )
        return Bound(jnp.mean(log_likelihood, axis=0), divergence)

    def log_weights(key: KeyArray, weights: Weights, batch: Batch, num_samples: int):
        log_likelihood, log_ratio = terms(key, weights, batch, encode(weights, batch), num_samples)
        return log_likelihood - log_ratio

    def objective(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        log_likelihood, divergence = map(
            jnp.mean, bound(key, weights, batch, encode(weights, batch))
        )
        metrics = {
            "elbo": losses.elbo(log_likelihood, divergence),
            "log_likelihood": log_likelihood,
            "kl": divergence,
        }
        return PlayerOutcome(-losses.elbo(log_likelihood, beta * divergence), metrics=metrics)

    def init(key: KeyArray, *, optimizer: optax.GradientTransformation) -> DescentState:
        key_encoder, key_decoder = jax.random.split(key)
        outputs, decoder_variables = decoder.init_with_output(
            key_decoder, jnp.zeros((1, latent_dim))
        )
        numbers, encoder_variables = encoder.init_with_output(key_encoder, likelihood.mean(outputs))
        check_numbers(numbers, latent_dim, "encoder")
        params = {
            "encoder": only_params(encoder_variables, "encoder"),
            "decoder": only_params(decoder_variables, "decoder"),
        }
        return games.init_descent(weights=Weights(params=params), optimizer=optimizer)

    def sample(key: KeyArray, state: DescentState, num: int) -> Float[Array, "num *shape"]:
        latents = jax.random.normal(key, (num, latent_dim))
        return likelihood.mean(decode(state.player.weights, latents))

    return VAE(objective, init, sample, encode, decode, bound, log_weights)


def check_numbers(numbers: Any, latent_dim: int, name: str) -> None:
    """Raise ValueError unless a network gives a mean and a log-variance for each latent."""
    if numbers.shape[1:] != (2 * latent_dim,):
        raise Refusal(
            f"The {name} gives {numbers.shape[1:]} numbers for each example; {latent_dim} latents "
            f"need {(2 * latent_dim,)}, their means and log-variances."
        )
