"""The variational autoencoder (Kingma & Welling 2014).    python -m experiments.vae

Pictures hold a row of unseen images, a row of their reconstructions, and samples; one an epoch for
the embedded digits. A model of two latents ends with a picture of its manifold.
Cost: a minute of CPU; expect a negative log-likelihood of 160.5 +- 2.2 nats of unseen digits (seed
0; standard error over images).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.stats import norm

from experiments.command import main
from experiments.explicit import LikelihoodOptions, logits, mean_image, starting_at, with_error
from gan_jax import losses
from gan_jax.errors import Refusal
from gan_jax.games import DescentState
from gan_jax.metrics import active_units
from gan_jax.nets import ConvDecoder, ConvEncoder, MLPEncoder, MLPGenerator
from gan_jax.plots import save_image_grid
from gan_jax.systems import VAE, vae
from gan_jax.training.rundir import SAMPLES
from gan_jax.typing import Batch, KeyArray

LIKELIHOODS = {
    "bernoulli": losses.bernoulli(),
    "gaussian": losses.gaussian(0.02),
    "learned_gaussian": losses.learned_gaussian(1e-3),
    "discretized_logistic": losses.discretized_logistic(),
}
COLUMNS = 10
NUM_DRAWN = 8 * COLUMNS
MANIFOLD_SIDE = 15


@dataclass(frozen=True, kw_only=True)
class Config(LikelihoodOptions):
    networks: Literal["mlp", "conv"] = "mlp"
    """One hidden layer of tanh units on each side, or two convolutions and their mirror."""
    width: int = 500
    """Hidden units of the perceptrons; channels of the first convolution."""
    latent_dim: int = 2
    likelihood: Literal["bernoulli", "gaussian", "learned_gaussian", "discretized_logistic"] = (
        "bernoulli"
    )
    """How the decoder's outputs are read: bits; brightnesses of variance 0.02, or of a learned one
    that is at least 0.001; levels of 256. All but the first go with --binarization none."""
    beta_weight: float = 1.0
    """Weight of the divergence from the prior."""
    optimizer: Literal["adam", "adagrad"] = "adam"
    """The paper's Adagrad comes with its prior over weights, N(0, I). Weights start as Flax has
    them and outputs at the mean image; the paper starts them at N(0, 0.01)."""
    steps: int = 2_250
    steps_per_dispatch: int = 45
    evaluate_every: int = 45
    checkpoint_every: int = 450

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.likelihood != "bernoulli" and self.binarization != "none":
            raise Refusal(
                f"--likelihood {self.likelihood} models brightnesses, but --binarization "
                f"{self.binarization} leaves only 0 and 1: add --binarization none."
            )


CONFIGS = {
    "digits": Config(),
    "mnist": Config(
        dataset="mnist",
        latent_dim=20,
        steps=12_000,
        steps_per_dispatch=100,
        evaluate_every=600,
        checkpoint_every=600,
    ),
    "paper": Config(
        dataset="mnist",
        binarization="none",
        latent_dim=20,
        optimizer="adagrad",
        learning_rate=0.02,
        steps=1_000_000,
        steps_per_dispatch=1_000,
        evaluate_every=10_000,
        checkpoint_every=10_000,
    ),
}


class Result(NamedTuple):
    state: DescentState
    bound: float
    nll: np.ndarray
    score: str
    num_active: int
    samples: Path

    def __str__(self) -> str:
        return (
            f"unseen images: bound {self.bound:.2f}, {self.score} "
            f"{with_error(self.nll)} nats, {self.num_active} active units; "
            f"pictures in {self.samples}"
        )


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train, reconstruct and draw on the way, and estimate the likelihood of unseen images."""
    key_fit, key_bound, key_nll = config.keys(3)
    model, state, unseen = fit(config, key_fit, workdir, fresh=fresh)
    weights = state.player.weights
    if config.latent_dim == 2 and jax.process_index() == 0:
        outputs = model.decode(weights, quantiles(MANIFOLD_SIDE))
        images = LIKELIHOODS[config.likelihood].mean(outputs)
        show(workdir, "manifold", images, columns=MANIFOLD_SIDE)
    posterior = model.encode(weights, unseen)
    bound = losses.elbo(*model.bound(key_bound, weights, unseen, posterior))
    return Result(
        state,
        float(jnp.mean(bound)),
        config.negative_log_likelihoods(key_nll, model.log_weights, weights, unseen),
        score_of(config),
        int(active_units(posterior.mean).sum()),
        workdir / SAMPLES,
    )


