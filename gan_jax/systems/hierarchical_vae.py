"""The variational autoencoder of several stochastic layers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_jax import games, losses
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, Objective, PlayerOutcome, Weights
from gan_jax.losses import Likelihood
from gan_jax.systems.checks import decoded_field, only_params
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


class HierarchicalVAE(NamedTuple):
    """What the system offers.

    objective: for `descent_step`.
    init(key, *, optimizer) -> DescentState; sample(key, state, num): means of p(x|h₁), h drawn.
    encode(key, weights, batch) -> one Gaussian for each layer: q(h₁|x), and q(h_{l+1}|h_l) at a
        draw of h_l.
    log_weights(key, weights, batch, num_samples): log p(x, h) - log q(h|x), (num_samples, batch).
    """

    objective: Objective
    init: Callable[..., DescentState]
    sample: Callable[[KeyArray, DescentState, int], Float[Array, "num *shape"]]
    encode: Callable[[KeyArray, Weights, Batch], list[Gaussian]]
    log_weights: Callable[[KeyArray, Weights, Batch, int], Float[Array, "samples batch"]]


def hierarchical_vae(
    *,
    encoders: Sequence[nn.Module],
    decoders: Sequence[nn.Module],
    likelihood: Likelihood,
    latent_dims: Sequence[int],
    num_samples: int = 1,
    field: str = "image",
) -> HierarchicalVAE:
    """Learn what the batch holds under `field` with L layers of latents h₁ ... h_L.

    p(x, h) = p(x|h₁) p(h₁|h₂) ... p(h_L), p(h_L) = N(0, I), and q(h|x) = q(h₁|x) q(h₂|h₁) ...
    q(h_L|h_{L-1}): the evidence lower bound is E_q[log p(x, h) - log q(h|x)], the mean over
    `num_samples` draws. Networks are listed from the data upwards: `encoders[l]` gives means and
    log-variances of layer l + 1 from layer l, `decoders[l]` those of layer l from layer l + 1, and
    `decoders[0]` raw outputs, which `likelihood` reads. With one layer it is the VAE with
    `kl="sampled"`, number for number.

    Params are {"encoders": [...], "decoders": [...]}. Metric: `elbo`.

    Rezende, Mohamed & Wierstra 2014; Burda, Grosse & Salakhutdinov 2016, section 2.

    Raises:
        ValueError: there is no layer, a dimension or `num_samples` is below 1, or the lists differ
            in length; at the start and when played: as `vae`.
    """
    if not len(encoders) == len(decoders) == len(latent_dims) >= 1:
        raise Refusal(
            f"There are {len(encoders)} encoders, {len(decoders)} decoders and {len(latent_dims)} "
            "latent_dims; give one of each for every layer, and at least one layer."
        )
    check_counts(num_samples=num_samples)
    for layer, dim in enumerate(latent_dims):
        check_counts(**{f"latent_dims[{layer}]": dim})

    def infer(key, weights: Weights, batch: Batch, num: int):
        """Draw h from q(h|x): each layer's Gaussian and latents, (num, batch, dim)."""
        above = jnp.zeros((1, latent_dims[0]))
        x = decoded_field(batch, field, lambda: likelihood.mean(generate(weights, 0, above)))
        params = weights.params["encoders"]
        outputs: Any = encoders[0].apply({"params": params[0]}, x)
        gaussians = [repeat(read_gaussian(outputs), num)]
        latents = [draw(jax.random.fold_in(key, 0), gaussians[0])]
        for layer in range(1, len(encoders)):
            outputs = apply_to_vectors(encoders[layer], params[layer], latents[-1])
            gaussians.append(read_gaussian(outputs))
            latents.append(draw(jax.random.fold_in(key, layer), gaussians[-1]))
        return x, gaussians, latents

    def encode(key: KeyArray, weights: Weights, batch: Batch) -> list[Gaussian]:
        _, gaussians, _ = infer(key, weights, batch, 1)
        return [Gaussian(*(a[0] for a in gaussian)) for gaussian in gaussians]

    def generate(weights: Weights, layer: int, latents):
        """What the decoder of a layer says of the layer below it."""
        return apply_to_vectors(decoders[layer], weights.params["decoders"][layer], latents)

    def log_weights(key: KeyArray, weights: Weights, batch: Batch, num_samples: int):
        x, gaussians, latents = infer(key, weights, batch, num_samples)
        log_p = likelihood.log_prob(x, generate(weights, 0, latents[0]))
        for layer in range(1, len(decoders)):
            conditional = read_gaussian(generate(weights, layer, latents[layer]))
            log_p += log_density(latents[layer - 1], conditional)
        log_q = sum(map(log_density, latents, gaussians))
        return log_p - (log_q - losses.gaussian_log_density(latents[-1]))

    def objective(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        elbo = jnp.mean(log_weights(key, weights, batch, num_samples))
        return PlayerOutcome(-elbo, metrics={"elbo": elbo})

    def init(key: KeyArray, *, optimizer: optax.GradientTransformation) -> DescentState:
        keys = jax.random.split(key, (len(latent_dims), 2))
        params: dict[str, list] = {"encoders": [], "decoders": []}
        for layer, dim in enumerate(latent_dims):
            decoder, encoder = f"decoder of layer {layer}", f"encoder of layer {layer}"
            key_encoder, key_decoder = keys[layer]
            above = jnp.zeros((1, dim))
            outputs, variables = decoders[layer].init_with_output(key_decoder, above)
            params["decoders"].append(only_params(variables, decoder))
            if layer == 0:
                below = likelihood.mean(outputs)
            else:
                check_numbers(outputs, latent_dims[layer - 1], decoder)
                below = read_gaussian(outputs).mean
            numbers, variables = encoders[layer].init_with_output(key_encoder, below)
            params["encoders"].append(only_params(variables, encoder))
            check_numbers(numbers, dim, encoder)
        return games.init_descent(weights=Weights(params=params), optimizer=optimizer)

    def sample(key: KeyArray, state: DescentState, num: int) -> Float[Array, "num *shape"]:
        weights = state.player.weights
        keys = jax.random.split(key, len(decoders))
        latents = jax.random.normal(keys[-1], (num, latent_dims[-1]))
        for layer in reversed(range(1, len(decoders))):
            latents = draw(keys[layer - 1], read_gaussian(generate(weights, layer, latents)))
        return likelihood.mean(generate(weights, 0, latents))

    return HierarchicalVAE(objective, init, sample, encode, log_weights)
