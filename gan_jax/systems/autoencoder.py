"""The autoencoder: two networks that hand an example through a few numbers."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_jax import games
from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, PlayerOutcome, Weights
from gan_jax.losses.precision import at_least_float32
from gan_jax.systems.checks import (
    blank,
    check_examples,
    check_networks,
    check_shape,
    output_bound,
    take_floats,
)
from gan_jax.systems.latents import over_axes
from gan_jax.systems.networks import asked, first, fixed, infer, join, of_part, part, start, train
from gan_jax.typing import Batch, KeyArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Autoencoder:
    """Learn to reconstruct what the batch holds under `field` from `latent_dim` numbers.

    L = mean of ‖x - d(e(x))‖² over the batch. Linear networks find the subspace of the first
    principal components, and a loss that is the sum of the other eigenvalues of the covariance.

    Params are {"encoder": ..., "decoder": ...}. There is no `sample`: nothing is said of how codes
    are distributed.

    Bourlard & Kamp 1988; Hinton & Salakhutdinov 2006.

    Raises:
        ValueError: what is given is no network, or `latent_dim` is below 1.
    """

    encoder: nn.Module
    decoder: nn.Module
    latent_dim: int
    field: str = "image"

    def __post_init__(self) -> None:
        check_networks(encoder=self.encoder, decoder=self.decoder)
        check_bound(AT_LEAST_1, latent_dim=self.latent_dim)

    def init(
        self, key: KeyArray, batch: Batch, *, optimizer: optax.GradientTransformation
    ) -> DescentState:
        """Draw the weights. Of the batch shapes count, and what it holds, as for a `GAN`.

        Raises:
            ValueError: the batch lacks the field or is out of the decoder's range, the encoder does
                not give `latent_dim` numbers, or the decoder makes examples of another shape.
        """
        key_encoder, key_decoder = jax.random.split(key)
        check_examples(batch, self.field, output_bound(self.decoder), "decoder")
        x = blank(batch, self.field).astype(jnp.float32)
        codes, encoder = start(self.encoder, key_encoder, x)
        codes = first(codes)
        if codes.shape[1:] != (self.latent_dim,):
            raise Refusal(
                f"The encoder gives {codes.shape[1:]} numbers for each example; an autoencoder of "
                f"{self.latent_dim} latents needs {(self.latent_dim,)}."
            )
        made, decoder = start(self.decoder, key_decoder, codes)
        check_shape(x, first(made), self.field, "decoder")
        weights = join({"encoder": encoder, "decoder": decoder})
        return games.init_descent(weights=weights, optimizer=optimizer)

    def objective(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        """The mean squared distance of an example from its reconstruction, for `descent_step`."""
        key_encoder, key_decoder = jax.random.split(key)
        x = self._examples(weights, batch)
        encode, decode = of_part(train, "encoder"), of_part(train, "decoder")
        codes, weights = encode(self.encoder, weights, key_encoder, x)
        made, weights = decode(self.decoder, weights, key_decoder, first(codes))
        squares = jnp.square(x - at_least_float32(first(made))).reshape(len(x), -1)
        return PlayerOutcome(jnp.mean(jnp.sum(squares, axis=-1)), weights.state)

    def encode(
        self, weights: Weights, batch: Batch, *, key: KeyArray | None = None
    ) -> Float[Array, "batch latents"]:
        """The codes of the examples."""
        x = self._examples(weights, batch)
        return first(infer(self.encoder, part(weights, "encoder"), x, key=key))

    def decode(
        self,
        weights: Weights,
        codes: Float[Array, "*axes latents"],
        *,
        key: KeyArray | None = None,
    ) -> Float[Array, "..."]:
        """Examples from codes with any leading axes."""
        return over_axes(asked, self.decoder, part(weights, "decoder"), fixed(key), codes)[0]

    def _examples(self, weights: Weights, batch: Batch) -> Array:
        x = take_floats(batch, self.field)
        one = jnp.zeros((1, self.latent_dim))
        made = jax.eval_shape(lambda: self.decode(weights, one))
        check_shape(x, made, self.field, "decoder")
        return x