def fit(
    config: Config, key: KeyArray, workdir: Path, *, fresh: bool
) -> tuple[VAE, DescentState, Batch]:
    """Train, and show what is reconstructed and drawn on the way; give also the unseen images."""
    dataset = config.images()
    key_run, key_init, key_shown, key_pixels, key_bound = jax.random.split(key, 5)
    unseen = {"image": config.unseen(key_pixels)[0]}
    model = build(config, mean_image(dataset))
    optimizer = optimizer_of(config, len(dataset))
    bound = jax.jit(model.objective)
    some = {"image": unseen["image"][:COLUMNS]}

    @jax.jit
    def draw(state: DescentState) -> jax.Array:
        weights = state.player.weights
        outputs = model.decode(weights, model.encode(weights, some).mean)
        reconstructed = LIKELIHOODS[config.likelihood].mean(outputs)
        sampled = model.sample(key_shown, state, NUM_DRAWN)
        return jnp.concatenate([some["image"], reconstructed, sampled])

    def evaluate(step: int, state: DescentState) -> dict[str, float]:
        if jax.process_index() == 0:
            show(workdir, f"{step:06d}", draw(state), columns=len(some["image"]))
        outcome = bound(weights=state.player.weights, batch=unseen, key=key_bound)
        return {f"unseen/{name}": float(value) for name, value in outcome.metrics.items()}

    state = config.descend(
        config.descent(model.objective, optimizer),
        model.init(key_init, optimizer=optimizer),
        dataset,
        evaluate,
        key=key_run,
        workdir=workdir,
        fresh=fresh,
        shown=("elbo", "kl"),
    )
    return model, state, unseen


def build(config: Config, mean: jax.Array) -> VAE:
    likelihood = LIKELIHOODS[config.likelihood]
    numbers = 2 * config.latent_dim
    outputs = (*mean.shape[:-1], likelihood.num_outputs * mean.shape[-1])
    if config.networks == "conv":
        encoder = ConvEncoder(numbers, config.width)
        decoder = ConvDecoder(outputs, config.width)
    else:
        encoder = MLPEncoder(numbers, (config.width,), nn.tanh)
        decoder = MLPGenerator(
            outputs,
            (config.width,),
            nn.tanh,
            output_bias_init=starting_at(first_outputs(config, mean)),
        )
    return vae(
        encoder=encoder,
        decoder=decoder,
        likelihood=likelihood,
        latent_dim=config.latent_dim,
        beta=config.beta_weight,
    )


def first_outputs(config: Config, mean: jax.Array) -> jax.Array:
    """The outputs that say the mean image, whatever the latents are.

    From a bias of 0 a network of one layer of tanh starts as an odd function of the latents, and
    may never leave the half of them where it says the opposite of every image.
    """
    if config.likelihood == "bernoulli":
        return logits(mean)
    missing = LIKELIHOODS[config.likelihood].num_outputs - 1
    return jnp.concatenate([mean, *[jnp.zeros_like(mean)] * missing], axis=-1)


def optimizer_of(config: Config, num_examples: int) -> optax.GradientTransformation:
    """Adam; or Adagrad, with log p(θ) = -‖θ‖²/2 as a share of each of the N examples."""
    if config.optimizer == "adam":
        return optax.adam(config.learning_rate)
    return optax.chain(
        optax.add_decayed_weights(1 / num_examples),
        optax.adagrad(config.learning_rate, initial_accumulator_value=0.0),
    )


def score_of(config: Config) -> str:
    """What an estimate says: grey pixels have no likelihood under a model of bits."""
    if config.likelihood == "bernoulli" and config.binarization == "none":
        return "cross-entropy bound of brightnesses, no likelihood,"
    return "negative log-likelihood"


def quantiles(side: int) -> jax.Array:
    """Φ⁻¹ of a grid over the unit square, centres of its cells, from the top left."""
    at = norm.ppf((jnp.arange(side) + 0.5) / side)
    return jnp.stack(jnp.meshgrid(at, -at), axis=-1).reshape(-1, 2)


def show(workdir: Path, name: str, images: jax.Array, columns: int) -> None:
    save_image_grid(workdir / SAMPLES / f"{name}.png", 2 * np.asarray(images) - 1, columns=columns)


if __name__ == "__main__":
    main("vae", run, CONFIGS, __doc__ or "")
