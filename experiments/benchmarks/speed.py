"""Milliseconds per step, beside PyTorch's.    python -m experiments.benchmarks.speed

PyTorch takes part where it is installed.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks import timing
from experiments.benchmarks.timing import Timed
from experiments.harness.bounds import Count, Size
from gan_jax.games import Optimizers, alternating_step, simultaneous_step
from gan_jax.losses import non_saturating
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks

LEARNING_RATE = 2e-4
UPDATES = {"alternating": alternating_step, "simultaneous": simultaneous_step}


@dataclass(frozen=True)
class Config(timing.Options):
    network: Literal["dcgan", "mlp"] = "dcgan"
    """32x32 RGB images, width 64; or points in the plane, three layers of 128."""
    batch_size: Size = 64
    kernel_size: Literal[4, 5] = 5
    """Of the DCGAN: 5 as in the paper, 4 as in most of its implementations."""
    bfloat16: bool = False
    """Compute in bfloat16; PyTorch under autocast."""
    num_steps: Count = 20
    """Steps in each measurement, in one dispatch where it is a scan."""
    repeats: Count = 7


def build(config: Config) -> tuple[GAN, dict[str, jax.Array]]:
    dtype = jnp.bfloat16 if config.bfloat16 else None
    if config.network == "dcgan":
        generator: nn.Module = DCGANGenerator(32, 3, kernel_size=config.kernel_size, dtype=dtype)
        discriminator: nn.Module = DCGANDiscriminator(kernel_size=config.kernel_size, dtype=dtype)
        field, shape, latent_dim = "image", (32, 32, 3), 100
    else:
        generator = MLPGenerator((2,), (128,) * 3, dtype=dtype)
        discriminator = MLPDiscriminator((128,) * 3, dtype=dtype)
        field, shape, latent_dim = "point", (2,), 2
    system = GAN(
        generator=generator,
        discriminator=discriminator,
        loss=non_saturating(),
        latents=networks.normal(latent_dim),
        field=field,
    )
    real = jax.random.uniform(jax.random.key(1), (config.batch_size, *shape), minval=-1.0)
    return system, {field: real}


def in_jax(config: Config) -> dict[str, Timed]:
    system, batch = build(config)
    adam = optax.adam(LEARNING_RATE, b1=0.5)
    optimizers = Optimizers(generator=adam, discriminator=adam)
    chunk = np.zeros((config.num_steps, config.batch_size))
    contenders = {}
    for name, update in UPDATES.items():
        step = partial(update, game=system.game, optimizers=optimizers)
        state = system.init(jax.random.key(0), batch, optimizers=optimizers)
        copied = jax.tree.map(jnp.copy, state)
        contenders[f"{name}, jit"] = timing.one_by_one(step, copied, lambda t: batch)
        contenders[f"{name}, scan"] = timing.in_one_dispatch(
            step, state, lambda key, resident, item: resident, batch, chunk
        )
    return contenders


def in_torch(config: Config) -> dict[str, Timed]:
    side = timing.torch_side()
    if side is None:
        return {}
    return {
        f"{update}, PyTorch": side.timed(
            update,
            config.network,
            batch_size=config.batch_size,
            kernel_size=config.kernel_size,
            learning_rate=LEARNING_RATE,
            bfloat16=config.bfloat16,
        )
        for update in UPDATES
    }


def main(config: Config) -> None:
    contenders = in_jax(config) | in_torch(config)
    seconds = timing.measure(contenders, config.num_steps, config.repeats)
    timing.report(config, seconds, lambda name: [f"{name.partition(',')[0]}, PyTorch"])


if __name__ == "__main__":
    timing.command("speed", main, Config, __doc__ or "")
