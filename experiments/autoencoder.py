"""Autoencoder or VAE: two latent spaces.    python -m experiments.autoencoder

Trains an autoencoder and a variational one of the same networks on the same images, with two
latents, and compares what they decode from N(0, I) with real images, by precision and recall of
pixels. Pictures hold the latents of unseen images, and samples of both. `paper` has the layers of
Hinton & Salakhutdinov (2006), 784-1000-500-250-2, and the 200 epochs that they fine-tune on MNIST.
Theirs are logistic units under a cross-entropy, pretrained, then moved by conjugate gradients on
1,000 images; ours ReLUs under squared errors, and Adam from random weights on 100.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness import command, likelihoods, options, pictures, runs, text
from experiments.harness.bounds import Count, Size
from gan_jax import data, plots
from gan_jax.errors import Refusal
from gan_jax.games import together
from gan_jax.metrics import precision_recall
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import VAE, Autoencoder
from gan_jax.training import Evaluation, first_batch
from gan_jax.typing import Batch

LATENT_DIM = 2
NUM_SHOWN = 32
NUM_COMPARED = 2_000


@dataclass(frozen=True, kw_only=True)
class Config(likelihoods.ImageOptions, pictures.SampleOptions):
    binarization: Literal["stochastic", "static", "none"] = "none"
    widths: tuple[Size, ...] = (256, 256)
    """Units of the encoder's hidden layers; the decoder's are its mirror."""
    steps: Count = 2_250
    steps_per_dispatch: Count = 45
    evaluate_every: Count = 450
    checkpoint_every: Count = 450

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.binarization != "none":
            raise Refusal(
                f"--binarization is {self.binarization}; both models have squared errors, of "
                "brightnesses: leave it at none."
            )


CONFIGS = {
    "digits": Config(),
    "paper": Config(
        dataset="mnist",
        widths=(1_000, 500, 250),
        num_unseen=10_000,
        steps=120_000,
        steps_per_dispatch=100,
        evaluate_every=6_000,
        checkpoint_every=600,
    ),
}


def build(config: Config, batch: Batch, mean: jax.Array | None = None) -> dict[str, Any]:
    """Both models, whose outputs start at the `mean` image where they are to be trained."""
    dtype = jnp.dtype(config.dtype)
    decoder = MLPGenerator(
        batch["image"].shape[1:],
        config.widths[::-1],
        output_bias_init=likelihoods.starting_at(mean, "gaussian"),
        dtype=dtype,
    )
    return {
        "autoencoder": Autoencoder(
            encoder=MLPEncoder(LATENT_DIM, config.widths, dtype=dtype),
            decoder=decoder,
            latent_dim=LATENT_DIM,
        ),
        "vae": VAE(
            encoder=MLPEncoder(2 * LATENT_DIM, config.widths, dtype=dtype),
            decoder=decoder,
            likelihood=likelihoods.LIKELIHOODS["gaussian"],
            latent_dim=LATENT_DIM,
        ),
    }


def maker(config: Config, models: dict[str, Any]) -> runs.Maker:
    """The autoencoder has no latents to draw; the VAE has."""
    vae = models["vae"]
    return runs.Maker(vae.sample, vae.latents, vae.generate, at=("vae",))


def evaluator(config: Config, models: dict[str, Any], dataset: data.Dataset) -> options.Evaluate:
    """Draw latents and samples of both; measure their errors, and how real the samples are."""
    images, labels = config.unseen()
    real = options.flat(data.unit(options.first_examples(dataset, NUM_COMPARED)["image"]))
    others = config.real_images(dataset) if config.evaluate else None

    @jax.jit
    def look(key, state):
        codes, errors, drawn = {}, {}, {}
        latents = jax.random.normal(key, (len(real), LATENT_DIM))
        for name, model in models.items():
            weights = state[name].player.weights
            encoded = model.encode(weights, {"image": images})
            codes[name] = encoded if name == "autoencoder" else encoded.mean
            made = model.decode(weights, codes[name])
            errors[name] = jnp.mean(jnp.sum(options.flat(made - images) ** 2, axis=1))
            drawn[name] = model.decode(weights, latents)
        return codes, errors, drawn

    def evaluate(key, state) -> Evaluation:
        codes, errors, drawn = look(key, state)
        metrics = {f"{name}/unseen_error": error for name, error in errors.items()}
        for name, made in drawn.items():
            found = precision_recall(real, options.flat(made))._asdict()
            if others is not None:
                found |= config.measured(others, 2 * made[: pictures.NUM_MEASURED] - 1)
            metrics |= {f"{name}/{what}": value for what, value in found.items()}
        shown = np.concatenate([made[:NUM_SHOWN] for made in drawn.values()])
        files = {
            "samples": plots.brightness_grid(shown),
            "latents": plots.latents(jax.device_get(codes), labels),
        }
        return Evaluation(files, metrics)

    return evaluate


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train both, draw their latents and samples on the way, and compare."""
    dataset = config.images()
    feed = config.image_feed(dataset)
    batch, optimizer = first_batch(feed), optax.adam(config.learning_rate)
    models = build(config, batch, likelihoods.mean_image(dataset))
    result = config.train(
        together({name: config.descent(m.objective, optimizer) for name, m in models.items()}),
        {
            name: model.init(config.key("init"), batch, optimizer=optimizer)
            for name, model in models.items()
        },
        feed,
        evaluator(config, models, dataset),
        workdir=workdir,
        fresh=fresh,
        shown=("autoencoder/loss", "vae/loss"),
    )
    return result.says(text.columns(result.metrics))


if __name__ == "__main__":
    command.main("autoencoder", run, CONFIGS, __doc__ or "")
