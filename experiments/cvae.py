"""Completing digits by a conditional VAE (Sohn, Lee & Yan 2015).    python -m experiments.cvae

One, two or three quadrants of an image are known, the others are drawn. Scored by the negative
conditional log-likelihood of the unknown pixels, beside a network without latents that is trained
on the same images. A picture has rows of: what is known, completions, and the image.
Cost: a minute and a half on 2 CPU cores; expect 112.5 +- 2.0 nats for the network and 73.9 +- 1.1
for the CVAE (seed 0; standard error over images).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.command import main
from experiments.explicit import LikelihoodOptions, refuse_brightnesses, with_error
from experiments.options import together
from gan_jax import data, losses
from gan_jax.errors import Refusal
from gan_jax.games import DescentState, PlayerOutcome, Weights, init_descent
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.plots import save_image_grid
from gan_jax.systems import CVAE, cvae
from gan_jax.training.rundir import SAMPLES
from gan_jax.typing import Batch, KeyArray

PUBLISHED = {
    1: (99.75, 68.39, 63.91),
    2: (62.18, 45.34, 44.73),
    3: (25.99, 20.96, 20.95),
}
"""Table 1 of the paper, MNIST: network, CVAE by Monte Carlo, CVAE by importance sampling."""
COLUMNS = 10
NUM_COMPLETIONS = 6
LIKELIHOOD = losses.bernoulli()


@dataclass(frozen=True, kw_only=True)
class Config(LikelihoodOptions):
    num_quadrants: Literal[1, 2, 3] = 1
    """Quadrants that are known, from the bottom left clockwise."""
    prior: Literal["learned", "standard"] = "learned"
    """p(z|x) by a network, as Sohn has it, or N(0, I), as Doersch does."""
    alpha: float = 1.0
    """Share of the CVAE's bound, in [0, 1]; the rest is that of the Gaussian stochastic network."""
    width: int = 500
    """Units of each of the two hidden layers of every network."""
    latent_dim: int = 50
    num_importance_samples: int = 100
    steps: int = 1_350
    steps_per_dispatch: int = 45
    evaluate_every: int = 225
    checkpoint_every: int = 225

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_brightnesses(self.binarization)
        if not 0 <= self.alpha <= 1:
            raise Refusal(f"--alpha is {self.alpha}; it must be in [0, 1].")


CONFIGS = {
    "digits": Config(),
    "mnist": Config(
        dataset="mnist",
        num_unseen=10_000,
        steps=12_000,
        steps_per_dispatch=100,
        evaluate_every=1_000,
        checkpoint_every=500,
    ),
}
CONFIGS["paper"] = replace(CONFIGS["mnist"], width=1_000, latent_dim=200, steps=60_000)


class Result(NamedTuple):
    state: dict[str, DescentState]
    nll: dict[str, np.ndarray]
    config: Config
    samples: Path

    def __str__(self) -> str:
        config = self.config
        published = PUBLISHED[config.num_quadrants]
        lines = [
            f"negative conditional log-likelihood in nats, {config.num_quadrants} of 4 quadrants "
            f"known, {len(self.nll['network'])} images of {config.dataset}'s test set",
            f"{'':28s} {'here':>16s}   published for MNIST",
        ]
        for (name, values), number in zip(self.nll.items(), published, strict=True):
            lines.append(f"{name:28s} {with_error(values):>16s}   {number}")
        return "\n".join([*lines, f"pictures in {self.samples}"])


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train both on the same images, complete unseen ones on the way, and compare likelihoods."""
    dataset = config.images()
    key_run, key_init, key_pixels, key_shown, key_nll = config.keys(5)
    images, _ = config.unseen(key_pixels)
    shape = images.shape[1:]
    unseen = arranged(images, config.num_quadrants)
    num_missing = unseen["target"].shape[1]
    model, network = build(config, num_missing)
    optimizer = optax.adam(config.learning_rate)

    def of_network(key: KeyArray, weights: Weights, batch: Batch, num: int):
        """log p(y|x) without latents: every sample is the same."""
        outputs: Any = network.apply({"params": weights.params}, batch["condition"])
        log_likelihood = LIKELIHOOD.log_prob(batch["target"], outputs)
        return jnp.broadcast_to(log_likelihood, (num, *log_likelihood.shape))

    def answer(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        return PlayerOutcome(-jnp.mean(of_network(key, weights, batch, 1)))

    objectives = {"cvae": model.objective, "network": answer}
    steps = {
        name: config.descent(
            objective, optimizer, lambda image: arranged(image, config.num_quadrants)
        )
        for name, objective in objectives.items()
    }

    def evaluate(step: int, state: dict[str, DescentState]) -> dict[str, float]:
        known = unseen["condition"][:COLUMNS]
        drawn = model.sample(key_shown, state["cvae"], known, NUM_COMPLETIONS)

        def whole(rest):
            return data.join_quadrants(known, rest, config.num_quadrants, shape)

        blank = jnp.zeros((len(known), num_missing))
        rows = [whole(blank), *map(whole, drawn), images[:COLUMNS]]
        if jax.process_index() == 0:
            pictures = 2 * np.concatenate(rows) - 1
            save_image_grid(workdir / SAMPLES / f"{step:06d}.png", pictures, columns=len(known))
        return {}

    params = network.init(key_init, unseen["condition"][:1])["params"]
    state = config.descend(
        together(steps),
        {
            "cvae": model.init(key_init, unseen, optimizer=optimizer),
            "network": init_descent(weights=Weights(params=params), optimizer=optimizer),
        },
        dataset,
        evaluate,
        key=key_run,
        workdir=workdir,
        fresh=fresh,
        shown=("cvae/loss", "network/loss"),
    )
    estimates = {
        "network": ("network", of_network),
        "CVAE, Monte Carlo": ("cvae", model.log_likelihoods),
        "CVAE, importance sampling": ("cvae", model.log_weights),
    }
    nll = {
        name: config.negative_log_likelihoods(key_nll, of, state[who].player.weights, unseen)
        for name, (who, of) in estimates.items()
    }
    return Result(state, nll, config, workdir / SAMPLES)


def build(config: Config, num_missing: int) -> tuple[CVAE, MLPGenerator]:
    """The conditional VAE, and the network that it is compared with."""
    widths, numbers = (config.width,) * 2, 2 * config.latent_dim
    network = MLPGenerator((num_missing,), widths)
    model = cvae(
        encoder=MLPEncoder(numbers, widths),
        decoder=network,
        prior=MLPEncoder(numbers, widths) if config.prior == "learned" else None,
        likelihood=LIKELIHOOD,
        latent_dim=config.latent_dim,
        alpha=config.alpha,
    )
    return model, network


def arranged(images: jax.Array, num_quadrants: int) -> Batch:
    condition, target = data.split_quadrants(images, num_quadrants)
    return {"condition": condition, "target": target}


if __name__ == "__main__":
    main("cvae", run, CONFIGS, __doc__ or "")
