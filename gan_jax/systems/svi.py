"""Stochastic variational inference: every data point has variational parameters of its own."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from gan_jax import games, losses
from gan_jax.checks import check_choice
from gan_jax.games import DescentState, PlayerOutcome, Weights
from gan_jax.systems.checks import check_examples, check_made
from gan_jax.systems.latents import Gaussian
from gan_jax.systems.vae import VAE
from gan_jax.typing import Batch, KeyArray


@dataclass(frozen=True, kw_only=True, eq=False)
class SVI:
    """Maximise the bound of a `trained` VAE over each data point's own q(z) = N(μ, diag σ²).

    L(μ_i, σ_i; x_i) = E_q log p(x_i|z) - KL(q ‖ p(z)), that of `model.bound`, with β = 1; the
    decoder stays as it is. Rows start at the encoder's answer, or from scratch, at the prior
    N(0, I). What the bound gains over the encoder's is the amortisation gap.

    Hoffman et al. 2013; Cremer, Li & Duvenaud 2018.

    Raises:
        ValueError: `model` is no VAE, `trained` no weights, or `start` unknown.
    """

    model: VAE
    trained: Weights
    start: Literal["encoder", "prior"] = "encoder"

    def __post_init__(self) -> None:
        check_made(VAE, "VAE(...)", model=self.model)
        check_made(Weights, "state.player.weights", trained=self.trained)
        check_choice(("encoder", "prior"), start=self.start)

    def init(self, batch: Batch, *, optimizer: optax.GradientTransformation) -> DescentState:
        """Start the table: a Gaussian with a row for each example of the batch.

        Raises:
            ValueError: the batch lacks the field or is out of the likelihood's range.
        """
        check_examples(batch, self.model.field, self.model.likelihood.support, "likelihood")
        table = self.model.encode(self.trained, batch)
        if self.start == "prior":
            table = Gaussian(*map(jnp.zeros_like, table))
        return games.init_rows(weights=Weights(params=table), optimizer=optimizer)

    def objective(self, *, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        """-L of one data point, for `rows_step`: params are its Gaussian, the batch its example."""
        example, row = jax.tree.map(lambda a: a[None], (batch, weights.params))
        log_likelihood, kl = self.model.bound(key, self.trained, example, row)
        elbo = losses.elbo(log_likelihood, kl)[0]
        return PlayerOutcome(-elbo, metrics={"elbo": elbo})
