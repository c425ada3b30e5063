"""Time and memory of every method on a DCGAN.    python -m experiments.benchmarks.methods

Each method's whole step under `jit`, beside the alternating step's in the same repeat, and the
temporary memory of its compiled program as a multiple of the alternating step's.
"""

from dataclasses import dataclass
from typing import Any

import jax

from experiments.benchmarks import timing
from experiments.harness.bounds import Count, CountOr0, Size
from experiments.harness.methods import METHODS, choose
from gan_jax import losses
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import compiler_options

REFERENCE = "alternating"


@dataclass(frozen=True)
class Config(timing.Options):
    width: Size = 32
    """Channels next to the image; the paper has 64."""
    batch_size: Size = 64
    """Images of 32x32."""
    num_unrolled_steps: CountOr0 = 5
    """Moves that an unrolled generator foresees."""
    num_steps: Count = 3
    """Steps in each measurement."""
    repeats: Count = 5
    """Measurements of every method, taken in turn."""


def main(config: Config) -> None:
    system = GAN(
        generator=DCGANGenerator(32, 1, width=config.width),
        discriminator=DCGANDiscriminator(width=config.width),
        loss=losses.minimax(),
        latents=networks.normal(100),
    )
    key = jax.random.key(0)
    batch = {"image": jax.random.uniform(key, (config.batch_size, 32, 32, 1), minval=-1.0)}
    contenders, memory = {}, {}
    for name in METHODS:
        method = choose(
            name,
            system.game,
            learning_rate=2e-4,
            rule="adam",
            weight=1e-3,
            num_unrolled_steps=config.num_unrolled_steps,
        )
        start = method.remember(system.init(key, batch, optimizers=method.optimizers))
        step = jax.jit(method.step, compiler_options=compiler_options())
        compiled = step.lower(key, start, batch).compile()
        analysis: Any = compiled.memory_analysis()
        memory[name] = analysis.temp_size_in_bytes

        def timed(num_steps, compiled=compiled, state=start):
            for _ in range(num_steps):
                state, _ = compiled(key, state, batch)
            jax.block_until_ready(state)

        contenders[name] = timed
    seconds = timing.measure(contenders, config.num_steps, config.repeats)
    timing.report(config, seconds, lambda name: [REFERENCE])
    for name, of_method in memory.items():
        print(f"{name:28s} {of_method / memory[REFERENCE]:6.2f} times {REFERENCE}'s memory")


if __name__ == "__main__":
    timing.command("methods", main, Config, __doc__ or "")
