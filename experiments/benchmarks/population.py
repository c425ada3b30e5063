"""GANs by vmap, or one after the other.    python -m experiments.benchmarks.population

The ring's MLP pair (three layers of 128) and alternating steps, as in
`experiments.benchmarks.speed`: many seeds in one vmapped scan, each seed in a scan of its own, and,
where PyTorch is installed, each in PyTorch. Times are of a step of one GAN.
"""

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import optax

from experiments.benchmarks import speed, timing
from experiments.harness.bounds import Count, Size
from gan_jax.errors import Refusal
from gan_jax.games import Optimizers, alternating_step
from gan_jax.training import compiler_options


@dataclass(frozen=True)
class Config(timing.Options):
    num_seeds: Size = 64
    """GANs in the population."""
    batch_size: Size = 128
    """Points in each step of each."""
    num_steps: Count = 50
    """Steps in each measurement."""
    repeats: Count = 7
    num_alone: Size = 4
    """GANs that are run one after the other, and whose time stands for that of all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_alone > self.num_seeds:
            raise Refusal(
                f"--num-alone is {self.num_alone}; there are {self.num_seeds}, --num-seeds."
            )


def main(config: Config) -> None:
    game = speed.Config(network="mlp", batch_size=config.batch_size)
    system, batch = speed.build(game)
    adam = optax.adam(speed.LEARNING_RATE, b1=0.5)
    optimizers = Optimizers(generator=adam, discriminator=adam)
    step = partial(alternating_step, game=system.game, optimizers=optimizers)
    keys = jax.random.split(jax.random.key(0), config.num_seeds)
    states = jax.vmap(lambda key: system.init(key, batch, optimizers=optimizers))(keys)
    one = jax.tree.map(lambda leaf: leaf[0], states)

    def play(key, state):
        def body(state, t):
            return step(jax.random.fold_in(key, t), state, batch)[0], None

        return jax.lax.scan(body, state, np.arange(config.num_steps))[0]

    alone = jax.jit(play, compiler_options=compiler_options())
    together = jax.jit(jax.vmap(play), compiler_options=compiler_options())
    some = keys[: config.num_alone]
    contenders = {
        "vmap": lambda _: jax.block_until_ready(together(keys, states)),
        "one after the other": lambda _: [jax.block_until_ready(alone(key, one)) for key in some],
    }
    in_torch = speed.in_torch(game).get("alternating, PyTorch")
    if in_torch is not None:
        contenders["PyTorch"] = lambda num: [in_torch(num) for _ in some]
    seconds = timing.measure(contenders, config.num_steps, config.repeats)
    per_gan = {
        name: [t / (config.num_seeds if name == "vmap" else config.num_alone) for t in times]
        for name, times in seconds.items()
    }
    timing.report(config, per_gan, lambda name: ["one after the other", "PyTorch"])


if __name__ == "__main__":
    timing.command("population", main, Config, __doc__ or "")
