"""The runtime: compile a step, run it, keep what it makes. Needs the `experiments` extra."""

from gan_jax.training.agreement import LostProcessError
from gan_jax.training.cache import enable_compilation_cache
from gan_jax.training.checkpoints import Checkpoints
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
from gan_jax.training.continuing import continue_from
from gan_jax.training.dispatches import NonFiniteError
from gan_jax.training.distributed import initialize, process_rows
from gan_jax.training.evaluation import Evaluation, File, Hook
from gan_jax.training.logs import read_log
from gan_jax.training.loop import Trained, train
from gan_jax.training.phases import Phase, train_phases
from gan_jax.training.reading import CheckpointError
from gan_jax.training.record import RunDirectoryError
from gan_jax.training.restoring import Restored, restore
from gan_jax.training.rundir import note_run, open_run
from gan_jax.training.shapes import batch_shapes, first_batch
from gan_jax.training.timetable import Timetable

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "Evaluation",
    "File",
    "Hook",
    "LostProcessError",
    "NonFiniteError",
    "Phase",
    "Restored",
    "RunDirectoryError",
    "Timetable",
    "Trained",
    "batch_shapes",
    "compiler_options",
    "continue_from",
    "data_mesh",
    "enable_compilation_cache",
    "first_batch",
    "initialize",
    "jit_step",
    "note_run",
    "open_run",
    "pmap_step",
    "process_rows",
    "read_log",
    "restore",
    "scan_steps",
    "split",
    "stack",
    "train",
    "train_phases",
    "unstack",
]
