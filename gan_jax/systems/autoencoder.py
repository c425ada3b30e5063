"""The autoencoder: two networks that hand an example through a few numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_jax import games
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, Objective, PlayerOutcome, Weights
from gan_jax.losses.precision import at_least_float32
from gan_jax.systems.checks import decoded_field, only_field, only_params
from gan_jax.systems.latents import apply_to_vectors, check_counts
from gan_jax.typing import Batch, KeyArray


class Autoencoder(NamedTuple):
    """What the system offers.

    objective: for `descent_step`.
    init(key, *, optimizer) -> DescentState.
    encode(weights, batch): codes (batch, latent_dim); decode(weights, codes): examples, of codes
        with any leading axes.
    """

    objective: Objective
    init: Callable[..., DescentState]
    encode: Callable[[Weights, Batch], Float[Array, "batch latents"]]
    decode: Callable[[Weights, Float[Array, "*axes latents"]], Float[Array, "..."]]


def autoencoder(
    *, encoder: nn.Module, decoder: nn.Module, latent_dim: int, field: str = "image"
) -> Autoencoder:
    """Learn to reconstruct what the batch holds under `field` from `latent_dim` numbers.

    L = mean of ‖x - d(e(x))‖² over the batch. Linear networks find the subspace of the first
    principal components, and a loss that is the sum of the other eigenvalues of the covariance.

    Params are {"encoder": ..., "decoder": ...}. There is no `sample`: nothing is said of how codes
    are distributed.

    Bourlard & Kamp 1988; Hinton & Salakhutdinov 2006.

    Raises:
        ValueError: `latent_dim` is below 1; at the start: a network keeps batch statistics, or the
            encoder does not give `latent_dim` numbers; when played: the batch is not one array of
            floating-point examples like the decoder's.
    """
    check_counts(latent_dim=latent_dim)

    def encode(weights: Weights, batch: Batch) -> Float[Array, "batch latents"]:
        one = jnp.zeros((1, latent_dim))
        x = decoded_field(batch, field, lambda: decode(weights, one))
        codes: Any = encoder.apply({"params": weights.params["encoder"]}, x)
        return codes

    def decode(weights: Weights, codes):
        return apply_to_vectors(decoder, weights.params["decoder"], codes)

    def objective(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        x = only_field(batch, field)
        reconstructed = at_least_float32(decode(weights, encode(weights, batch)))
        squares = jnp.square(x - reconstructed).reshape(len(x), -1)
        return PlayerOutcome(jnp.mean(jnp.sum(squares, axis=-1)))

    def init(key: KeyArray, *, optimizer: optax.GradientTransformation) -> DescentState:
        key_encoder, key_decoder = jax.random.split(key)
        x, decoder_variables = decoder.init_with_output(key_decoder, jnp.zeros((1, latent_dim)))
        codes, encoder_variables = encoder.init_with_output(key_encoder, x)
        if codes.shape[1:] != (latent_dim,):
            raise Refusal(
                f"The encoder gives {codes.shape[1:]} numbers for each example; an autoencoder of "
                f"{latent_dim} latents needs {(latent_dim,)}."
            )
        params = {
            "encoder": only_params(encoder_variables, "encoder"),
            "decoder": only_params(decoder_variables, "decoder"),
        }
        return games.init_descent(weights=Weights(params=params), optimizer=optimizer)

    return Autoencoder(objective, init, encode, decode)
