"""Milliseconds per step of StyleGAN2.    python -m experiments.benchmarks.stylegan2

The networks of `experiments.stylegan2 digits` with the paper's path lengths and mixing, beside the
same networks in PyTorch where it is installed. Timed are the moves: both players' in turn, R1's and
that of path lengths; a step with a regulariser is their sum, and "lazy" the mean step. The
temporary memory of a compiled move is given as a multiple of that of both players'.
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments import stylegan2
from experiments.benchmarks import timing
from experiments.benchmarks.timing import Seconds, Timed
from experiments.harness.bounds import Count, Size
from gan_jax.games import GameState, alternating_step, discriminator_step, generator_step
from gan_jax.systems import StyleGAN2
from gan_jax.typing import Batch

REGULARISED = replace(stylegan2.DIGITS, path_length_weight=2.0, mixing=0.9)
MOVES = {"game": alternating_step, "r1": discriminator_step, "path_length": generator_step}
STEPS = {
    "with r1": {"game": 1, "r1": 1},
    "with path_length": {"game": 1, "path_length": 1},
    "with both": {"game": 1, "r1": 1, "path_length": 1},
    "lazy": {
        "game": 1,
        "r1": 1 / REGULARISED.r1_period,
        "path_length": 1 / REGULARISED.path_length_period,
    },
}
"""How often each move is made."""


@dataclass(frozen=True)
class Config(timing.Options):
    batch_size: Size = 32
    """Images of 28x28; a multiple of 4, or fewer."""
    num_steps: Count = 4
    """Moves in each measurement, in one dispatch where it is a scan: at least 2."""
    repeats: Count = 7


def build(batch_size: int) -> tuple[StyleGAN2, GameState, Batch]:
    shape = batch_size, 28, 28, 1
    batch = {"image": jax.random.uniform(jax.random.key(1), shape, minval=-1.0)}
    system = stylegan2.build(REGULARISED, batch)
    init = partial(system.init, optimizers=REGULARISED.optimizers())
    return system, jax.jit(init)(jax.random.key(0), batch), batch


def in_jax(
    config: Config, system: StyleGAN2, state: GameState, batch: Batch
) -> tuple[dict[str, Timed], dict[str, int]]:
    """Contenders, and the bytes of temporaries of the compiled moves."""
    chunk = np.zeros((config.num_steps, config.batch_size))
    contenders, memory = {}, {}
    for name, kind in MOVES.items():
        move = partial(kind, game=getattr(system, name), optimizers=REGULARISED.optimizers())
        contenders[f"{name}, jit"], memory[name] = timing.ahead_of_time(move, state, batch)
        copied = jax.tree.map(jnp.copy, state)
        contenders[f"{name}, scan"] = timing.in_one_dispatch(
            move, copied, lambda key, resident, item: resident, batch, chunk
        )
    return contenders, memory


def in_torch(state: GameState, batch: Batch) -> dict[str, Timed]:
    side = timing.torch_side("stylegan2_in_torch")
    if side is None:
        return {}
    params = state.generator.weights.params, state.discriminator.weights.params
    return {
        f"{name}, PyTorch": side.timed(REGULARISED, *params, batch["image"], name) for name in MOVES
    }


def summed(moves: Seconds) -> Seconds:
    """The steps of every side, in every repeat."""
    sides = [name.removeprefix("game") for name in moves if name.startswith("game")]
    return {
        name + side: [
            sum(share * one for share, one in zip(shares.values(), seconds, strict=True))
            for seconds in zip(*(moves[move + side] for move in shares), strict=True)
        ]
        for name, shares in STEPS.items()
        for side in sides
    }


def main(config: Config) -> None:
    system, state, batch = build(config.batch_size)
    contenders, memory = in_jax(config, system, state, batch)
    contenders |= in_torch(state, batch)
    seconds = timing.measure(contenders, config.num_steps, config.repeats)

    def references(name: str) -> list[str]:
        moves = name.partition(", ")[0]
        return [f"{moves}, jit", f"{moves}, PyTorch"]

    timing.report(config, seconds | summed(seconds), references)
    timing.report_memory(memory, "game")


if __name__ == "__main__":
    timing.command("stylegan2", main, Config, __doc__ or "")
