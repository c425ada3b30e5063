"""The runtime: compile a step, run it, keep what it makes. Needs the `experiments` extra."""

from gan_jax.training.cache import enable_compilation_cache
from gan_jax.training.checkpoints import CheckpointError, Checkpoints
from gan_jax.training.compile import (
    compiler_options,
    data_mesh,
    jit_step,
    pmap_step,
    scan_steps,
    split,
    stack,
    unstack,
)
from gan_jax.training.distributed import initialize, process_rows
from gan_jax.training.loop import Hook, NonFiniteError, Timetable, train
from gan_jax.training.rundir import RunDirectoryError, open_run

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "Hook",
    "NonFiniteError",
    "RunDirectoryError",
    "Timetable",
    "compiler_options",
    "data_mesh",
    "enable_compilation_cache",
    "initialize",
    "jit_step",
    "open_run",
    "pmap_step",
    "process_rows",
    "scan_steps",
    "split",
    "stack",
    "train",
    "unstack",
]
