"""The variational autoencoder: a decoder, and an encoder that infers its latents."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_jax import games, losses
from gan_jax.checks import AT_LEAST_1, NOT_NEGATIVE, check_bound, check_choice
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


class Bound(NamedTuple):
    """The two terms of the evidence lower bound, for each example of the batch, in nats."""

    log_likelihood: Float[Array, " batch"]
    kl: Float[Array, " batch"]


@dataclass(frozen=True, kw_only=True, eq=False)
class VAE(ImportanceWeighted):
    """Learn what the batch holds under `field` by maximising the evidence lower bound.

    L = E_q(z|x) log p(x|z) - β KL(q(z|x) ‖ p(z)), p(z) = N(0, I), to be maximised: the loss is the
    mean of -L over the batch. The encoder gives 2·latent_dim numbers, means and log-variances of
    q(z|x); the decoder raw outputs, which `likelihood` reads. Expectations are means over
    `num_samples` latents z = μ + σ ⊙ ε; with `kl="sampled"` so is the KL, of log q(z|x) - log p(z).
    β = 0 with a Gaussian of fixed variance is a noisy autoencoder.

    Params are {"encoder": ..., "decoder": ...}. Only the objective runs the networks as they are
    trained; everything else asks them as they are.

    >>> import jax, optax
    >>> from functools import partial
    >>> from gan_jax import games, losses, nets
    >>> from gan_jax.systems import VAE
    >>> model = VAE(
    ...     encoder=nets.MLPEncoder(2 * 3, (16,)), decoder=nets.MLPGenerator((8, 8, 1), (16,)),
    ...     likelihood=losses.bernoulli(), latent_dim=3)
    >>> batch, adam = {"image": jax.numpy.ones((5, 8, 8, 1))}, optax.adam(1e-3)
    >>> state = jax.jit(partial(model.init, optimizer=adam))(jax.random.key(0), batch)
    >>> step = jax.jit(partial(games.descent_step, objective=model.objective, optimizer=adam))
    >>> state, metrics = step(jax.random.key(1), state, batch)
    >>> sorted(metrics)
    ['elbo', 'grad_norm', 'kl', 'log_likelihood', 'loss', 'update_norm']

    Kingma & Welling 2014, equations (6) (sampled) and (7) (closed); Higgins et al. 2017 for β.

    Raises:
        ValueError: what is given is no network or likelihood; `latent_dim` or `num_samples` is
            below 1, β negative or not finite, or `kl` unknown.
    """

    encoder: nn.Module
    decoder: nn.Module
    likelihood: Likelihood
    latent_dim: int
    beta: float = 1.0
    kl: Literal["closed", "sampled"] = "closed"
    num_samples: int = 1
    field: str = "image"

    def __post_init__(self) -> None:
        check_networks(encoder=self.encoder, decoder=self.decoder)
        check_made(Likelihood, "losses.bernoulli()", likelihood=self.likelihood)
        check_bound(AT_LEAST_1, latent_dim=self.latent_dim, num_samples=self.num_samples)
        check_bound(NOT_NEGATIVE, beta=self.beta)
        check_choice(("closed", "sampled"), kl=self.kl)

    def init(
        self, key: KeyArray, batch: Batch, *, optimizer: optax.GradientTransformation
    ) -> DescentState:
        """Draw the weights. Of the batch shapes count, and what it holds, as for a `GAN`.

        Raises:
            ValueError: the batch lacks the field or is out of the likelihood's range, the encoder
                does not give 2·latent_dim numbers, or the decoder makes examples of another shape.
        """
        key_encoder, key_decoder = jax.random.split(key)
        check_examples(batch, self.field, self.likelihood.support, "likelihood")
        x = blank(batch, self.field).astype(jnp.float32)
        numbers, encoder = start(self.encoder, key_encoder, x)
        check_gaussian(first(numbers), self.latent_dim, "encoder")
        outputs, decoder = start(self.decoder, key_decoder, jnp.zeros((1, self.latent_dim)))
        check_shape(x, self.likelihood.mean(first(outputs)), self.field, "decoder")
        weights = join({"encoder": encoder, "decoder": decoder})
        return games.init_descent(weights=weights, optimizer=optimizer)

    def objective(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        """The mean of -L, for `descent_step`. Metrics: `elbo` (β = 1), `log_likelihood`, `kl`."""
        key_encoder, key_bound = jax.random.split(key)
        posterior, weights = self._posterior(train, key_encoder, weights, batch)
        bound, weights = self._bound(train, key_bound, weights, batch, posterior)
        log_likelihood, kl = map(jnp.mean, bound)
        metrics = {
            "elbo": losses.elbo(log_likelihood, kl),
            "log_likelihood": log_likelihood,
            "kl": kl,
        }
        loss = -losses.elbo(log_likelihood, self.beta * kl)
        return PlayerOutcome(loss, weights.state, metrics)

    def sample(self, key: KeyArray, weights: Weights, num: int) -> Float[Array, "num *shape"]:
        """Means of p(x|z), z ~ p(z)."""
        check_bound(AT_LEAST_1, num=num)
        key_latents, key_decoder = jax.random.split(key)
        return self.generate(weights, self.latents(key_latents, num), key=key_decoder)

    def draw(self, key: KeyArray, weights: Weights, num: int) -> Float[Array, "num *shape"]:
        """x ~ p(x|z), z ~ p(z): the model itself, with the noise that `sample` leaves out.

        Of one key z is that of `sample`.
        """
        check_bound(AT_LEAST_1, num=num)
        key_latents, key_decoder = jax.random.split(key)
        outputs = self.decode(weights, self.latents(key_latents, num), key=key_decoder)
        return self.likelihood.sample(jax.random.fold_in(key, 2), outputs)

    @property
    def latents(self) -> Latents:
        """p(z) = N(0, I)."""
        return normal(self.latent_dim)

    def generate(
        self,
        weights: Weights,
        latents: Float[Array, "num latents"],
        *,
        key: KeyArray | None = None,
    ) -> Float[Array, "num *shape"]:
        """Means of p(x|z) at these z."""
        return self.likelihood.mean(self.decode(weights, latents, key=key))

    def encode(self, weights: Weights, batch: Batch, *, key: KeyArray | None = None) -> Gaussian:
        """q(z|x) of each example."""
        return self._posterior(asked, fixed(key), weights, batch)[0]

    def decode(
        self,
        weights: Weights,
        latents: Float[Array, "*axes latents"],
        *,
        key: KeyArray | None = None,
    ) -> Float[Array, "..."]:
        """The decoder's raw outputs, which the likelihood reads, (*axes, ...)."""
        return self._decode(asked, fixed(key), weights, latents)[0]

    def bound(self, key: KeyArray, weights: Weights, batch: Batch, posterior: Gaussian) -> Bound:
        """The terms of L with any Gaussian in place of q(z|x)."""
        return self._bound(asked, key, weights, batch, posterior)[0]

    def _log_weights(self, run: Run, key: KeyArray, weights: Weights, batch: Batch, num: int):
        key_encoder, key_bound = jax.random.split(key)
        posterior, weights = self._posterior(run, key_encoder, weights, batch)
        log_likelihood, log_ratio, weights = self._terms(
            run, key_bound, weights, batch, posterior, num
        )
        return log_likelihood - log_ratio, weights

    def _posterior(
        self, run: Run, key: KeyArray, weights: Weights, batch: Batch
    ) -> tuple[Gaussian, Weights]:
        x = take_floats(batch, self.field)
        one = jnp.zeros((1, self.latent_dim))
        made = jax.eval_shape(lambda: self.likelihood.mean(self.decode(weights, one)))
        check_shape(x, made, self.field, "decoder")
        numbers, weights = of_part(run, "encoder")(self.encoder, weights, key, x)
        return read_gaussian(first(numbers)), weights

    def _decode(self, run: Run, key: KeyArray, weights: Weights, latents: Array):
        return over_axes(of_part(run, "decoder"), self.decoder, weights, key, latents)

    def _bound(
        self, run: Run, key: KeyArray, weights: Weights, batch: Batch, posterior: Gaussian
    ) -> tuple[Bound, Weights]:
        log_likelihood, log_ratio, weights = self._terms(
            run, key, weights, batch, posterior, self.num_samples
        )
        if self.kl == "closed":
            divergence = losses.gaussian_kl(*posterior)
        else:
            divergence = jnp.mean(log_ratio, axis=0)
        return Bound(jnp.mean(log_likelihood, axis=0), divergence), weights

    def _terms(
        self, run: Run, key: KeyArray, weights: Weights, batch: Batch, posterior: Gaussian, num: int
    ):
        """log p(x|z) and log q(z|x) - log p(z), (num, batch), and the weights after it."""
        key_latents, key_decoder = jax.random.split(key)
        posterior = repeat(posterior, num)
        latents = draw(jax.random.fold_in(key_latents, 0), posterior)
        outputs, weights = self._decode(run, key_decoder, weights, latents)
        log_likelihood = self.likelihood.log_prob(take_floats(batch, self.field), outputs)
        log_ratio = log_density(latents, posterior) - losses.gaussian_log_density(latents)
        return log_likelihood, log_ratio, weights
