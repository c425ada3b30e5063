"""Images per second of the VAE, beside PyTorch's.    python -m experiments.benchmarks.vae

The model of `experiments.vae mnist` on as many random bytes as MNIST has, which stay on the device:
each step gathers a batch, draws its pixels, and moves by Adam. Ratios are taken within a repeat.
"""

import statistics
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from experiments import vae
from experiments.benchmarks import speed
from gan_jax import data
from gan_jax.typing import Feed

SHAPE = (28, 28, 1)
NUM_IMAGES = 60_000


@dataclass(frozen=True)
class Config:
    batch_size: int = 100
    num_steps: int = 600
    """Steps in each measurement, in one dispatch where it is a scan."""
    repeats: int = 7


def run(config: Config) -> dict[str, list[float]]:
    """Measure seconds per step of every contender, in every repeat."""
    experiment = replace(vae.CONFIGS["mnist"], batch_size=config.batch_size)
    images = np.random.default_rng(0).integers(256, size=(NUM_IMAGES, *SHAPE), dtype=np.uint8)
    dataset = data.ArrayDataset({"image": images})
    feed = experiment.image_feed(dataset, config.batch_size, data.unit)
    (indices,) = feed.chunks([(0, config.num_steps)])
    contenders = in_jax(experiment, feed, indices)
    torch_side = speed.where_installed()
    if torch_side is not None:
        contenders |= torch_side.timed_vae(
            images,
            indices,
            width=experiment.width,
            latent_dim=experiment.latent_dim,
            learning_rate=experiment.learning_rate,
        )
    return speed.measure(contenders, config.num_steps, config.repeats)


def in_jax(experiment: vae.Config, feed: Feed, indices: np.ndarray) -> dict[str, speed.Timed]:
    model = vae.build(experiment, jnp.full(SHAPE, 0.5))
    optimizer = vae.optimizer_of(experiment, NUM_IMAGES)
    step = experiment.descent(model.objective, optimizer)
    state = model.init(jax.random.key(0), optimizer=optimizer)
    resident = jax.device_put(feed.resident)

    def on_indices(key, state, batch):
        return step(key, state, feed.read(*batch))

    copied = jax.tree.map(jnp.copy, state)
    return {
        "jit": speed.one_by_one(on_indices, copied, lambda t: (resident, indices[t])),
        "scan": speed.in_one_dispatch(step, state, feed.read, resident, indices),
    }


def report(config: Config, seconds: dict[str, list[float]]) -> None:
    print(f"{config} on {jax.devices()[0].device_kind}, JAX {jax.__version__}")
    for name, times in seconds.items():
        per_second = config.batch_size / statistics.median(times)
        line = f"{name:14s} {per_second:9.0f} images a second"
        for reference in ("PyTorch", "torch.compile"):
            if reference in seconds:
                line += f"   {speed.compared(times, seconds[reference])} times {reference}'s speed"
        print(line)


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    report(chosen, run(chosen))
