"""Milliseconds per step of a GAN of short clips.    python -m experiments.benchmarks.video

A critic of strided convolutions over time and space and a generator of their transposes, by our
layers, by Flax's, and in PyTorch where it is installed. Flax's take nearly all of the time. Ask for
two steps at least: a `scan` of one is no loop.
"""

from dataclasses import dataclass
from functools import partial
from types import ModuleType

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks import timing
from experiments.benchmarks.timing import Timed
from experiments.harness.bounds import Count, Size
from gan_jax import nets
from gan_jax.games import GameState, Optimizers, alternating_step
from gan_jax.losses import non_saturating
from gan_jax.systems import GAN, networks
from gan_jax.typing import Batch, Step

LEARNING_RATE = 2e-4
LATENT_DIM = 100
HALVED = {"kernel_size": (4, 4, 4), "strides": (2, 2, 2)}


@dataclass(frozen=True)
class Config(timing.Options):
    batch_size: Size = 16
    """Clips of 8 frames of 32x32 in three colours."""
    width: Size = 32
    """Channels of the critic's first layer."""
    num_steps: Count = 2
    """Steps in each measurement, in one dispatch where it is a scan."""
    repeats: Count = 5


class Generator(nn.Module):
    width: int
    layer: type[nn.Module]

    @nn.compact
    def __call__(self, latents, *, train=False):
        norm = partial(nn.BatchNorm, use_running_average=not train)
        x = nn.Dense(4 * 4 * 4 * self.width, use_bias=False)(latents)
        x = nn.relu(norm()(x.reshape(-1, 1, 4, 4, 4 * self.width)))
        for features in (2 * self.width, self.width):
            x = nn.relu(norm()(self.layer(features, **HALVED, use_bias=False)(x)))
        return jnp.tanh(self.layer(3, **HALVED)(x))


class Critic(nn.Module):
    width: int
    layer: type[nn.Module]

    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.leaky_relu(self.layer(self.width, **HALVED)(x), 0.2)
        for features in (2 * self.width, 4 * self.width):
            x = self.layer(features, **HALVED, use_bias=False)(x)
            x = nn.leaky_relu(nn.BatchNorm(use_running_average=not train)(x), 0.2)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


def build(config: Config, layers: ModuleType) -> tuple[GameState, Step, Batch]:
    """A state, one alternating step of it, and a batch; `layers` has Conv and ConvTranspose."""
    shape = config.batch_size, 8, 32, 32, 3
    batch = {"video": jax.random.uniform(jax.random.key(1), shape, minval=-1.0)}
    adam = optax.adam(LEARNING_RATE, b1=0.5)
    optimizers = Optimizers(generator=adam, discriminator=adam)
    system = GAN(
        generator=Generator(config.width, layers.ConvTranspose),
        discriminator=Critic(config.width, layers.Conv),
        loss=non_saturating(),
        latents=networks.normal(LATENT_DIM),
        field="video",
    )
    state = jax.jit(partial(system.init, optimizers=optimizers))(jax.random.key(0), batch)
    return state, partial(alternating_step, game=system.game, optimizers=optimizers), batch


def in_jax(config: Config) -> dict[str, Timed]:
    chunk = np.zeros((config.num_steps, config.batch_size))
    contenders = {}
    for name, layers in {"ours": nets, "Flax": nn}.items():
        state, step, batch = build(config, layers)
        copied = jax.tree.map(jnp.copy, state)
        contenders[f"{name}, jit"] = timing.one_by_one(step, copied, lambda t, batch=batch: batch)
        contenders[f"{name}, scan"] = timing.in_one_dispatch(
            step, state, lambda key, resident, item: resident, batch, chunk
        )
    return contenders


def in_torch(config: Config) -> dict[str, Timed]:
    side = timing.torch_side("video_in_torch")
    if side is None:
        return {}
    return {"PyTorch": side.timed(config.batch_size, config.width, LATENT_DIM, LEARNING_RATE)}


def main(config: Config) -> None:
    contenders = in_jax(config) | in_torch(config)
    seconds = timing.measure(contenders, config.num_steps, config.repeats)
    timing.report(config, seconds, lambda name: [f"Flax, {name.partition(', ')[2]}", "PyTorch"])


if __name__ == "__main__":
    timing.command("video", main, Config, __doc__ or "")
