"""A run of several phases, each of which starts from the state that the one before it left."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import jax

from gan_jax.errors import Refusal
from gan_jax.training.compile import Parallel
from gan_jax.training.evaluation import Hook
from gan_jax.training.loop import Trained, train
from gan_jax.training.progress import say
from gan_jax.training.rundir import BEING_DELETED, WRITTEN_BY_A_RUN, check_run, open_run
from gan_jax.training.runtime import check_devices
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


def train_phases(
    phases: Sequence[Phase],
    *,
    key: KeyArray,
    workdir: Path,
    config: dict[str, Any],
    experiment: str = "",
    label_names: Sequence[str] | None = None,
    fresh: bool = False,
    parallel: Parallel = "jit",
    **options: Any,
) -> Trained:
    """Train each phase as a run of its own in `workdir`/<name>, and return what the last one left.

    A finished phase gives its state back from its checkpoint and takes no step, so a run that was
    stopped anywhere goes on in the phase it was in. Phase i has the key fold_in(key, i).

    Args:
        config: what defines the run but for the lengths of its phases. To that the configuration
            of each phase adds the lengths of those before it, so that with other lengths it is
            another run; the last phase may become longer.
        fresh: delete all phases before the first one starts.
        options: `shown` and `unit`, which are those of `train`, as all other arguments are.

    Raises:
        ValueError: names or timetables that do not fit, or another run in `workdir`; before
            anything is computed or written.
    """
    names = [phase.name for phase in phases]
    _check(phases, names)
    configs = [_config_of(phases, index, config) for index in range(len(phases))]
    old = check_run(workdir, config, fresh=fresh, experiment=experiment, phases=names)
    fresh = fresh or BEING_DELETED in old
    for phase, own in zip(phases, configs, strict=True):
        phase.timetable.check(phase.hooks)
        check_devices(parallel, phase.batch_size)
        check_run(workdir / phase.name, own, fresh=fresh, experiment=experiment)
    said = {"experiment": experiment, "label_names": label_names}
    open_run(workdir, config, fresh=fresh, phases=names, **said)
    trained = Trained(None, None)
    for index, (phase, own) in enumerate(zip(phases, configs, strict=True)):
        say(f"phase {index + 1} of {len(phases)}: {phase.name}")
        trained = train(
            phase.step,
            phase.start(trained.state),
            phase.feed,
            key=jax.random.fold_in(key, index),
            timetable=phase.timetable,
            batch_size=phase.batch_size,
            workdir=workdir / phase.name,
            config=own,
            parallel=parallel,
            hooks=phase.hooks,
            **said,
            **options,
        )
    return trained


def _config_of(phases: Sequence[Phase], index: int, config: dict[str, Any]) -> dict[str, Any]:
    before = [[phase.name, phase.timetable.num_steps] for phase in phases[:index]]
    return config | {"before": before, "steps": phases[index].timetable.num_steps}


def _check(phases: Sequence[Phase], names: list[str]) -> None:
    if not phases:
        raise Refusal("There is no phase to train: give at least one.")
    for name in names:
        taken = any(fnmatch(name, f"{pattern}*") for pattern in WRITTEN_BY_A_RUN)
        if not name or name.startswith(".") or {"/", "\\"} & {*name} or taken:
            raise Refusal(
                f"A phase cannot be called {name!r}: its name is a folder's, without / or \\ or a "
                f"dot first, and none of what a run writes ({', '.join(WRITTEN_BY_A_RUN)})."
            )
        if names.count(name) > 1:
            raise Refusal(f"Two phases are called {name!r}: give each a name of its own.")
