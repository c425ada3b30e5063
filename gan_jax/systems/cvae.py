"""The conditional variational autoencoder, for targets that a condition leaves open."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_jax import games, losses
from gan_jax.checks import AT_LEAST_1, SHARE, check_bound
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
    train,
)
from gan_jax.typing import Batch, KeyArray

FROM_POSTERIOR, FROM_PRIOR = 0, 1
"""Which Gaussian latents are drawn from, and so by which key."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CVAE(ImportanceWeighted):
    """Learn p(y|x) = ∫ p(y|x, z) p(z|x) dz of a target y, given a condition x.

    L_CVAE = E_q(z|x,y) log p(y|x, z) - KL(q(z|x, y) ‖ p(z|x)), with `prior` for p(z|x) (Sohn), or
    N(0, I) where there is none (Doersch). The Gaussian stochastic network trains as it predicts,
    L_GSNN = E_p(z|x) log p(y|x, z). The hybrid α L_CVAE + (1 - α) L_GSNN is maximised; α = 0 is
    the GSNN alone. Expectations are means over `num_samples` draws.

    A batch holds the condition and the target under the two names `condition` and `target`.
    Networks see flat vectors: the decoder (z, x), the encoder (x, y), the prior x alone; the
    encoder and the prior give means and log-variances of z. Params are {"encoder": ..., "decoder":
    ..., "prior": ...}, the last where there is one.

    Sohn, Lee & Yan 2015, section 4; Doersch 2016, section 3.

    Raises:
        ValueError: what is given is no network or likelihood; `latent_dim` or `num_samples` is
            below 1, or α outside [0, 1].
    """

    encoder: nn.Module
    decoder: nn.Module
    likelihood: Likelihood
    latent_dim: int
    prior: nn.Module | None = None
    alpha: float = 1.0
    num_samples: int = 1
    condition: str = "condition"
    target: str = "target"

    def __post_init__(self) -> None:
        check_networks(encoder=self.encoder, decoder=self.decoder)
        if self.prior is not None:
            check_networks(prior=self.prior)
        check_made(Likelihood, "losses.bernoulli()", likelihood=self.likelihood)
        check_bound(AT_LEAST_1, latent_dim=self.latent_dim, num_samples=self.num_samples)
        check_bound(SHARE, alpha=self.alpha)

    def init(
        self, key: KeyArray, batch: Batch, *, optimizer: optax.GradientTransformation
    ) -> DescentState:
        """Draw the weights. Of the batch shapes count, and what it holds, as for a `GAN`.

        Raises:
            ValueError: the batch lacks a field or is out of the likelihood's range, the encoder or
                the prior does not give 2·latent_dim numbers, or the decoder makes targets of
                another shape.
        """
        check_examples(batch, self.condition, None)
        check_examples(batch, self.target, self.likelihood.support, "likelihood")
        target = blank(batch, self.target)
        x, y = (flat(examples.astype(float)) for examples in (blank(batch, self.condition), target))
        keys = jax.random.split(key, 3)
        numbers, encoder = start(self.encoder, keys[0], beside(x, y))
        check_gaussian(first(numbers), self.latent_dim, "encoder")
        outputs, decoder = start(self.decoder, keys[1], beside(jnp.zeros((1, self.latent_dim)), x))
        check_shape(target, self.likelihood.mean(first(outputs)), self.target, "decoder")
        networks = {"encoder": encoder, "decoder": decoder}
        if self.prior is not None:
            numbers, networks["prior"] = start(self.prior, keys[2], x)
            check_gaussian(first(numbers), self.latent_dim, "prior")
        return games.init_descent(weights=join(networks), optimizer=optimizer)

    def objective(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        """Minus the hybrid, for `descent_step`.

        Metrics: `elbo`, `log_likelihood`, `kl` where α > 0; `gsnn` where α < 1.
        """
        hybrid, metrics = jnp.zeros(()), {}
        if self.alpha > 0:
            terms, weights = self._bound(key, weights, batch)
            metrics |= terms
            hybrid += self.alpha * terms["elbo"]
        if self.alpha < 1:
            key_gsnn = jax.random.fold_in(key, 2)  # the bound's come from split, hence 0 and 1
            log_likelihoods, weights = self._log_likelihoods(
                train, key_gsnn, weights, batch, self.num_samples
            )
            metrics["gsnn"] = jnp.mean(log_likelihoods)
            hybrid += (1 - self.alpha) * metrics["gsnn"]
        return PlayerOutcome(-hybrid, weights.state, metrics)

    def sample(
        self, key: KeyArray, weights: Weights, num: int, condition: Array
    ) -> Float[Array, "num batch *shape"]:
        """Means of p(y|x, z), `num` of them for each condition, z ~ p(z|x)."""
        check_bound(AT_LEAST_1, num=num)
        key_prior, key_latents, key_decoder = jax.random.split(key, 3)
        before, _ = self._prior(asked, key_prior, weights, condition)
        latents = draw(key_latents, repeat(before, num))
        outputs, _ = self._decode(asked, key_decoder, weights, condition, latents)
        return self.likelihood.mean(outputs)

    @property
    def latents(self) -> Latents:
        """N(0, I), of which p(z|x) is made."""
        return normal(self.latent_dim)

    def generate(
        self,
        weights: Weights,
        latents: Float[Array, "num latents"],
        condition: Array,
        *,
        key: KeyArray | None = None,
    ) -> Float[Array, "num *shape"]:
        """Means of p(y|x, z) at z = μ(x) + σ(x) ε, where p(z|x) = N(μ(x), σ²(x)), at these ε."""
        key_prior, key_decoder = jax.random.split(fixed(key))
        before, _ = self._prior(asked, key_prior, weights, condition)
        at = before.mean + jnp.exp(before.log_variance / 2) * latents
        outputs, _ = self._decode(asked, key_decoder, weights, condition, at[None])
        return self.likelihood.mean(outputs)[0]

    def predict(
        self, weights: Weights, condition: Array, *, key: KeyArray | None = None
    ) -> Float[Array, "batch *shape"]:
        """The mean of p(y|x, z) at z = E[z|x]."""
        latents = jnp.zeros((len(condition), self.latent_dim))
        return self.generate(weights, latents, condition, key=key)

    def prior_of(
        self, weights: Weights, condition: Array, *, key: KeyArray | None = None
    ) -> Gaussian:
        """p(z|x) of each condition."""
        return self._prior(asked, fixed(key), weights, condition)[0]

    def encode(self, weights: Weights, batch: Batch, *, key: KeyArray | None = None) -> Gaussian:
        """q(z|x, y) of each example."""
        return self._posterior(asked, fixed(key), weights, batch)[0]

    def log_likelihoods(
        self, key: KeyArray, weights: Weights, batch: Batch, num_samples: int
    ) -> Float[Array, "samples batch"]:
        """log p(y|x, z), z ~ p(z|x): for the Monte-Carlo estimate of log p(y|x)."""
        check_bound(AT_LEAST_1, num_samples=num_samples)
        return self._log_likelihoods(asked, key, weights, batch, num_samples)[0]

    def _bound(
        self, key: KeyArray, weights: Weights, batch: Batch
    ) -> tuple[dict[str, Array], Weights]:
        key_gaussians, key_bound = jax.random.split(key)
        posterior, before, weights = self._gaussians(train, key_gaussians, weights, batch)
        _, values, weights = self._terms(
            train, key_bound, weights, batch, posterior, FROM_POSTERIOR, self.num_samples
        )
        log_likelihood = jnp.mean(values)
        kl = jnp.mean(losses.gaussian_kl(*posterior, *before))
        elbo = losses.elbo(log_likelihood, kl)
        return {"elbo": elbo, "log_likelihood": log_likelihood, "kl": kl}, weights

    def _log_weights(self, run: Run, key: KeyArray, weights: Weights, batch: Batch, num: int):
        key_gaussians, key_bound = jax.random.split(key)
        posterior, before, weights = self._gaussians(run, key_gaussians, weights, batch)
        latents, log_likelihood, weights = self._terms(
            run, key_bound, weights, batch, posterior, FROM_POSTERIOR, num
        )
        log_p, log_q = (log_density(latents, repeat(g, num)) for g in (before, posterior))
        return log_likelihood + log_p - log_q, weights

    def _log_likelihoods(self, run: Run, key: KeyArray, weights: Weights, batch: Batch, num: int):
        key_prior, key_bound = jax.random.split(key)
        condition = take_floats(batch, self.condition)
        before, weights = self._prior(run, key_prior, weights, condition)
        _, log_likelihood, weights = self._terms(
            run, key_bound, weights, batch, before, FROM_PRIOR, num
        )
        return log_likelihood, weights

    def _gaussians(self, run: Run, key: KeyArray, weights: Weights, batch: Batch):
        """q(z|x, y), p(z|x), and the weights after them."""
        key_posterior, key_prior = jax.random.split(key)
        posterior, weights = self._posterior(run, key_posterior, weights, batch)
        condition = take_floats(batch, self.condition)
        before, weights = self._prior(run, key_prior, weights, condition)
        return posterior, before, weights

    def _posterior(self, run: Run, key: KeyArray, weights: Weights, batch: Batch):
        x, y = (flat(take_floats(batch, name)) for name in (self.condition, self.target))
        numbers, weights = of_part(run, "encoder")(self.encoder, weights, key, beside(x, y))
        return read_gaussian(first(numbers)), weights

    def _prior(self, run: Run, key: KeyArray, weights: Weights, condition: Array):
        if self.prior is None:
            zeros = jnp.zeros((len(condition), self.latent_dim))
            return Gaussian(zeros, zeros), weights
        numbers, weights = of_part(run, "prior")(self.prior, weights, key, flat(condition))
        return read_gaussian(first(numbers)), weights

    def _decode(self, run: Run, key: KeyArray, weights: Weights, condition: Array, latents: Array):
        x = jnp.broadcast_to(flat(condition), (*latents.shape[:-1], condition[0].size))
        run_decoder = of_part(run, "decoder")
        return over_axes(run_decoder, self.decoder, weights, key, beside(latents, x))

    def _terms(
        self,
        run: Run,
        key: KeyArray,
        weights: Weights,
        batch: Batch,
        gaussian: Gaussian,
        which: int,
        num: int,
    ):
        """Latents from a Gaussian, log p(y|x, z) at them, (num, batch), and the weights after."""
        key_latents, key_decoder = jax.random.split(key)
        latents = draw(jax.random.fold_in(key_latents, which), repeat(gaussian, num))
        condition = take_floats(batch, self.condition)
        outputs, weights = self._decode(run, key_decoder, weights, condition, latents)
        target = take_floats(batch, self.target)
        return latents, self.likelihood.log_prob(target, outputs), weights


def beside(*vectors: Array) -> Array:
    return jnp.concatenate(vectors, axis=-1)


def flat(examples: Array) -> Float[Array, "num numbers"]:
    return examples.reshape(len(examples), -1)
