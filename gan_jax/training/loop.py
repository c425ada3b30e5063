"""The loop: dispatch, look at the numbers, evaluate, log, save; and stop when asked to."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.errors import Refusal
from gan_jax.training.checkpoints import CheckpointError, Checkpoints
from gan_jax.training.compile import Parallel
from gan_jax.training.interrupts import Interrupts
from gan_jax.training.logs import MetricsLog, ProgressBar, last_logged_step
from gan_jax.training.rundir import CHECKPOINTS, START_OVER, open_run
from gan_jax.training.runtime import runtime
from gan_jax.typing import Feed, KeyArray, PyTree, Step

MAY_CHANGE = frozenset({"steps"})
"""The fields of a configuration that a resumed run may have changed."""


class NonFiniteError(Refusal, FloatingPointError):
    """A loss or a gradient that is no finite number; the message names the step and the player."""


class Hook(NamedTuple):
    """Look at the state every so many steps, and at the end.

    `call(step, state)` may return metrics for the log. All processes make the call.
    """

    every: int
    call: Callable[[int, PyTree], Mapping[str, Any] | None]


class Timetable(NamedTuple):
    """When a run ends, and at which of its steps the program comes back to Python.

    A dispatch compiles and runs `steps_per_dispatch` steps; each gives one line of the log, the
    mean over its steps. Checkpoints fall on dispatch boundaries, so that a resumed run dispatches
    the same programs.
    """

    num_steps: int
    steps_per_dispatch: int
    checkpoint_every: int

    def check(self, hooks: Sequence[Hook]) -> None:
        """Raise ValueError where a number is out of range or an interval meets no boundary."""
        for name, value in self._asdict().items():
            if value < 1:
                raise Refusal(f"{name} is {value}; it must be at least 1.")
        intervals = [("checkpoint_every", self.checkpoint_every)]
        intervals += [("the interval between evaluations", hook.every) for hook in hooks]
        for name, value in intervals:
            if value < 1 or value % self.steps_per_dispatch:
                raise Refusal(
                    f"{name} is {value}; it must be a multiple of "
                    f"steps_per_dispatch={self.steps_per_dispatch}."
                )

    def dispatches(self, start: int) -> Iterator[tuple[int, int]]:
        """Give the ranges of steps (start, stop) from `start` to the end."""
        while start < self.num_steps:
            stop = min(
                (start // self.steps_per_dispatch + 1) * self.steps_per_dispatch, self.num_steps
            )
            yield start, stop
            start = stop

    def due(self, every: int, step: int) -> bool:
        """Whether something to be done at that interval is due at this boundary."""
        return step % every == 0 or step == self.num_steps


def train(
    step: Step,
    state: PyTree,
    feed: Feed,
    *,
    key: KeyArray,
    timetable: Timetable,
    batch_size: int,
    workdir: Path,
    config: dict[str, Any],
    fresh: bool = False,
    parallel: Parallel = "jit",
    hooks: Sequence[Hook] = (),
    shown: Sequence[str] = ("generator/loss", "discriminator/loss"),
    unit: str = "images",
) -> PyTree:
    """Run the steps that are missing in the run directory, and return the state after the last.

    The key is split once, into that of the steps and that of the data. Step t has the first folded
    with t, and batch t of the feed, drawn with the second folded with t; so the state after step t
    does not depend on how often the run was stopped. SIGTERM and Ctrl-C finish the dispatch, save,
    and exit with status 128 + signal.

    Args:
        state: any pytree of arrays; its buffers are taken.
        key: to be used for nothing else, since split and fold_in give the same keys.
        batch_size: the examples of a global batch.
        config: what defines the run. A run of the same configuration (but for `steps`) that is
            found in `workdir` is resumed at its newest checkpoint; `fresh` deletes it first.
        shown: the metrics in the progress bar, `unit` what it calls an example.

    Raises:
        ValueError: a timetable or a batch size that does not fit, or another run in `workdir`.
        NonFiniteError: a loss, or the norm of a gradient or an update, is not finite.
        CheckpointError: a checkpoint cannot be written, or those of the run are damaged or gone.
    """
    timetable.check(hooks)
    run = runtime(step, feed.read, parallel=parallel, batch_size=batch_size)
    open_run(workdir, config, fresh=fresh, ignore=MAY_CHANGE)
    state, key, resident = run.place(state), run.place_whole(key), run.place_whole(feed.resident)
    with Checkpoints(workdir / CHECKPOINTS) as checkpoints, Interrupts() as interrupts:
        start, state = checkpoints.restore_latest(state) or _from_the_start(
            state, workdir, timetable
        )
        ranges = list(timetable.dispatches(start))
        _say_where(start, timetable)
        with (
            MetricsLog(workdir, resume_step=start) as log,
            ProgressBar(
                timetable.num_steps, start, examples_per_step=batch_size, unit=unit, shown=shown
            ) as bar,
            closing(feed.chunks(ranges)) as chunks,
        ):
            for (begin, end), chunk in zip(ranges, chunks, strict=True):
                state, metrics = run.dispatch(key, begin, state, resident, run.place_chunk(chunk))
                line = _summarise(begin, jax.device_get(metrics))
                line |= _evaluate(hooks, timetable, end, run.view(state))
                log.write(end, line)
                bar.update(end, line)
                stop = interrupts.poll()
                if stop or timetable.due(timetable.checkpoint_every, end):
                    checkpoints.save(end, state)
                if stop:
                    _say(f"stopped at step {end}; run the same command again to resume there")
                    raise SystemExit(interrupts.exit_status)
    return run.view(state)


def _from_the_start(state: PyTree, workdir: Path, timetable: Timetable) -> tuple[int, PyTree]:
    logged = last_logged_step(workdir)
    if logged > timetable.checkpoint_every:
        raise CheckpointError(
            f"{workdir} was logged up to step {logged}, but its {CHECKPOINTS}/ are gone: bring "
            f"them back, {START_OVER}"
        )
    return 0, state


def _evaluate(
    hooks: Sequence[Hook], timetable: Timetable, step: int, state: PyTree
) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for hook in hooks:
        if timetable.due(hook.every, step):
            metrics |= hook.call(step, state) or {}
    return metrics


def _summarise(begin: int, metrics: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Average each metric over the steps of a dispatch, after a look at every one of them."""
    num_steps = max(map(len, metrics.values()), default=0)
    for offset in range(num_steps):
        for name in sorted(metrics):
            value = metrics[name][offset]
            if name.endswith(("loss", "grad_norm", "update_norm")) and not np.isfinite(value):
                raise NonFiniteError(
                    f"{name} is {value} at step {begin + offset + 1}: the run stops, and its last "
                    "checkpoint stays. Lower that player's learning rate, clip its gradients, or "
                    "choose another loss."
                )
    return {name: np.mean(values) for name, values in metrics.items()}


def _say_where(start: int, timetable: Timetable) -> None:
    if start >= timetable.num_steps:
        _say(f"the run is already at step {start}; ask for more steps to continue it")
    elif start:
        _say(f"resuming at step {start} of {timetable.num_steps}")


def _say(text: str) -> None:
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)
