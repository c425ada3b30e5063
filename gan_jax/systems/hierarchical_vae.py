"""The variational autoencoder of several stochastic layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.random import fold_in
from jaxtyping import Array, Float

from gan_jax import games, losses
from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, PlayerOutcome, Weights
from gan_jax.losses import Likelihood
from gan_jax.systems.checks import (
    blank,
    check_examples,
    check_gaussian,
    check_made,
    check_networks,
    check_shape,
    take_floats,
)
from gan_jax.systems.latents import (
    Gaussian,
    ImportanceWeighted,
    draw,
    log_density,
    over_axes,
    read_gaussian,
    repeat,
)
from gan_jax.systems.networks import (
    Latents,
    Run,
    asked,
    first,
    fixed,
    join,
    normal,
    of_part,
    start,
)
from gan_jax.typing import Batch, KeyArray


@dataclass(frozen=True, kw_only=True, eq=False)
class HierarchicalVAE(ImportanceWeighted):
    """Learn what the batch holds under `field` with L layers of latents h₁ ... h_L.

    p(x, h) = p(x|h₁) p(h₁|h₂) ... p(h_L), p(h_L) = N(0, I), and q(h|x) = q(h₁|x) q(h₂|h₁) ...
    q(h_L|h_{L-1}): the evidence lower bound is E_q[log p(x, h) - log q(h|x)], the mean over
    `num_samples` draws. Networks are listed from the data upwards: `encoders[l]` gives means and
    log-variances of layer l + 1 from layer l, `decoders[l]` those of layer l from layer l + 1, and
    `decoders[0]` raw outputs, which `likelihood` reads. With one layer it is the VAE with
    `kl="sampled"`, number for number.

    Params are {"encoder_0": ..., "decoder_0": ..., "encoder_1": ..., ...}.

    Rezende, Mohamed & Wierstra 2014; Burda, Grosse & Salakhutdinov 2016, section 2.

    Raises:
        ValueError: what is given is no network or likelihood; there is no layer, a dimension or
            `num_samples` is below 1, or the lists differ in length.
    """

    encoders: Sequence[nn.Module]
    decoders: Sequence[nn.Module]
    likelihood: Likelihood
    latent_dims: Sequence[int]
    num_samples: int = 1
    field: str = "image"

    def __post_init__(self) -> None:
        if not len(self.encoders) == len(self.decoders) == len(self.latent_dims) >= 1:
            raise Refusal(
                f"There are {len(self.encoders)} encoders, {len(self.decoders)} decoders and "
                f"{len(self.latent_dims)} latent_dims; give one of each for every layer, and at "
                "least one layer."
            )
        for networks in (self.encoders, self.decoders):
            check_networks(**{f"network {i}": network for i, network in enumerate(networks)})
        check_made(Likelihood, "losses.bernoulli()", likelihood=self.likelihood)
        check_bound(AT_LEAST_1, num_samples=self.num_samples)
        for layer, dim in enumerate(self.latent_dims):
            check_bound(AT_LEAST_1, **{f"latent_dims[{layer}]": dim})

    def init(
        self, key: KeyArray, batch: Batch, *, optimizer: optax.GradientTransformation
    ) -> DescentState:
        """Draw the weights. Of the batch shapes count, and what it holds, as for a `GAN`.

        Raises:
            ValueError: the batch lacks the field or is out of the likelihood's range, or a network
                does not fit those beside it.
        """
        check_examples(batch, self.field, self.likelihood.support, "likelihood")
        x = below = blank(batch, self.field).astype(jnp.float32)
        networks = {}
        keys = jax.random.split(key, (len(self.latent_dims), 2))
        for layer, dim in enumerate(self.latent_dims):
            numbers, encoder = start(self.encoders[layer], keys[layer, 0], below)
            numbers = first(numbers)
            check_gaussian(numbers, dim, f"encoder of layer {layer}")
            above = read_gaussian(numbers).mean
            outputs, decoder = start(self.decoders[layer], keys[layer, 1], above)
            outputs = first(outputs)
            if layer:
                check_gaussian(outputs, below.shape[-1], f"decoder of layer {layer}")
            else:
                check_shape(x, self.likelihood.mean(outputs), self.field, "decoder")
            networks |= {f"encoder_{layer}": encoder, f"decoder_{layer}": decoder}
            below = above
        return games.init_descent(weights=join(networks), optimizer=optimizer)

    def objective(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        """The mean of minus the bound, for `descent_step`. Metric: `elbo`."""
        log_weights, after = self.trained_log_weights(key, weights, batch, self.num_samples)
        elbo = jnp.mean(log_weights)
        return PlayerOutcome(-elbo, after.state, {"elbo": elbo})

    def sample(self, key: KeyArray, weights: Weights, num: int) -> Float[Array, "num *shape"]:
        """Means of p(x|h₁), with all h drawn from the top."""
        check_bound(AT_LEAST_1, num=num)
        key_latents, key_decoders = jax.random.split(key)
        top = len(self.decoders) - 1
        latents = jax.random.normal(fold_in(key_latents, top), (num, self.latent_dims[top]))
        for layer in range(top, 0, -1):
            outputs, _ = self._decode(asked, key_decoders, weights, layer, latents)
            latents = draw(fold_in(key_latents, layer - 1), read_gaussian(outputs))
        outputs, _ = self._decode(asked, key_decoders, weights, 0, latents)
        return self.likelihood.mean(outputs)

    @property
    def latents(self) -> Latents:
        """p(h_L) = N(0, I)."""
        return normal(self.latent_dims[-1])

    def generate(
        self,
        weights: Weights,
        latents: Float[Array, "num latents"],
        *,
        key: KeyArray | None = None,
    ) -> Float[Array, "num *shape"]:
        """Means of p(x|h₁) at these h_L, every layer below taking its mean given the one above."""
        for layer in range(len(self.decoders) - 1, 0, -1):
            outputs, _ = self._decode(asked, fixed(key), weights, layer, latents)
            latents = read_gaussian(outputs).mean
        outputs, _ = self._decode(asked, fixed(key), weights, 0, latents)
        return self.likelihood.mean(outputs)

    def encode(
        self, weights: Weights, batch: Batch, *, key: KeyArray | None = None
    ) -> list[Gaussian]:
        """One Gaussian for each layer: q(h₁|x), and q(h_{l+1}|h_l) at a draw of h_l."""
        key_encoders, key_latents, _ = keys_of(fixed(key))
        gaussians, _, _ = self._infer(asked, key_encoders, key_latents, weights, batch, 1)
        return [Gaussian(*(a[0] for a in gaussian)) for gaussian in gaussians]

    def _log_weights(self, run: Run, key: KeyArray, weights: Weights, batch: Batch, num: int):
        key_encoders, key_latents, key_decoders = keys_of(key)
        gaussians, latents, weights = self._infer(
            run, key_encoders, key_latents, weights, batch, num
        )
        outputs, weights = self._decode(run, key_decoders, weights, 0, latents[0])
        log_p = self.likelihood.log_prob(take_floats(batch, self.field), outputs)
        for layer in range(1, len(self.decoders)):
            outputs, weights = self._decode(run, key_decoders, weights, layer, latents[layer])
            log_p += log_density(latents[layer - 1], read_gaussian(outputs))
        log_q = sum(map(log_density, latents, gaussians))
        return log_p - (log_q - losses.gaussian_log_density(latents[-1])), weights

    def _infer(
        self,
        run: Run,
        key_encoders: KeyArray,
        key_latents: KeyArray,
        weights: Weights,
        batch: Batch,
        num: int,
    ) -> tuple[list[Gaussian], list[Array], Weights]:
        """Draw h from q(h|x): each layer's Gaussian and latents, (num, batch, dim)."""
        x = take_floats(batch, self.field)
        above = jnp.zeros((1, self.latent_dims[0]))
        outputs = jax.eval_shape(lambda: self._decode(asked, key_encoders, weights, 0, above)[0])
        made = jax.eval_shape(self.likelihood.mean, outputs)
        check_shape(x, made, self.field, "decoder")
        gaussians, latents = [], []
        for layer, encoder in enumerate(self.encoders):
            run_encoder, key = of_part(run, f"encoder_{layer}"), fold_in(key_encoders, layer)
            if layer == 0:
                numbers, weights = run_encoder(encoder, weights, key, x)
                gaussians.append(repeat(read_gaussian(first(numbers)), num))
            else:
                numbers, weights = over_axes(run_encoder, encoder, weights, key, latents[-1])
                gaussians.append(read_gaussian(numbers))
            latents.append(draw(fold_in(key_latents, layer), gaussians[-1]))
        return gaussians, latents, weights

    def _decode(self, run: Run, key: KeyArray, weights: Weights, layer: int, latents: Array):
        """What the decoder of a layer says of the layer below it, and the weights after it."""
        run_decoder = of_part(run, f"decoder_{layer}")
        return over_axes(run_decoder, self.decoders[layer], weights, fold_in(key, layer), latents)


def keys_of(key: KeyArray) -> tuple[KeyArray, KeyArray, KeyArray]:
    """For the encoders, the latents and the decoders; a VAE draws its latents by the same."""
    key_encoders, key_bound = jax.random.split(key)
    key_latents, key_decoders = jax.random.split(key_bound)
    return key_encoders, key_latents, key_decoders
