"""The conditional variational autoencoder, for targets that a condition leaves open."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax import games, losses
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, Objective, PlayerOutcome, Weights
from gan_jax.losses import Likelihood
from gan_jax.systems.checks import check_floats, only_params
from gan_jax.systems.latents import (
    Gaussian,
    apply_to_vectors,
    check_counts,
    draw,
    log_density,
    read_gaussian,
    repeat,
)
from gan_jax.systems.vae import check_numbers
from gan_jax.typing import Batch, KeyArray


class CVAE(NamedTuple):
    """What the system offers. A batch is {"condition": x, "target": y}.

    objective: for `descent_step`.
    init(key, batch, *, optimizer) -> DescentState; of the batch only the shapes count.
    sample(key, state, condition, num_samples): means of p(y|x, z), z ~ p(z|x), (num_samples,
        batch, ...).
    predict(weights, condition): the mean of p(y|x, z) at z = E[z|x].
    prior(weights, condition) -> Gaussian: p(z|x); encode(weights, batch) -> Gaussian: q(z|x, y).
    log_weights(key, weights, batch, num_samples): log p(y, z|x) - log q(z|x, y), z ~ q, of shape
        (num_samples, batch): the importance-sampling estimate of log p(y|x).
    log_likelihoods(key, weights, batch, num_samples): log p(y|x, z), z ~ p(z|x), of the same shape:
        the Monte-Carlo estimate.
    """

    objective: Objective
    init: Callable[..., DescentState]
    sample: Callable[[KeyArray, DescentState, Array, int], Float[Array, "samples batch *shape"]]
    predict: Callable[[Weights, Array], Float[Array, "batch *shape"]]
    prior: Callable[[Weights, Array], Gaussian]
    encode: Callable[[Weights, Batch], Gaussian]
    log_weights: Callable[[KeyArray, Weights, Batch, int], Float[Array, "samples batch"]]
    log_likelihoods: Callable[[KeyArray, Weights, Batch, int], Float[Array, "samples batch"]]


def cvae(
    *,
    encoder: nn.Module,
    decoder: nn.Module,
    likelihood: Likelihood,
    latent_dim: int,
    prior: nn.Module | None = None,
    alpha: float = 1.0,
    num_samples: int = 1,
) -> CVAE:
    """Learn p(y|x) = ∫ p(y|x, z) p(z|x) dz of a target y, given a condition x.

    L_CVAE = E_q(z|x,y) log p(y|x, z) - KL(q(z|x, y) ‖ p(z|x)), with `prior` for p(z|x) (Sohn), or
    N(0, I) where there is none (Doersch). The Gaussian stochastic network trains as it predicts,
    L_GSNN = E_p(z|x) log p(y|x, z). The hybrid α L_CVAE + (1 - α) L_GSNN is maximised; α = 0 is
    the GSNN alone. Expectations are means over `num_samples` draws.

    Networks see flat vectors: the decoder (z, x), the encoder (x, y), the prior x alone; the
    encoder and the prior give means and log-variances of z. Params are {"encoder": ..., "decoder":
    ..., "prior": ...}, the last where there is one. Metrics: `elbo`, `log_likelihood`, `kl` where
    α > 0; `gsnn` where α < 1.

    Sohn, Lee & Yan 2015, section 4; Doersch 2016, section 3.

    Raises:
        ValueError: `latent_dim` or `num_samples` is below 1, or α outside [0, 1]; at the start: a
            network keeps batch statistics, or does not give 2·latent_dim numbers; when played: the
            batch holds other fields, no floating-point numbers, or targets unlike the decoder's.
    """
    check_counts(latent_dim=latent_dim, num_samples=num_samples)
    if not 0 <= alpha <= 1:
        raise Refusal(f"alpha is {alpha}; it must be in [0, 1].")

    def apply(network: nn.Module, weights: Weights, name: str, *vectors: Array) -> Any:
        """Run a network on vectors side by side, over any leading axes."""
        return apply_to_vectors(network, weights.params[name], jnp.concatenate(vectors, axis=-1))

    def prior_of(weights: Weights, condition: Array) -> Gaussian:
        if prior is None:
            zeros = jnp.zeros((len(condition), latent_dim))
            return Gaussian(zeros, zeros)
        return read_gaussian(apply(prior, weights, "prior", flat(condition)))

    def encode(weights: Weights, batch: Batch) -> Gaussian:
        condition, target = fields(batch)
        return read_gaussian(apply(encoder, weights, "encoder", flat(condition), flat(target)))

    def decode(weights: Weights, condition: Array, latents: Float[Array, "samples batch latents"]):
        beside = jnp.broadcast_to(flat(condition), (*latents.shape[:-1], condition[0].size))
        return apply(decoder, weights, "decoder", latents, beside)

    def terms(key, weights: Weights, batch: Batch, gaussian: Gaussian, num: int):
        """Latents from a Gaussian, and log p(y|x, z) at them, (num, batch)."""
        condition, target = fields(batch)
        latents = draw(key, repeat(gaussian, num))
        return latents, likelihood.log_prob(target, decode(weights, condition, latents))

    def log_weights(key: KeyArray, weights: Weights, batch: Batch, num_samples: int):
        posterior, before = encode(weights, batch), prior_of(weights, batch["condition"])
        key = jax.random.fold_in(key, 0)
        latents, log_likelihood = terms(key, weights, batch, posterior, num_samples)
        log_p, log_q = (log_density(latents, repeat(g, num_samples)) for g in (before, posterior))
        return log_likelihood + log_p - log_q

    def log_likelihoods(key: KeyArray, weights: Weights, batch: Batch, num_samples: int):
        key = jax.random.fold_in(key, 1)
        return terms(key, weights, batch, prior_of(weights, batch["condition"]), num_samples)[1]

    def objective(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        hybrid, metrics = jnp.zeros(()), {}
        if alpha > 0:
            metrics |= bound(key, weights, batch)
            hybrid += alpha * metrics["elbo"]
        if alpha < 1:
            metrics["gsnn"] = jnp.mean(log_likelihoods(key, weights, batch, num_samples))
            hybrid += (1 - alpha) * metrics["gsnn"]
        return PlayerOutcome(-hybrid, metrics=metrics)

    def bound(key: KeyArray, weights: Weights, batch: Batch) -> dict[str, Array]:
        posterior, before = encode(weights, batch), prior_of(weights, batch["condition"])
        key = jax.random.fold_in(key, 0)
        log_likelihood = jnp.mean(terms(key, weights, batch, posterior, num_samples)[1])
        kl = jnp.mean(losses.gaussian_kl(*posterior, *before))
        return {"elbo": losses.elbo(log_likelihood, kl), "log_likelihood": log_likelihood, "kl": kl}

    def init(key: KeyArray, batch: Batch, *, optimizer) -> DescentState:
        x, y = (jnp.zeros((1, array[0].size)) for array in fields(batch))
        z = jnp.zeros((1, latent_dim))
        inputs = {"encoder": (encoder, [x, y]), "decoder": (decoder, [z, x])}
        if prior is not None:
            inputs["prior"] = (prior, [x])
        params = {}
        for (name, (network, vectors)), key_network in zip(
            inputs.items(), jax.random.split(key, len(inputs)), strict=True
        ):
            vector = jnp.concatenate(vectors, axis=-1)
            outputs, variables = network.init_with_output(key_network, vector)
            if name != "decoder":
                check_numbers(outputs, latent_dim, name)
            params[name] = only_params(variables, name)
        return games.init_descent(weights=Weights(params=params), optimizer=optimizer)

    def sample(key: KeyArray, state: DescentState, condition: Array, num_samples: int):
        weights = state.player.weights
        latents = draw(key, repeat(prior_of(weights, condition), num_samples))
        return likelihood.mean(decode(weights, condition, latents))

    def predict(weights: Weights, condition: Array):
        latents = prior_of(weights, condition).mean[None]
        return likelihood.mean(decode(weights, condition, latents))[0]

    return CVAE(objective, init, sample, predict, prior_of, encode, log_weights, log_likelihoods)


def fields(batch: Batch) -> tuple[Array, Array]:
    """Take the condition and the target; raise ValueError where there is anything else."""
    if set(batch) != {"condition", "target"}:
        raise Refusal(
            f"The batch holds {', '.join(sorted(batch)) or 'nothing'}; a conditional VAE takes "
            "exactly `condition` and `target`."
        )
    for name, examples in batch.items():
        check_floats(examples, name)
    return batch["condition"], batch["target"]


def flat(examples: Array) -> Float[Array, "num numbers"]:
    return examples.reshape(len(examples), -1)
