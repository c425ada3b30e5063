"""Milliseconds per step of the VAE, beside PyTorch's.    python -m experiments.benchmarks.vae

The model of `experiments.vae mnist` on as many random bytes as MNIST has, which stay on the device:
each step gathers a batch, draws its pixels, and moves by Adam.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from experiments import vae
from experiments.benchmarks import timing
from experiments.harness.bounds import Count, Size
from gan_jax import data
from gan_jax.training import batch_shapes

SHAPE = (28, 28, 1)
NUM_IMAGES = 60_000


@dataclass(frozen=True)
class Config(timing.Options):
    batch_size: Size = 100
    num_steps: Count = 600
    """Steps in each measurement, in one dispatch where it is a scan."""
    repeats: Count = 7


def main(config: Config) -> None:
    experiment = replace(vae.CONFIGS["mnist"], batch_size=config.batch_size)
    images = np.random.default_rng(0).integers(256, size=(NUM_IMAGES, *SHAPE), dtype=np.uint8)
    feed = experiment.image_feed(data.ArrayDataset({"image": images}))
    (indices,) = feed.chunks([(0, config.num_steps)])
    model = vae.build(experiment, batch_shapes(feed), jnp.full(SHAPE, 0.5))
    optimizer = vae.optimizer_of(experiment, NUM_IMAGES)
    step = experiment.descent(model.objective, optimizer)
    state = model.init(jax.random.key(0), batch_shapes(feed), optimizer=optimizer)
    resident = jax.device_put(feed.resident)

    def on_indices(key, state, item):
        key_step, key_data = jax.random.split(key)
        return step(key_step, state, feed.read(key_data, item["resident"], item["index"]))

    copied = jax.tree.map(jnp.copy, state)
    contenders = {
        "jit": timing.one_by_one(
            on_indices, copied, lambda t: {"resident": resident, "index": indices[t]}
        ),
        "scan": timing.in_one_dispatch(step, state, feed.read, resident, indices),
    }
    side = timing.torch_side()
    if side is not None:
        contenders |= side.timed_vae(
            images,
            indices,
            width=experiment.width,
            latent_dim=experiment.latent_dim,
            learning_rate=experiment.learning_rate,
        )
    seconds = timing.measure(contenders, config.num_steps, config.repeats)
    timing.report(config, seconds, lambda name: ["PyTorch", "torch.compile"])


if __name__ == "__main__":
    timing.command("vae", main, Config, __doc__ or "")
