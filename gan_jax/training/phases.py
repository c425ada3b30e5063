"""A run of several phases, each of which starts from the state that the one before it left."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax

from gan_jax.errors import Refusal
from gan_jax.training.agreement import check_alike, together_or_not
from gan_jax.training.compile import Parallel
from gan_jax.training.evaluation import Hook
from gan_jax.training.lock import LOCK_FILE, Lock
from gan_jax.training.loop import Trained, train
from gan_jax.training.progress import say
from gan_jax.training.record import START_OVER, RunDirectoryError, plain
from gan_jax.training.rundir import (
    BEING_DELETED,
    WRITTEN_BY_A_RUN,
    check_run,
    newest_step,
    note_run,
    open_run,
)
from gan_jax.training.runtime import check_devices
from gan_jax.training.shapes import check_split
from gan_jax.training.timetable import Timetable
from gan_jax.typing import Feed, KeyArray, PyTree, Step


class Phase(NamedTuple):
    """What one phase trains: a step and a feed of its own, on a state of its own structure.

    start: the state that the phase before left, None for the first -> the state to start from.
    """

    name: str
    start: Callable[[PyTree], PyTree]
    step: Step
    feed: Feed
    batch_size: int
    timetable: Timetable
    hooks: Sequence[Hook] = ()


@together_or_not()
def train_phases(
    phases: Sequence[Phase],
    *,
    key: KeyArray,
    workdir: Path | str,
    config: dict[str, Any],
    experiment: str = "",
    label_names: Sequence[str] | None = None,
    fresh: bool = False,
    parallel: Parallel = "jit",
    shown: Sequence[str] = ("generator/loss", "discriminator/loss"),
    unit: str = "images",
) -> Trained:
    """Train each phase as a run of its own in `workdir`/<name>, and return what the last one left.

    A finished phase gives its state back from its checkpoint: its `start` is called, for the
    structure, but no step is taken and nothing is logged. So a run that was stopped anywhere goes
    on in the phase it was in. Phase i has the key fold_in(key, i).

    All other arguments are those of `train`.

    Args:
        key: to be used for nothing else, since split and fold_in give the same keys.
        config: what defines the run but for the lengths of its phases. Beside it, the directory of
            each phase says which were before it and how long, so that with other lengths it is
            another run; the last phase may become longer, and none shorter than it has become.
        fresh: delete all phases before the first one starts.

    Raises:
        ValueError: names, timetables or batches that do not fit, another run in `workdir`, or a
            phase that has begun before the one before it is finished; before anything is computed
            or written.
    """
    workdir, names = Path(workdir), [phase.name for phase in phases]
    _check(phases, names)
    config = plain(config)
    lengths = [(phase.name, phase.timetable.num_steps) for phase in phases]
    check_alike({**config, "experiment": experiment, "phases": lengths, "fresh": fresh})
    old = check_run(workdir, config, fresh=fresh, experiment=experiment, phases=names)
    fresh = fresh or BEING_DELETED in old
    for index, phase in enumerate(phases):
        phase.timetable.check(phase.hooks)
        devices = check_devices(parallel, phase.batch_size)
        own, before = workdir / phase.name, lengths[:index]
        check_run(own, config, fresh=fresh, experiment=experiment, before=before)
        _check_length(phase, own, 0 if fresh else newest_step(own), len(devices))
    if not fresh:
        _check_order(phases, workdir)
    said = {"experiment": experiment, "label_names": label_names}
    trained = Trained(None, None)
    with Lock(workdir):
        note_run(workdir, open_run(workdir, config, fresh=fresh, phases=names, **said))
        for index, phase in enumerate(phases):
            say(f"phase {index + 1} of {len(phases)}: {phase.name}")
            trained = train(
                phase.step,
                phase.start(trained.state),
                phase.feed,
                key=jax.random.fold_in(key, index),
                timetable=phase.timetable,
                batch_size=phase.batch_size,
                workdir=workdir / phase.name,
                config=config,
                parallel=parallel,
                hooks=phase.hooks,
                shown=shown,
                unit=unit,
                before=lengths[:index],
                **said,
            )
    return trained


def _check_length(phase: Phase, workdir: Path, done: int, num_devices: int) -> None:
    """Refuse a phase that has become longer than it is asked for, or cannot go on."""
    length = phase.timetable.num_steps
    if done > length:
        raise RunDirectoryError(
            f"{workdir} has run {done} steps and cannot be cut back to the {length} that are asked "
            f"for: give the phase at least {done} steps, {START_OVER}"
        )
    if done < length:
        check_split(phase.feed, num_devices)


def _check_order(phases: Sequence[Phase], workdir: Path) -> None:
    """Refuse a phase that has begun where one before it is not finished, or not there any more."""
    for before, after in pairwise(phases):
        done, begun = (newest_step(workdir / phase.name) for phase in (before, after))
        if begun and done < before.timetable.num_steps:
            raise RunDirectoryError(
                f"{workdir / after.name} has run {begun} steps, but {workdir / before.name}, from "
                f"whose end it started, has {done} of {before.timetable.num_steps}: bring back the "
                f"checkpoints of {before.name}, {START_OVER}"
            )


def _check(phases: Sequence[Phase], names: list[str]) -> None:
    if not phases:
        raise Refusal("There is no phase to train: give at least one.")
    for name in names:
        taken = any(fnmatch(name, f"{pattern}*") for pattern in (*WRITTEN_BY_A_RUN, LOCK_FILE))
        if not name or name.startswith(".") or {"/", "\\"} & {*name} or taken:
            raise Refusal(
                f"A phase cannot be called {name!r}: its name is a folder's, without / or \\ or a "
                f"dot first, and none of what a run writes ({', '.join(WRITTEN_BY_A_RUN)})."
            )
        if names.count(name) > 1:
            raise Refusal(f"Two phases are called {name!r}: give each a name of its own.")
