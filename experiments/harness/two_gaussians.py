"""Discriminators that tell N(0, 1) from N(distance, 1), which both stay as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from experiments.harness.bounds import Size
from experiments.harness.options import Evaluate, Result, RunOptions
from gan_jax import data, losses
from gan_jax.games import Objective, PlayerOutcome, Weights, init_descent, together
from gan_jax.nets import MLPDiscriminator
from gan_jax.systems import networks
from gan_jax.typing import Batch, KeyArray


@dataclass(frozen=True, kw_only=True)
class TwoGaussiansOptions(RunOptions):
    """How discriminators of two Gaussians are trained."""

    width: Size = 32
    """Units in each of the two hidden layers."""
    batch_size: Size
    """Samples of each of the two in a step."""

    def network(self) -> MLPDiscriminator:
        return MLPDiscriminator((self.width,) * 2)

    def tell_apart(
        self,
        objectives: Mapping[str, Objective],
        rate: optax.ScalarOrSchedule,
        distance: float,
        evaluate: Evaluate,
        **told: Any,
    ) -> Result:
        """Train a discriminator by each objective, from the same weights, on the same samples."""
        adam = optax.adam(rate)
        _, weights = networks.start(self.network(), self.key("init"), jnp.zeros((1, 1)))

        def draw(key, num: int) -> Batch:
            real, fake = jax.random.normal(key, (2, num, 1))
            return {"real": real, "fake": fake + distance}

        return self.train(
            together({name: self.descent(o, adam) for name, o in objectives.items()}),
            {name: init_descent(weights=weights, optimizer=adam) for name in objectives},
            data.drawn_feed(draw, batch_size=self.batch_size),
            evaluate,
            unit="pairs",
            **told,
        )


def objective(
    network: MLPDiscriminator,
    loss: losses.AdversarialLoss,
    penalty_weight: float = 0.0,
    *,
    weights: Weights,
    batch: Batch,
    key: KeyArray,
) -> PlayerOutcome:
    """E real(f(x)) + E fake(f(x')) + λ E (|f'| - 1)² between them, λ being `penalty_weight`."""

    def judge(x):
        return networks.infer(network, weights, x)

    real, fake = batch["real"], batch["fake"]
    cost = jnp.mean(loss.real(judge(real))) + jnp.mean(loss.fake(judge(fake)))
    if penalty_weight:
        penalty = losses.gradient_penalty(judge, real, fake, key)
        cost += penalty_weight * jnp.mean(penalty)
    return PlayerOutcome(cost)
