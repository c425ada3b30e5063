"""How likely images are to a run's generator.    python -m experiments.likelihood runs/dcgan

A generator G has no density. With noise on every pixel it has one, p(x) = ∫ N(x; G(z), σ²I) p(z)
dz, and annealed importance sampling finds latents that make x: an estimate that is too low in the
mean, the less the more temperatures there are. Beside it the mean over latents of the prior, which
is Parzen's kernel estimate on as many samples: far lower where latents are many, as none of them
comes near. Of images that the run has not seen, and of some that it has: were these likelier, it
would know them by heart. Of a VAE it is that of its means with such noise; its own likelihood
`evaluate` has.

Wu, Burda, Salakhutdinov & Grosse 2017.
"""

import dataclasses
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from experiments.harness import options, runs, text
from experiments.harness.bounds import Count, Rate, Several
from experiments.harness.features import in_chunks
from experiments.harness.pictures import PictureOptions
from experiments.harness.runs import Opened, RunAgain, of_latents_alone
from gan_jax import data, losses, metrics
from gan_jax.errors import Refusal
from gan_jax.typing import KeyArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    num: Several = 10
    """Images, of each of the two kinds."""
    std: Rate = 0.2
    """Of the noise on each pixel, which is in [0, 1]."""
    num_chains: Count = 4
    """Latents that are annealed for each image."""
    num_temperatures: Count = 200
    """From the prior to the posterior."""
    num_samples: Count = 10_000
    """Of the kernel estimate."""


def of_normal(
    run: Opened, noise: Float[jax.Array, "num latents"]
) -> Float[jax.Array, "num pixels"]:
    """Images in [0, 1] of noise from N(0, I)."""
    latents = run.maker.latents
    made = run.maker.generate(run.weights, latents.of_normal(noise.reshape(-1, *latents.shape)))
    return options.flat((run.to_signed(made) + 1) / 2)


def samples_of(key: KeyArray, run: Opened, num: int) -> Float[jax.Array, "num pixels"]:
    noise = jax.random.normal(key, (num, math.prod(run.maker.latents.shape)))
    return in_chunks(jax.jit(partial(of_normal, run)), noise)


def likelihoods(
    key: KeyArray,
    run: Opened,
    images: UInt8[np.ndarray, "num *shape"],
    samples: Float[jax.Array, "num_samples pixels"],
    chosen: Options,
) -> dict[str, metrics.Spread]:
    """log p(x) by annealing and by a kernel estimate, and how well the annealing went."""
    x = jnp.asarray(options.flat(data.unit(images)))
    likelihood = losses.gaussian(chosen.std**2)
    size = math.prod(run.maker.latents.shape)

    def log_likelihood(z):
        made = of_normal(run, z.reshape(-1, size))
        return likelihood.log_prob(jnp.tile(x, (len(z), 1)), made).reshape(z.shape[:2])

    annealed = metrics.annealed_log_likelihood(
        key,
        log_likelihood,
        batch_size=len(x),
        latent_dim=size,
        num_chains=chosen.num_chains,
        num_temperatures=chosen.num_temperatures,
    )
    found = {
        "annealed (nats)": annealed.log_likelihood,
        "kernel estimate (nats)": metrics.parzen_log_likelihood(x, samples, chosen.std),
        "effective samples": annealed.effective_samples,
        "acceptance": annealed.acceptance,
    }
    return {name: metrics.spread(np.asarray(values)) for name, values in found.items()}


def run(chosen: Options) -> str:
    """Estimate, and say it."""
    run = of_latents_alone(chosen)
    if not hasattr(run.maker.latents, "of_normal"):
        raise Refusal(
            f"{chosen.run} draws latents of several kinds or by a function of its own; those of "
            "networks.normal and networks.uniform are annealed: give a run of dcgan, wgan or vae."
        )
    key_annealing, key_samples = jax.random.split(chosen.key)
    samples = samples_of(key_samples, run, chosen.num_samples)
    found = {}
    for kind, split in {"unseen": "test", "seen": "train"}.items():
        dataset = PictureOptions.images(run.config, split, crop="center")  # not of bits
        images = options.first_examples(dataset, chosen.num)["image"]
        found[kind] = likelihoods(key_annealing, run, images, samples, chosen)
    rows = [
        (name, *(text.plus_minus(of[name].mean, of[name].error) for of in found.values()))
        for name in found["seen"]
    ]
    return text.table([("means ± standard errors", *found), *rows])


if __name__ == "__main__":
    runs.main("likelihood", Options, run, __doc__ or "")
