"""Time and memory of every method on a DCGAN.    python -m experiments.benchmarks.methods

Each method's whole step under `jit`, as a multiple of the alternating step's time in the same
repeat, and the temporary memory of its compiled program as a multiple of the alternating step's.
"""

import statistics
import time
from dataclasses import dataclass

import jax
import numpy as np
import tyro

from experiments.methods import METHODS, Method, choose
from gan_jax import losses
from gan_jax.games import GameState
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator
from gan_jax.systems import gan
from gan_jax.training import compiler_options
from gan_jax.typing import Batch, KeyArray

REFERENCE = "alternating"


@dataclass(frozen=True)
class Config:
    width: int = 32
    """Channels next to the image; the paper has 64."""
    batch_size: int = 64
    """Images of 32x32."""
    num_unrolled_steps: int = 5
    """Moves that an unrolled generator foresees."""
    num_steps: int = 3
    """Steps in each measurement."""
    num_repeats: int = 5
    """Measurements of every method, taken in turn."""


def main(config: Config) -> None:
    system = gan(
        generator=DCGANGenerator(32, 1, width=config.width),
        discriminator=DCGANDiscriminator(width=config.width),
        loss=losses.minimax(),
        latent_dim=100,
    )
    key = jax.random.key(0)
    batch = {"image": jax.random.uniform(key, (config.batch_size, 32, 32, 1), minval=-1.0)}
    compiled, states = {}, {}
    for name in METHODS:
        method: Method = choose(
            name,
            system.game,
            learning_rate=2e-4,
            rule="adam",
            weight=1e-3,
            num_unrolled_steps=config.num_unrolled_steps,
        )
        states[name] = method.remember(system.init(key, optimizers=method.optimizers))
        step = jax.jit(method.step, compiler_options=compiler_options())
        compiled[name] = step.lower(key, states[name], batch).compile()
    times = {name: [] for name in METHODS}
    for _ in range(config.num_repeats):
        for name in METHODS:
            times[name].append(seconds(compiled[name], key, states[name], batch, config.num_steps))
    print(f"{'method':20s} {'ms a step':>10s} {'times alternating':>22s} {'memory':>8s}")
    for name in METHODS:
        ratios = np.array(times[name]) / np.array(times[REFERENCE])
        temporary = [memory(compiled[which]) for which in (name, REFERENCE)]
        print(
            f"{name:20s} {1e3 * statistics.median(times[name]):10.0f} "
            f"{np.median(ratios):8.2f} ({ratios.min():.2f} to {ratios.max():.2f}) "
            f"{temporary[0] / temporary[1]:8.2f}"
        )


def seconds(step, key: KeyArray, state: GameState, batch: Batch, num_steps: int) -> float:
    start = time.perf_counter()
    for _ in range(num_steps):
        state, _ = step(key, state, batch)
    jax.block_until_ready(state)
    return (time.perf_counter() - start) / num_steps


def memory(compiled) -> int:
    """Bytes of temporaries that the compiler has planned."""
    return compiled.memory_analysis().temp_size_in_bytes


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
