"""Completing digits by a conditional VAE (Sohn, Lee & Yan 2015).    python -m experiments.cvae

One, two or three quadrants of an image are known, the others are drawn. Scored by the negative
conditional log-likelihood of the unknown pixels, beside a network without latents that is trained
on the same images. A picture has rows of: what is known, completions, and the image.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness import command, likelihoods, options, published, runs, text
from experiments.harness.bounds import Count, Share, Size
from gan_jax import data, plots
from gan_jax.games import PlayerOutcome, Weights, init_descent, together
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import CVAE, networks
from gan_jax.training import Evaluation, first_batch
from gan_jax.typing import Batch, KeyArray

COLUMNS = 10
NUM_COMPLETIONS = 6
LIKELIHOOD = likelihoods.LIKELIHOODS["bernoulli"]


@dataclass(frozen=True, kw_only=True)
class Config(likelihoods.LikelihoodOptions):
    num_quadrants: Literal[1, 2, 3] = 1
    """Quadrants that are known, from the bottom left clockwise."""
    prior: Literal["learned", "standard"] = "learned"
    """p(z|x) by a network, as Sohn has it, or N(0, I), as Doersch does."""
    alpha: Share = 1.0
    """Share of the CVAE's bound, in [0, 1]; the rest is that of the Gaussian stochastic network."""
    width: Size = 500
    """Units of each of the two hidden layers of every network."""
    latent_dim: Size = 50
    num_importance_samples: Size = 100
    steps: Count = 1_350
    steps_per_dispatch: Count = 45
    evaluate_every: Count = 225
    checkpoint_every: Count = 225

    def __post_init__(self) -> None:
        super().__post_init__()
        likelihoods.refuse_brightnesses(self.binarization)


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
SHORT = replace(CONFIGS["mnist"], steps=3_000)
TABLES = {
    "quadrants": {f"mnist, {q} of 4 known": replace(SHORT, num_quadrants=q) for q in (1, 2, 3)}
}


def build(config: Config, batch: Batch) -> CVAE:
    """The conditional VAE, whose decoder is also the network that it is compared with."""
    widths, numbers, dtype = (config.width,) * 2, 2 * config.latent_dim, jnp.dtype(config.dtype)
    encoder = MLPEncoder(numbers, widths, dtype=dtype)
    return CVAE(
        encoder=encoder,
        decoder=MLPGenerator(batch["target"].shape[1:], widths, dtype=dtype),
        prior=encoder if config.prior == "learned" else None,
        likelihood=LIKELIHOOD,
        latent_dim=config.latent_dim,
        alpha=config.alpha,
    )


def arranged(images: jax.Array, num_quadrants: int) -> Batch:
    condition, target = data.split_quadrants(images, num_quadrants)
    return {"condition": condition, "target": target}


def without_latents(network: MLPGenerator, key: KeyArray, weights: Weights, batch: Batch, num: int):
    """log p(y|x) of a network that sees the condition alone: every sample is the same."""
    outputs = networks.infer(network, weights, batch["condition"])
    log_likelihood = LIKELIHOOD.log_prob(batch["target"], outputs)
    return jnp.broadcast_to(log_likelihood, (num, *log_likelihood.shape))


def maker(config: Config, model: CVAE) -> runs.Maker:
    """Unseen images, completed: those that are drawn, or the first in all ways along a walk."""
    images = config.unseen()[0]

    def completed(images: jax.Array, latents: jax.Array, weights: Weights) -> jax.Array:
        condition, _ = data.split_quadrants(images, config.num_quadrants)
        rest = model.generate(weights, latents, condition)
        return data.join_quadrants(condition, rest, config.num_quadrants, images.shape[1:])

    def sample(key: KeyArray, weights: Weights, num: int) -> jax.Array:
        key_images, key_latents = jax.random.split(key)
        drawn = jax.random.choice(key_images, images, (num,))
        return completed(drawn, model.latents(key_latents, num), weights)

    def generate(weights: Weights, latents: jax.Array) -> jax.Array:
        first = jnp.broadcast_to(images[0], (len(latents), *images.shape[1:]))
        return completed(first, latents, weights)

    unseen = arranged(images, config.num_quadrants)
    return runs.Maker(sample, model.latents, generate, at=("cvae",), unseen=unseen)


def evaluator(config: Config, model: CVAE, dataset: data.Dataset) -> options.Evaluate:
    """Complete unseen images in several ways."""
    images = config.unseen()[0][:COLUMNS]
    batch = arranged(images, config.num_quadrants)

    def whole(rest: jax.Array) -> jax.Array:
        shape = images.shape[1:]
        return data.join_quadrants(batch["condition"], rest, config.num_quadrants, shape)

    @jax.jit
    def look(key, weights):
        drawn = model.sample(key, weights, NUM_COMPLETIONS, batch["condition"])
        blank = jnp.zeros_like(batch["target"])
        return jnp.concatenate([whole(blank), *map(whole, drawn), images])

    def evaluate(key, state) -> Evaluation:
        rows = look(key, state["cvae"].player.weights)
        return Evaluation({"completions": plots.brightness_grid(rows, columns=len(images))})

    return evaluate


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train both on the same images, complete unseen ones on the way, and compare likelihoods."""
    dataset = config.images()
    feed = config.image_feed(dataset, partial(arranged, num_quadrants=config.num_quadrants))
    batch, optimizer = first_batch(feed), optax.adam(config.learning_rate)
    model = build(config, batch)
    network: Any = model.decoder
    of_network = partial(without_latents, network)

    def answer(*, weights: Weights, batch: Batch, key: KeyArray) -> PlayerOutcome:
        return PlayerOutcome(-jnp.mean(of_network(key, weights, batch, 1)))

    condition = jnp.zeros((1, *batch["condition"].shape[1:]))
    _, weights = networks.start(network, config.key("init"), condition)
    objectives = {"cvae": model.objective, "network": answer}
    result = config.train(
        together({name: config.descent(o, optimizer) for name, o in objectives.items()}),
        {
            "cvae": model.init(config.key("init"), batch, optimizer=optimizer),
            "network": init_descent(weights=weights, optimizer=optimizer),
        },
        feed,
        evaluator(config, model, dataset),
        workdir=workdir,
        fresh=fresh,
        shown=("cvae/loss", "network/loss"),
    )
    unseen = arranged(config.unseen()[0], config.num_quadrants)
    estimates = {
        "network": ("network", of_network),
        "CVAE, Monte Carlo": ("cvae", model.log_likelihoods),
        "CVAE, importance sampling": ("cvae", model.log_weights),
    }
    nll = {
        name: config.negative_log_likelihoods(of, result.state[who].player.weights, unseen)
        for name, (who, of) in estimates.items()
    }
    return result.says(table(config, nll), {name: values.mean() for name, values in nll.items()})


def table(config: Config, nll: dict[str, np.ndarray]) -> str:
    rows = [("", "here", "published for MNIST")]
    for (name, values), number in zip(
        nll.items(), published.CVAE[config.num_quadrants], strict=True
    ):
        rows.append((name, likelihoods.with_error(values), str(number)))
    return (
        f"negative conditional log-likelihood in nats, {config.num_quadrants} of 4 quadrants "
        f"known, {len(nll['network'])} images of {config.dataset}'s test set\n{text.table(rows)}"
    )


if __name__ == "__main__":
    command.main("cvae", run, CONFIGS, __doc__ or "")
