"""Milliseconds per step of pix2pix and CycleGAN.    python -m experiments.benchmarks.translation

Beside the same networks in PyTorch, in the order of play of the authors' code, where it is
installed.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks import timing
from experiments.benchmarks.timing import Timed
from experiments.harness.bounds import Count, Size
from gan_jax import losses, nets
from gan_jax.games import GameState, Optimizers, alternating_step, simultaneous_step
from gan_jax.systems import CycleGAN, pix2pix
from gan_jax.typing import Batch, Step

LEARNING_RATE = 2e-4


@dataclass(frozen=True)
class Config(timing.Options):
    network: Literal["pix2pix", "cyclegan"] = "pix2pix"
    """A U-Net, or two residual generators, on images in three colours."""
    size: Size = 64
    batch_size: Size = 4
    width: Size = 32
    depth: Count = 6
    """How often the U-Net halves images."""
    num_blocks: Count = 6
    """Residual blocks of CycleGAN's generators."""
    num_layers: Count = 2
    """Halvings in the discriminators."""
    num_steps: Count = 5
    """Steps in each measurement, in one dispatch where it is a scan."""
    repeats: Count = 7


def build(config: Config) -> tuple[GameState, Step, Batch]:
    """A state, one step of it in the authors' order of play, and a batch."""
    shape = config.batch_size, config.size, config.size, 3
    x, y = (jax.random.uniform(jax.random.key(i), shape, minval=-1.0) for i in range(2))
    critic = nets.PatchDiscriminator(config.num_layers, config.width)
    adam = optax.adam(LEARNING_RATE, b1=0.5)
    optimizers = Optimizers(generator=adam, discriminator=adam)
    if config.network == "pix2pix":
        network = nets.UNet(3, config.width, config.depth)
        loss = losses.non_saturating()
        system = pix2pix(generator=network, discriminator=critic, loss=loss)
        update, batch = alternating_step, {"condition": x, "target": y}
    else:
        network = nets.ResidualGenerator(3, config.width, config.num_blocks)
        loss = losses.least_squares()
        system = CycleGAN(generator=network, discriminator=critic, loss=loss)
        update, batch = simultaneous_step, {"source": {"image": x}, "target": {"image": y}}
    state = jax.jit(partial(system.init, optimizers=optimizers))(jax.random.key(0), batch)
    return state, partial(update, game=system.game, optimizers=optimizers), batch


def in_jax(config: Config) -> dict[str, Timed]:
    state, step, batch = build(config)
    copied = jax.tree.map(jnp.copy, state)
    chunk = np.zeros((config.num_steps, config.batch_size))
    name = config.network
    return {
        f"{name}, jit": timing.one_by_one(step, copied, lambda t: batch),
        f"{name}, scan": timing.in_one_dispatch(
            step, state, lambda key, resident, item: resident, batch, chunk
        ),
    }


def in_torch(config: Config) -> dict[str, Timed]:
    side = timing.torch_side("translation_in_torch")
    return {f"{config.network}, PyTorch": side.timed(config, LEARNING_RATE)} if side else {}


def main(config: Config) -> None:
    contenders = in_jax(config) | in_torch(config)
    seconds = timing.measure(contenders, config.num_steps, config.repeats)
    timing.report(config, seconds, lambda name: [f"{config.network}, PyTorch"])


if __name__ == "__main__":
    timing.command("translation", main, Config, __doc__ or "")
