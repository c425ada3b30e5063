"""The importance-weighted autoencoder: a model that has an encoder, trained by a tighter bound."""

from typing import Any, TypeVar

import jax.numpy as jnp

from gan_jax import losses
from gan_jax.games import PlayerOutcome, Weights
from gan_jax.systems.latents import check_counts
from gan_jax.typing import Batch, KeyArray

Model = TypeVar("Model", bound=Any)
"""What has an `objective` and `log_weights`: a VAE, hierarchical or conditional ones."""


def iwae(model: Model, *, num_samples: int) -> Model:
    """Give a model the importance-weighted bound for its objective.

    What the model's own objective was told, β, α, the form of the KL or its samples, has no part in
    it; its other functions stay as they are.

    L_k = E log 1/k Σ_i w_i, w_i = p(x, z_i)/q(z_i|x), with k = `num_samples`; the loss is the mean
    of -L_k over the batch. Its gradient is that of the paper, Σ_i w̃_i ∇ log w_i with w̃ = w/Σw.
    For k = 1 it is the VAE's with `kl="sampled"`, number for number.

    Metrics: `bound`, and `effective_samples`, the mean of 1/Σ w̃² in [1, k].

    Burda, Grosse & Salakhutdinov 2016, equation (8).

    Raises:
        ValueError: `num_samples` is below 1.
    """
    check_counts(num_samples=num_samples)

    def objective(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        log_weights = model.log_weights(key, weights, batch, num_samples)
        bound = jnp.mean(losses.iwae(log_weights))
        effective = jnp.mean(losses.effective_samples(log_weights))
        return PlayerOutcome(-bound, metrics={"bound": bound, "effective_samples": effective})

    return model._replace(objective=objective)
