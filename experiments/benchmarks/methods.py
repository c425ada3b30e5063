"""Time and memory of every method on a DCGAN.    python -m experiments.benchmarks.methods

Each method's whole step under `jit`, beside the alternating step's in the same repeat, and the
temporary memory of its compiled program as a multiple of the alternating step's.
"""

from dataclasses import dataclass

import jax

from experiments.benchmarks import timing
from experiments.harness.bounds import Count, CountOr0, Size
from experiments.harness.methods import METHODS, choose
from gan_jax import losses
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator
from gan_jax.systems import GAN, networks

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
        contenders[name], memory[name] = timing.ahead_of_time(method.step, start, batch)
    seconds = timing.measure(contenders, config.num_steps, config.repeats)
    timing.report(config, seconds, lambda name: [REFERENCE])
    timing.report_memory(memory, REFERENCE)


if __name__ == "__main__":
    timing.command("methods", main, Config, __doc__ or "")
