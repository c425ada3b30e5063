"""GANs by vmap, or one after the other.    python -m experiments.benchmarks.population

The ring's MLP pair (three layers of 128) and alternating steps, as in
`experiments.benchmarks.speed`: many seeds in one vmapped scan, each seed in a scan of its own, and,
where PyTorch is installed, each in PyTorch. Ratios are taken within a repeat.
"""

import statistics
import time
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import optax
import tyro

from experiments.benchmarks import speed
from gan_jax.games import Optimizers, alternating_step
from gan_jax.training import compiler_options
from gan_jax.typing import Step


@dataclass(frozen=True)
class Config:
    num_seeds: int = 64
    """GANs in the population."""
    batch_size: int = 128
    """Points in each step of each."""
    num_steps: int = 50
    """Steps in each measurement."""
    repeats: int = 7
    num_alone: int = 4
    """GANs that are run one after the other, and whose time stands for that of all."""


def run(config: Config) -> dict[str, list[float]]:
    """Measure seconds per step of one GAN for every contender, in every repeat."""
    game = speed.Config(network="mlp", batch_size=config.batch_size)
    system, batch = speed.build(game)
    adam = optax.adam(speed.LEARNING_RATE, b1=0.5)
    optimizers = Optimizers(generator=adam, discriminator=adam)
    step = partial(alternating_step, game=system.game, optimizers=optimizers)
    keys = jax.random.split(jax.random.key(0), config.num_seeds)
    states = jax.vmap(lambda key: system.init(key, optimizers=optimizers))(keys)
    one = jax.tree.map(lambda leaf: leaf[0], states)
    play_one = partial(play, step=step, batch=batch, num_steps=config.num_steps)
    alone = jax.jit(play_one, compiler_options=compiler_options())
    together = jax.jit(jax.vmap(play_one), compiler_options=compiler_options())
    in_torch = speed.in_torch(game).get("alternating, PyTorch")

    def by_torch():
        for _ in range(config.num_alone):
            in_torch(config.num_steps)  # pyright: ignore[reportOptionalCall]

    contenders = {
        "vmap": (lambda: jax.block_until_ready(together(keys, states)), config.num_seeds),
        "one after the other": (
            lambda: [jax.block_until_ready(alone(key, one)) for key in keys[: config.num_alone]],
            config.num_alone,
        ),
    }
    if in_torch:
        contenders["PyTorch, one after the other"] = (by_torch, config.num_alone)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(-1, config.repeats):
        for name, (timed, num_seeds) in contenders.items():
            start = time.perf_counter()
            timed()
            if repeat >= 0:
                per_step = (time.perf_counter() - start) / config.num_steps / num_seeds
                seconds[name].append(per_step)
    return seconds


def play(key, state, *, step: Step, batch, num_steps: int):
    def body(state, t):
        return step(jax.random.fold_in(key, t), state, batch)[0], None

    return jax.lax.scan(body, state, np.arange(num_steps))[0]


def report(config: Config, seconds: dict[str, list[float]]) -> None:
    print(f"{config} on {jax.devices()[0].device_kind}, JAX {jax.__version__}")
    for name, times in seconds.items():
        ratios = np.array(times) / np.array(seconds["vmap"])
        print(
            f"{name:30s} {1e3 * statistics.median(times):7.3f} ms a step of one GAN; vmap is "
            f"{np.median(ratios):.2f} times as fast ({ratios.min():.2f} to {ratios.max():.2f})"
        )


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    report(chosen, run(chosen))
