"""The loop: dispatch, look at the numbers, evaluate, log, save; and stop when asked to."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax

from gan_jax.training.agreement import check_alike, together_or_not
from gan_jax.training.checkpoints import Checkpoints
from gan_jax.training.compile import Parallel
from gan_jax.training.dispatches import dispatched
from gan_jax.training.evaluation import Evaluation, Hook, evaluate
from gan_jax.training.interrupts import Interrupts
from gan_jax.training.lock import Lock
from gan_jax.training.logs import METRICS_FILE, MetricsLog, read_log
from gan_jax.training.progress import ProgressBar, say
from gan_jax.training.reading import CheckpointError
from gan_jax.training.record import START_OVER, plain, run_digest
from gan_jax.training.rundir import (
    BEING_DELETED,
    CHECKPOINTS,
    check_run,
    newest_step,
    note_run,
    open_run,
)
from gan_jax.training.runtime import runtime
from gan_jax.training.shapes import (
    batch_shapes,
    check_finite,
    check_split,
    check_state,
    first_batch,
)
from gan_jax.training.timetable import Timetable
from gan_jax.typing import Feed, KeyArray, PyTree, Step

WAYS = {"jit": "sharded jit", "pmap": "pmap"}


class Trained(NamedTuple):
    """The state after the last step, and what the hooks found out about it.

    evaluation: None where the run was finished already, so that no hook was called.
    """

    state: PyTree
    evaluation: Evaluation | None


@together_or_not()
def train(
    step: Step,
    state: PyTree,
    feed: Feed,
    *,
    key: KeyArray,
    timetable: Timetable,
    batch_size: int,
    workdir: Path | str,
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
        ValueError: a timetable that does not fit, batches that do not divide over the devices or
            are not finite, a state that is no arrays, processes that were started differently;
            before anything is written.
        RunDirectoryError: another run is, or runs, in `workdir`.
        LostProcessError: another process of the run cannot be reached.
        NonFiniteError: a loss, or the norm of a gradient or an update, is not finite.
        CheckpointError: a checkpoint cannot be written, or those of the run are damaged, gone, or
            of another run.
    """
    timetable.check(hooks)
    workdir, total = Path(workdir), timetable.num_steps
    run = runtime(step, feed.read, parallel=parallel, batch_size=batch_size)
    check_state(state)
    config, said = plain(config), {"experiment": experiment, "before": before}
    check_alike({**config, **said, "fresh": fresh, "steps": total})
    old = check_run(workdir, config, fresh=fresh, **said)
    if fresh or BEING_DELETED in old or newest_step(workdir) < total:
        check_split(feed, len(run.devices))
        check_finite(first_batch(feed), "the first batch")
    with Lock(workdir) as lock:
        shapes = partial(batch_shapes, feed)
        more = {"label_names": label_names, "steps": total, "batch": shapes}
        record = open_run(workdir, config, fresh=fresh, **said, **more)
        say(f"on {_named(run.devices, parallel)}")
        folder, digest = workdir / CHECKPOINTS, run_digest(record)
        with (
            Checkpoints(folder, run=digest, num_replicas=run.num_replicas) as checkpoints,
            Interrupts() as interrupts,
        ):
            state = run.place(state)
            start, state = checkpoints.restore_latest(state) or (0, state)
            _check_start(start, record, workdir)
            _say_where(start, timetable, before)
            _say_what_is_missing(start, timetable, workdir)
            if start >= total:
                note_run(workdir, record)
                return Trained(run.view(state), None)

            def save(step: int, state: PyTree) -> None:
                lock.check()
                checkpoints.save(step, state)
                if "saved" not in record:
                    record["saved"] = True
                    note_run(workdir, record)

            evaluation = None
            dispatches = dispatched(run, key, state, feed, list(timetable.dispatches(start)))
            shown_as = {"examples_per_step": batch_size, "unit": unit, "shown": shown}
            with (
                MetricsLog(workdir, resume_step=start) as log,
                ProgressBar(total, start, **shown_as) as bar,
                closing(dispatches),
            ):
                note_run(workdir, record)
                for end, state, metrics in dispatches:
                    due = [hook for hook in hooks if timetable.due(hook.every, end)]
                    with _kept(end, state, metrics, log, save):
                        evaluation = evaluate(due, end, run.view(state))
                        line = {**metrics, **evaluation.metrics}
                        log.write(end, line, evaluation.files)
                    bar.update(end, line)
                    stop = interrupts.poll()
                    if stop or timetable.due(timetable.checkpoint_every, end):
                        save(end, state)
                    if stop:
                        say(f"stopped at step {end}; run the same command again to resume there")
                        raise SystemExit(interrupts.exit_status)
    return Trained(run.view(state), evaluation)


@contextmanager
def _kept(
    step: int, state: PyTree, metrics: Mapping[str, Any], log: MetricsLog, save: Callable
) -> Generator[None, None, None]:
    """Save what was trained where a hook fails, or what it has found cannot be written.

    What it should have found at this step stays missing.
    """
    try:
        yield
    except Exception:
        if jax.process_count() == 1:  # of several, others may have had no error
            save(step, state)
            if log.last_step < step:
                log.write(step, metrics)
        raise


def _check_start(start: int, record: dict[str, Any], workdir: Path) -> None:
    if not start and "saved" in record:
        raise CheckpointError(
            f"{workdir} has saved checkpoints, but its {CHECKPOINTS}/ are gone: bring them back, "
            f"{START_OVER}"
        )


def _say_what_is_missing(start: int, timetable: Timetable, workdir: Path) -> None:
    """Each dispatch up to a checkpoint has left a line in the log."""
    there = {line["step"] for line in read_log(workdir)}
    ends = {end for _, end in timetable._replace(num_steps=start).dispatches(0)}
    if missing := ends - there:
        say(
            f"{METRICS_FILE} lacks {len(missing)} of the {len(ends)} lines up to step {start}: "
            "bring them back, or go on without them"
        )


def _say_where(start: int, timetable: Timetable, before: Sequence[Any] | None) -> None:
    if start >= timetable.num_steps and before is not None:
        say(f"the phase is finished, at step {start}")
    elif start >= timetable.num_steps:
        say(f"the run is already at step {start}; ask for more steps to continue it")
    elif start:
        say(f"resuming at step {start} of {timetable.num_steps}")


def _named(devices: list[Any], parallel: Parallel) -> str:
    num, kind = len(devices), devices[0].device_kind
    return f"1 {kind} device" if num == 1 else f"{num} {kind} devices, {WAYS[parallel]}"
