"""The loop: dispatch, look at the numbers, evaluate, log, save; and stop when asked to."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.errors import Refusal
from gan_jax.training.checkpoints import Checkpoints
from gan_jax.training.compile import Parallel
from gan_jax.training.evaluation import Evaluation, Hook, evaluate
from gan_jax.training.interrupts import Interrupts
from gan_jax.training.logs import MetricsLog, last_logged_step
from gan_jax.training.progress import ProgressBar, say
from gan_jax.training.reading import CheckpointError
from gan_jax.training.record import START_OVER
from gan_jax.training.rundir import CHECKPOINTS, newest_step, open_run
from gan_jax.training.runtime import Runtime, runtime
from gan_jax.training.shapes import batch_shapes, check_split
from gan_jax.training.timetable import Timetable
from gan_jax.typing import Feed, KeyArray, PyTree, Step

WAYS = {"jit": "sharded jit", "pmap": "pmap"}


class NonFiniteError(Refusal, FloatingPointError):
    """A loss or a gradient that is no finite number; the message names the step and the player."""


class Trained(NamedTuple):
    """The state after the last step, and what the hooks found out about it.

    evaluation: None where the run was finished already, so that no hook was called.
    """

    state: PyTree
    evaluation: Evaluation | None


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
    experiment: str = "",
    label_names: Sequence[str] | None = None,
    fresh: bool = False,
    parallel: Parallel = "jit",
    hooks: Sequence[Hook] = (),
    shown: Sequence[str] = ("generator/loss", "discriminator/loss"),
    unit: str = "images",
    before: Sequence[tuple[str, int]] | None = None,
) -> Trained:
    """Run the steps that are missing in the run directory; return the state after the last.

    The key is split once, into that of the steps and that of the data. Step t has the first folded
    with t, and batch t of the feed, drawn with the second folded with t; so the state after step t
    does not depend on how often the run was stopped. SIGTERM and Ctrl-C finish the dispatch, save,
    and exit with status 128 + signal. A run that has taken so many steps already, or more, takes
    none and logs nothing, and its configuration keeps the larger number.

    Args:
        state: any pytree of arrays; its buffers are taken.
        key: to be used for nothing else, since split and fold_in give the same keys.
        batch_size: the examples of a step, by which the progress bar counts; how many rows a batch
            has is the feed's affair.
        config: what defines the run, with `experiment`. A run of the same configuration (but for
            `steps`) that is found in `workdir` is resumed at its newest checkpoint; `fresh`
            deletes it first.
        label_names: what the labels mean, for whoever reads the run.
        shown: the metrics in the progress bar, `unit` what it calls an example.
        before: of a phase, the names and lengths of those before it, as `train_phases` gives them.

    Raises:
        ValueError: a timetable that does not fit, batches that do not divide over the devices, or
            another run in `workdir`; before anything is written.
        NonFiniteError: a loss, or the norm of a gradient or an update, is not finite.
        CheckpointError: a checkpoint cannot be written, or those of the run are damaged or gone.
    """
    timetable.check(hooks)
    run = runtime(step, feed.read, parallel=parallel, batch_size=batch_size)
    total = timetable.num_steps
    if fresh or newest_step(workdir) < total:
        check_split(feed, len(run.devices))
    open_run(
        workdir,
        config,
        fresh=fresh,
        experiment=experiment,
        label_names=label_names,
        before=before,
        steps=total,
        batch=partial(batch_shapes, feed),
    )
    say(f"on {_named(run.devices, parallel)}")
    with (
        Checkpoints(workdir / CHECKPOINTS, num_replicas=run.num_replicas) as checkpoints,
        Interrupts() as interrupts,
    ):
        state = run.place(state)
        start, state = checkpoints.restore_latest(state) or _from_the_start(
            state, workdir, timetable
        )
        _say_where(start, timetable)
        if start >= total:
            return Trained(run.view(state), None)
        evaluation = None
        dispatches = _dispatches(run, key, state, feed, list(timetable.dispatches(start)))
        with (
            MetricsLog(workdir, resume_step=start) as log,
            ProgressBar(total, start, examples_per_step=batch_size, unit=unit, shown=shown) as bar,
            closing(dispatches),
        ):
            for end, state, metrics in dispatches:
                due = [hook for hook in hooks if timetable.due(hook.every, end)]
                evaluation = evaluate(due, end, run.view(state))
                line = {**metrics, **evaluation.metrics}
                log.write(end, line, evaluation.files)
                bar.update(end, line)
                stop = interrupts.poll()
                if stop or timetable.due(timetable.checkpoint_every, end):
                    checkpoints.save(end, state)
                if stop:
                    say(f"stopped at step {end}; run the same command again to resume there")
                    raise SystemExit(interrupts.exit_status)
    return Trained(run.view(state), evaluation)


def _from_the_start(state: PyTree, workdir: Path, timetable: Timetable) -> tuple[int, PyTree]:
    logged = last_logged_step(workdir)
    if logged > timetable.checkpoint_every:
        raise CheckpointError(
            f"{workdir} was logged up to step {logged}, but its {CHECKPOINTS}/ are gone: bring "
            f"them back, {START_OVER}"
        )
    return 0, state


def _dispatches(
    run: Runtime, key: KeyArray, state: PyTree, feed: Feed, ranges: list[tuple[int, int]]
) -> Generator[tuple[int, PyTree, dict[str, Any]], None, None]:
    """Give after each dispatch the step, the state, and the mean of each metric."""
    key, resident = run.place_whole(key), run.place_whole(feed.resident)
    with closing(feed.chunks(ranges)) as chunks:
        for (begin, end), chunk in zip(ranges, chunks, strict=True):
            state, metrics = run.dispatch(key, begin, state, resident, run.place_chunk(chunk))
            yield end, state, _summarise(begin, jax.device_get(metrics))


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
        say(f"the run is already at step {start}; ask for more steps to continue it")
    elif start:
        say(f"resuming at step {start} of {timetable.num_steps}")


def _named(devices: list[Any], parallel: Parallel) -> str:
    num, kind = len(devices), devices[0].device_kind
    return f"1 {kind} device" if num == 1 else f"{num} {kind} devices, {WAYS[parallel]}"
