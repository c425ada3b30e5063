"""How regular a latent space is.    python -m experiments.regularity runs/autoencoder

Encodes the unseen images of a run of `experiments.autoencoder`, whose two models differ in nothing
but the noise on codes and the divergence from N(0, I). Says how near to that prior is what they
encode, how much images change with a small step in latents, whether near latents are those of near
images and of one class, beside neighbours by pixels, and how much the VAE's q(z|x) of two images
overlap.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import autoencoder
from experiments.harness import runs, text
from experiments.harness.neighbours import distances
from experiments.harness.options import flat
from experiments.harness.runs import Built, RunAgain, built
from gan_jax import losses, metrics
from gan_jax.errors import Refusal
from gan_jax.systems.latents import Gaussian, draw
from gan_jax.typing import KeyArray

NUM_NEIGHBOURS = 10
STEP = 0.1
"""Of the deviation of the codes: a small step."""
RADIUS = 2


def of_prior(key: KeyArray, latents: jax.Array) -> dict[str, Any]:
    """MMD² with a Gaussian kernel of width 1 to as many draws of N(0, I); 0 in the mean for these.

    in circle: of N(0, I) 86 % are within a radius of 2.
    """
    prior = jax.random.normal(key, latents.shape)
    kernel = losses.gaussian_kernel([1.0])
    return {
        "mmd2 to the prior": losses.mmd2(latents, prior, kernel, unbiased=True),
        "in the prior's circle": jnp.mean(jnp.linalg.norm(latents, axis=1) <= RADIUS),
    }


def change(key: KeyArray, model: Any, weights: Any, codes: jax.Array) -> jax.Array:
    """‖d(z + δ) - d(z)‖ over that of two codes, in the mean: δ is a tenth of their deviation."""
    steps = STEP * jnp.std(codes, axis=0, keepdims=True) * jax.random.normal(key, codes.shape)
    made, moved = (flat(model.decode(weights, z)) for z in (codes, codes + steps))
    apart = jnp.linalg.norm(made - jnp.roll(made, 1, axis=0), axis=1)
    return jnp.mean(jnp.linalg.norm(moved - made, axis=1)) / jnp.mean(apart)


def of_neighbours(points: jax.Array, images: jax.Array, labels: np.ndarray) -> dict[str, Any]:
    """Of each point's nearest: how far their images are, over that of any two, and their class."""
    nearest = np.argsort(distances(points), axis=1, kind="stable")[:, :NUM_NEIGHBOURS]
    apart = jnp.linalg.norm(images[:, None] - images[nearest], axis=2)
    any_two = jnp.linalg.norm(images - jnp.roll(images, 1, axis=0), axis=1)
    same = labels[nearest] == labels[:, None]
    return {
        "distance of neighbours": jnp.mean(apart) / jnp.mean(any_two),
        "class of neighbours": np.mean(same),
    }


def overlaps(posterior: Gaussian) -> dict[str, Any]:
    """∫ √(q(z|x) q(z|x')): of each image and the one of the nearest mean, and of any two."""
    nearest = distances(posterior.mean).argmin(axis=1)
    near, other = (
        metrics.gaussian_overlap(*posterior, *(a[rows] for a in posterior))
        for rows in (nearest, np.roll(np.arange(len(nearest)), 1))
    )
    return {"overlap with the nearest": jnp.mean(near), "overlap of any two": jnp.mean(other)}


def measured(key: KeyArray, run: Built) -> dict[str, dict[str, float]]:
    """The numbers of both models, and of pixels."""
    images, labels = run.config.unseen()
    found: dict[str, dict[str, Any]] = {}
    key_prior, key_step, key_draw = jax.random.split(key, 3)
    for name, model in run.system.items():
        weights = run.restored.weights(name, "player")
        codes, more = model.encode(weights, {"image": images}), {}
        latents = codes
        if isinstance(codes, Gaussian):
            latents, more, codes = draw(key_draw, codes), overlaps(codes), codes.mean
        found[name] = {
            **of_prior(key_prior, latents),
            "change by a step": change(key_step, model, weights, codes),
            **of_neighbours(codes, flat(images), labels),
            **more,
        }
    found["pixels"] = of_neighbours(flat(images), flat(images), labels)
    return {name: {k: float(v) for k, v in row.items()} for name, row in found.items()}


def run(chosen: RunAgain) -> str:
    """Measure, and say it in a table."""
    if chosen.live:
        raise Refusal("--live is on, but runs of autoencoder keep no moving average: leave it out.")
    run = built(chosen)
    if run.module is not autoencoder:
        made = run.restored.experiment
        raise Refusal(f"{chosen.run} is a run of {made}; name one of experiments.autoencoder.")
    found = measured(chosen.key, run)
    return text.columns(
        {f"{name}/{what}": x for name, row in found.items() for what, x in row.items()}, ".3f"
    )


if __name__ == "__main__":
    runs.main("regularity", RunAgain, run, __doc__ or "")
