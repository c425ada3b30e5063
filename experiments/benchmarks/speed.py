"""Steps per second, beside PyTorch's.    python -m experiments.benchmarks.speed

Every repeat times every contender once, so that all meet the same machine; a ratio is taken within
a repeat. PyTorch takes part where it is installed.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from gan_jax.games import Optimizers, alternating_step, simultaneous_step
from gan_jax.losses import non_saturating
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, gan
from gan_jax.training import jit_step
from gan_jax.training.compile import runtime
from gan_jax.typing import Batch, PyTree, Step

LEARNING_RATE = 2e-4
UPDATES = {"alternating": alternating_step, "simultaneous": simultaneous_step}
Timed = Callable[[int], None]
"""Runs at least that many steps and waits until they are done."""


@dataclass(frozen=True)
class Config:
    network: Literal["dcgan", "mlp"] = "dcgan"
    """32x32 RGB images, width 64; or points in the plane, three layers of 128."""
    batch_size: int = 64
    kernel_size: Literal[4, 5] = 5
    """Of the DCGAN: 5 as in the paper, 4 as in most of its implementations."""
    bfloat16: bool = False
    """Compute in bfloat16; PyTorch under autocast."""
    num_steps: int = 20
    """Steps in each measurement, in one dispatch where it is a scan."""
    repeats: int = 7


def run(config: Config) -> dict[str, list[float]]:
    """Measure seconds per step of every contender, in every repeat."""
    return measure(in_jax(config) | in_torch(config), config.num_steps, config.repeats)


def measure(contenders: dict[str, Timed], num_steps: int, repeats: int) -> dict[str, list[float]]:
    """Measure seconds per step of every contender, in every repeat, after one to compile."""
    for timed in contenders.values():
        timed(num_steps)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, timed in contenders.items():
            start = time.perf_counter()
            timed(num_steps)
            seconds[name].append((time.perf_counter() - start) / num_steps)
    return seconds


def in_jax(config: Config) -> dict[str, Timed]:
    system, batch = build(config)
    adam = optax.adam(LEARNING_RATE, b1=0.5)
    optimizers = Optimizers(generator=adam, discriminator=adam)
    contenders = {}
    for name, update in UPDATES.items():
        step = partial(update, game=system.game, optimizers=optimizers)
        state = system.init(jax.random.key(0), optimizers=optimizers)
        copied = jax.tree.map(jnp.copy, state)
        contenders[f"{name}, jit"] = one_by_one(step, copied, lambda t: batch)
        contenders[f"{name}, scan"] = in_one_dispatch(
            step,
            state,
            lambda resident, item: resident,
            batch,
            np.zeros((config.num_steps, config.batch_size)),
        )
    return contenders


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
    system = gan(
        generator=generator,
        discriminator=discriminator,
        loss=non_saturating(),
        latent_dim=latent_dim,
        field=field,
    )
    real = jax.random.uniform(jax.random.key(1), (config.batch_size, *shape), minval=-1.0)
    return system, {field: real}


def one_by_one(step: Step, state: PyTree, batch_at: Callable[[int], Batch]) -> Timed:
    compiled, key = jit_step(step), jax.random.key(0)
    kept = [state]

    def timed(num_steps):
        for t in range(num_steps):
            kept[0], _ = compiled(jax.random.fold_in(key, t), kept[0], batch_at(t))
        jax.block_until_ready(kept[0])

    return timed


def in_one_dispatch(
    step: Step,
    state: PyTree,
    read: Callable[[PyTree, PyTree], Batch],
    resident: PyTree,
    chunk: np.ndarray,
) -> Timed:
    one_device = runtime(step, read, parallel="none", batch_size=chunk.shape[1])
    key, resident = one_device.place_whole((jax.random.key(0), resident))
    chunk = one_device.place_chunk(chunk)
    kept = [one_device.place(state)]

    def timed(_):
        kept[0], _ = one_device.dispatch(key, 0, kept[0], resident, chunk)
        jax.block_until_ready(kept[0])

    return timed


def in_torch(config: Config) -> dict[str, Timed]:
    torch_side = where_installed()
    if torch_side is None:
        return {}
    return {
        f"{update}, PyTorch": torch_side.timed(
            update,
            config.network,
            batch_size=config.batch_size,
            kernel_size=config.kernel_size,
            learning_rate=LEARNING_RATE,
            bfloat16=config.bfloat16,
        )
        for update in UPDATES
    }


def where_installed() -> ModuleType | None:
    """Import the benchmarks in PyTorch, or say that there is none."""
    try:
        from experiments.benchmarks import in_torch
    except ModuleNotFoundError:
        print("PyTorch is not installed: no ratios.")
        return None
    return in_torch


def report(config: Config, seconds: dict[str, list[float]]) -> None:
    print(f"{config} on {jax.devices()[0].device_kind}, JAX {jax.__version__}")
    for name, times in seconds.items():
        line = f"{name:24s} {statistics.median(times) * 1e3:9.3f} ms a step"
        reference = seconds.get(f"{name.partition(',')[0]}, PyTorch")
        if reference:
            line += f"   {compared(times, reference)} times PyTorch's speed"
        print(line)


def compared(times: list[float], reference: list[float]) -> str:
    """How many times as fast as the reference, and the range over the repeats."""
    ratios = sorted(theirs / ours for ours, theirs in zip(times, reference, strict=True))
    return f"{statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    report(chosen, run(chosen))
