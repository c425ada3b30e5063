"""Stochastic variational inference: every data point has variational parameters of its own."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax import games, losses
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, Objective, PlayerOutcome, Weights
from gan_jax.systems.latents import Gaussian
from gan_jax.systems.vae import VAE
from gan_jax.typing import Batch, KeyArray


class SVI(NamedTuple):
    """What the system offers.

    objective: of one data point, for `rows_step`: params are its Gaussian, the batch its example.
    init(batch, *, optimizer) -> DescentState: the table, a Gaussian with a row for each example.
    """

    objective: Objective
    init: Callable[..., DescentState]


def svi(*, model: VAE, trained: Weights, start: Literal["encoder", "prior"] = "encoder") -> SVI:
    """Maximise the bound of a `trained` VAE over each data point's own q(z) = N(μ, diag σ²).

    L(μ_i, σ_i; x_i) = E_q log p(x_i|z) - KL(q ‖ p(z)); the decoder stays as it is. Rows start at
    the encoder's answer, or from scratch, at the prior N(0, I). What the bound gains over the
    encoder's is the amortisation gap.

    The bound is that of `model.bound`, with β = 1. The table is started from a batch, whose `index`
    it ignores.

    Hoffman et al. 2013; Cremer, Li & Duvenaud 2018.

    Raises:
        ValueError: `start` is unknown.
    """
    if start not in ("encoder", "prior"):
        raise Refusal(f'start is "{start}"; it must be "encoder" or "prior".')

    def objective(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        example, row = jax.tree.map(lambda a: a[None], (batch, weights.params))
        log_likelihood, kl = model.bound(key, trained, example, row)
        elbo = losses.elbo(log_likelihood, kl)[0]
        return PlayerOutcome(-elbo, metrics={"elbo": elbo})

    def init(batch: Batch, *, optimizer: optax.GradientTransformation) -> DescentState:
        examples = {field: array for field, array in batch.items() if field != "index"}
        table = model.encode(trained, examples)
        if start == "prior":
            table = Gaussian(*map(jnp.zeros_like, table))
        return games.init_rows(weights=Weights(params=table), optimizer=optimizer)

    return SVI(objective, init)
