"""The variational autoencoder (Kingma & Welling 2014).    python -m experiments.vae

Pictures hold a row of unseen images, a row of their reconstructions, and samples. A model of two
latents has a picture of its manifold besides. Scored by the negative log-likelihood of unseen
images, by importance sampling.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from experiments.harness import command, likelihoods, options, pictures
from experiments.harness.bounds import Count, Size, Weight
from experiments.harness.measures import Measure
from gan_jax import data, losses, plots
from gan_jax.errors import Refusal
from gan_jax.metrics import active_units, bits_per_dimension
from gan_jax.nets import ConvDecoder, ConvEncoder, MLPEncoder, MLPGenerator
from gan_jax.systems import VAE, views
from gan_jax.training import Evaluation, first_batch
from gan_jax.typing import Batch

COLUMNS = 10
NUM_DRAWN = 8 * COLUMNS
MANIFOLD_SIDE = 15


@dataclass(frozen=True, kw_only=True)
class Config(likelihoods.LikelihoodOptions, pictures.SampleOptions):
    networks: Literal["mlp", "conv"] = "mlp"
    """One hidden layer of tanh units on each side, or two convolutions and their mirror."""
    width: Size = 500
    """Hidden units of the perceptrons; channels of the first convolution."""
    latent_dim: Size = 2
    likelihood: likelihoods.LikelihoodName = "bernoulli"
    """How the decoder's outputs are read: bits; brightnesses of variance 0.02, or of a learned one
    that is at least 0.001; levels of 256. All but the first go with --binarization none."""
    beta_weight: Weight = 1.0
    """Weight of the divergence from the prior."""
    optimizer: Literal["adam", "adagrad"] = "adam"
    """The paper's Adagrad comes with its prior over weights, N(0, I). Weights start as Flax has
    them and outputs at the mean image; the paper starts them at N(0, 0.01)."""
    evaluate: tuple[Measure, ...] = ()
    steps: Count = 2_250
    steps_per_dispatch: Count = 45
    evaluate_every: Count = 45
    checkpoint_every: Count = 450

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


def build(config: Config, batch: Batch, mean: jax.Array | None = None) -> VAE:
    """The model, whose outputs start at the `mean` image where it is to be trained."""
    likelihood = likelihoods.LIKELIHOODS[config.likelihood]
    numbers, dtype = 2 * config.latent_dim, jnp.dtype(config.dtype)
    _, *shape, channels = batch["image"].shape
    outputs = (*shape, likelihood.num_outputs * channels)
    if config.networks == "conv":
        if any(side % 4 for side in shape):
            raise Refusal(
                f"The images are {'x'.join(map(str, shape))}; --networks conv halves both sides "
                "twice: choose --networks mlp, or images whose sides are multiples of 4."
            )
        encoder = ConvEncoder(numbers, config.width, dtype=dtype)
        decoder = ConvDecoder(outputs, config.width, dtype=dtype)
    else:
        widths, bias = (config.width,), likelihoods.starting_at(mean, config.likelihood)
        encoder = MLPEncoder(numbers, widths, nn.tanh, dtype=dtype)
        decoder = MLPGenerator(outputs, widths, nn.tanh, output_bias_init=bias, dtype=dtype)
    return VAE(
        encoder=encoder,
        decoder=decoder,
        likelihood=likelihood,
        latent_dim=config.latent_dim,
        beta=config.beta_weight,
    )


def optimizer_of(config: Config, num_examples: int) -> optax.GradientTransformation:
    """Adam; or Adagrad, with log p(θ) = -‖θ‖²/2 as a share of each of the N examples."""
    if config.optimizer == "adam":
        return optax.adam(config.learning_rate)
    return optax.chain(
        optax.add_decayed_weights(1 / num_examples),
        optax.adagrad(config.learning_rate, initial_accumulator_value=0.0),
    )


def evaluator(config: Config, model: VAE, dataset: data.Dataset) -> options.Evaluate:
    """Reconstruct unseen images, draw others, and take the bound of all that are unseen."""
    unseen = {"image": config.unseen()[0]}
    some = unseen["image"][:COLUMNS]

    @jax.jit
    def look(key, weights):
        key_drawn, key_bound = jax.random.split(key)
        made = views.reconstructed(model, weights, {"image": some})
        rows = jnp.concatenate([some, made, model.sample(key_drawn, weights, NUM_DRAWN)])
        bound = model.bound(key_bound, weights, unseen, model.encode(weights, unseen))
        missing = options.flat(views.reconstructed(model, weights, unseen) - unseen["image"])
        error = jnp.mean(jnp.sum(missing**2, axis=1))
        return rows, jax.tree.map(jnp.mean, bound), error

    def evaluate(key, state) -> Evaluation:
        weights = state.player.weights
        rows, bound, error = look(key, weights)
        files = {"samples": plots.brightness_grid(rows, columns=len(some))}
        if config.latent_dim == 2:
            files["manifold"] = plots.brightness_grid(views.manifold(model, weights, MANIFOLD_SIDE))
        metrics = {"elbo": losses.elbo(*bound), **bound._asdict(), "error": error}
        return Evaluation(files, {f"unseen/{name}": x for name, x in metrics.items()})

    def draw(key, state, real):
        return 2 * model.sample(key, state.player.weights, len(real["image"])) - 1

    return config.measuring(evaluate, dataset, draw)


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, reconstruct and draw on the way, and estimate the likelihood of unseen images."""
    dataset = config.images()
    feed = config.image_feed(dataset)
    batch = first_batch(feed)
    model = build(config, batch, likelihoods.mean_image(dataset))
    optimizer = optimizer_of(config, len(dataset))
    result = config.train(
        config.descent(model.objective, optimizer),
        model.init(config.key("init"), batch, optimizer=optimizer),
        feed,
        evaluator(config, model, dataset),
        workdir=workdir,
        fresh=fresh,
        shown=("elbo", "kl"),
    )
    weights, unseen = result.state.player.weights, {"image": config.unseen()[0]}
    nll = config.negative_log_likelihoods(model.log_weights, weights, unseen)
    num_active = int(active_units(model.encode(weights, unseen).mean).sum())
    scores = {"nll": nll.mean(), "active_units": num_active}
    bits = ""
    if config.likelihood == "discretized_logistic":
        scores["bits_per_dimension"] = bits_per_dimension(nll.mean(), unseen["image"][0].size)
        bits = f" ({scores['bits_per_dimension']:.3f} bits per dimension)"
    return result.says(
        f"unseen images: bound {float(result.metrics['unseen/elbo']):.2f}, "
        f"{likelihoods.score_name(config)} "
        f"{likelihoods.with_error(nll)} nats{bits}, {num_active} active units",
        scores,
    )


if __name__ == "__main__":
    command.main("vae", run, CONFIGS, __doc__ or "")
