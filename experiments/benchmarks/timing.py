"""Contenders timed side by side: every repeat times each once, and ratios are within a repeat."""

import importlib
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import jax
import numpy as np
import tyro

from experiments.harness.bounds import check_bounds
from experiments.harness.command import in_one_line
from gan_jax.training import compiler_options, jit_step
from gan_jax.training.runtime import Read, runtime
from gan_jax.typing import Batch, PyTree, Step

Timed: TypeAlias = Callable[[int], Any]
"""Runs at least that many steps and waits until they are done."""
Seconds: TypeAlias = dict[str, list[float]]
"""Of each contender, per step, in every repeat."""


@dataclass(frozen=True)
class Options:
    """What a benchmark is asked for, each number within its bounds."""

    def __post_init__(self) -> None:
        check_bounds(self)


def command(name: str, main: Callable[[Any], None], options: type, description: str) -> None:
    """Parse the command line and measure; say in one line what a user got wrong."""
    name = f"benchmarks.{name}"
    with in_one_line(name):
        config = tyro.cli(options, description=description, prog=f"python -m experiments.{name}")
    with in_one_line(name, config):
        main(config)


def measure(contenders: Mapping[str, Timed], num_steps: int, repeats: int) -> Seconds:
    """Take the seconds per step of every contender, in every repeat, after one to compile."""
    for timed in contenders.values():
        timed(num_steps)
    seconds: Seconds = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, timed in contenders.items():
            start = time.perf_counter()
            timed(num_steps)
            seconds[name].append((time.perf_counter() - start) / num_steps)
    return seconds


def one_by_one(step: Step, state: PyTree, batch_at: Callable[[int], Batch]) -> Timed:
    """Each step a dispatch of its own, under `jit`."""
    compiled, key = jit_step(step), jax.random.key(0)
    kept = [state]

    def timed(num_steps):
        for t in range(num_steps):
            kept[0], _ = compiled(jax.random.fold_in(key, t), kept[0], batch_at(t))
        jax.block_until_ready(kept[0])

    return timed


def ahead_of_time(step: Step, state: PyTree, batch: Batch) -> tuple[Timed, int]:
    """As `one_by_one`, always from this state on, and the bytes of the program's temporaries."""
    key = jax.random.key(0)
    compiled = jax.jit(step, compiler_options=compiler_options()).lower(key, state, batch).compile()
    analysis: Any = compiled.memory_analysis()

    def timed(num_steps):
        last = state
        for _ in range(num_steps):
            last, _ = compiled(key, last, batch)
        jax.block_until_ready(last)

    return timed, analysis.temp_size_in_bytes


def in_one_dispatch(
    step: Step, state: PyTree, read: Read, resident: PyTree, chunk: np.ndarray
) -> Timed:
    """All steps in one `scan`, as a run has them."""
    one_device = runtime(step, read, parallel="none", batch_size=chunk.shape[1])
    key, resident = one_device.place_whole((jax.random.key(0), resident))
    chunk = one_device.place_chunk(chunk)
    kept = [one_device.place(state)]

    def timed(_):
        kept[0], _ = one_device.dispatch(key, 0, kept[0], resident, chunk)
        jax.block_until_ready(kept[0])

    return timed


def torch_side(name: str = "in_torch") -> ModuleType | None:
    """Import a file of benchmarks in PyTorch, or say that there is none."""
    try:
        return importlib.import_module(f"experiments.benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print("PyTorch is not installed: no ratios.")
        return None


def compared(times: list[float], reference: list[float]) -> str:
    """How many times as fast as the reference, and the range over the repeats."""
    ratios = sorted(theirs / ours for ours, theirs in zip(times, reference, strict=True))
    return f"{statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def report(config: Any, seconds: Seconds, reference_of: Callable[[str], list[str]]) -> None:
    """Print the median of each contender, and its ratios to its references where they took part."""
    print(f"{config} on {jax.devices()[0].device_kind}, JAX {jax.__version__}")
    for name, times in seconds.items():
        line = f"{name:28s} {statistics.median(times) * 1e3:9.3f} ms a step"
        for reference in reference_of(name):
            if reference in seconds and reference != name:
                line += f"   {compared(times, seconds[reference])} times {reference}'s speed"
        print(line)


def report_memory(memory: Mapping[str, int], reference: str) -> None:
    """Print the temporaries of each contender as a multiple of the reference's."""
    for name, of_one in memory.items():
        print(f"{name:28s} {of_one / memory[reference]:6.2f} times {reference}'s memory")
