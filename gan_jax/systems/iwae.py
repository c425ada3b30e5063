"""The importance-weighted autoencoder: a model that has an encoder, trained by a tighter bound."""

import jax.numpy as jnp

from gan_jax import losses
from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.games import Objective, PlayerOutcome, Weights
from gan_jax.systems.latents import ImportanceWeighted
from gan_jax.typing import Batch, KeyArray


def iwae(model: ImportanceWeighted, *, num_samples: int) -> Objective:
    """Make the importance-weighted bound of a model an objective, in place of the model's own.

    L_k = E log 1/k Σ_i w_i, w_i = p(x, z_i)/q(z_i|x), with k = `num_samples`; the loss is the mean
    of -L_k over the batch. Its gradient is that of the paper, Σ_i w̃_i ∇ log w_i with w̃ = w/Σw.
    For k = 1 it is the VAE's with `kl="sampled"`, number for number. What the model's own objective
    was told, β, α, the form of the KL or its samples, has no part in it.

    Metrics: `bound`, and `effective_samples`, the mean of 1/Σ w̃² in [1, k].

    >>> import jax, optax
    >>> from gan_jax import losses, nets
    >>> from gan_jax.systems import VAE, iwae
    >>> model = VAE(
    ...     encoder=nets.MLPEncoder(2 * 3, ()), decoder=nets.MLPGenerator((2,), ()), latent_dim=3,
    ...     likelihood=losses.gaussian(0.1), field="point")
    >>> key, batch = jax.random.key(0), {"point": jax.numpy.ones((5, 2))}
    >>> weights = model.init(key, batch, optimizer=optax.sgd(0.1)).player.weights
    >>> outcome = jax.jit(iwae(model, num_samples=4))(weights=weights, batch=batch, key=key)
    >>> bool(1 <= outcome.metrics["effective_samples"] <= 4)
    True

    Burda, Grosse & Salakhutdinov 2016, equation (8).

    Raises:
        ValueError: `num_samples` is below 1.
    """
    check_bound(AT_LEAST_1, num_samples=num_samples)

    def objective(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        log_weights, after = model.trained_log_weights(key, weights, batch, num_samples)
        bound = jnp.mean(losses.iwae(log_weights))
        effective = jnp.mean(losses.effective_samples(log_weights))
        metrics = {"bound": bound, "effective_samples": effective}
        return PlayerOutcome(-bound, after.state, metrics)

    return objective
