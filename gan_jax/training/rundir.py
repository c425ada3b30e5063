"""The directory of a run: config.json, metrics.jsonl, events, samples/ and checkpoints/."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax

from gan_jax.training.agreement import meet
from gan_jax.training.events import EVENTS_FILES
from gan_jax.training.lock import LOCK_FILE, refuse_if_held
from gan_jax.training.logs import METRICS_FILE, SAMPLES
from gan_jax.training.record import (
    CONFIG_FILE,
    MARK,
    RunDirectoryError,
    check_same,
    own_version,
    read_record,
    usable,
    write_record,
)
from gan_jax.training.shapes import to_json
from gan_jax.typing import Batch

CHECKPOINTS = "checkpoints"
BEING_DELETED = "being_deleted"
WRITTEN_BY_A_RUN = (CHECKPOINTS, SAMPLES, METRICS_FILE, EVENTS_FILES, CONFIG_FILE)


def open_run(
    workdir: Path | str,
    config: dict[str, Any],
    *,
    fresh: bool,
    experiment: str = "",
    label_names: Sequence[str] | None = None,
    phases: Sequence[str] = (),
    before: Sequence[tuple[str, int]] | None = None,
    steps: int | None = None,
    batch: Callable[[], Batch] = dict,
) -> dict[str, Any]:
    """Make the directory of a run, or check that it is the directory of this very run.

    Process 0 writes; all processes check, and go on together. Only what carries the mark of a run
    is ever deleted, and a deletion that was cut short is brought to its end. In the directory of an
    earlier run nothing is written: its config.json is replaced once it is certain that the run goes
    on, by `note_run`.

    Args:
        workdir: the directory; it may hold other files, which stay.
        config: what defines the run beside `experiment`, serialisable as JSON.
        fresh: delete what an earlier run wrote there.
        label_names: what a batch's labels mean, for whoever reads the run.
        phases: the names of the phases, of a directory that holds a run for each. A later one may
            have more of them.
        before: of a run that is a phase, the names and lengths of those before it.
        steps: the length that is asked for, noted with all that were asked for before. Where the
            run has come further, the configuration in the directory stays as it is.
        batch: the shapes of a batch, asked for where the directory does not say.

    Returns:
        What config.json is to say.

    Raises:
        RunDirectoryError: another configuration, files that no run wrote, or no access.
    """
    workdir = Path(workdir)
    identity = {"experiment": experiment, "phases": phases, "before": before}
    old = check_run(workdir, config, fresh=fresh, **identity)
    fresh = fresh or BEING_DELETED in old
    kept = {} if fresh else old
    further = kept and steps is not None and steps < newest_step(workdir)
    record = MARK | {
        "version": own_version(),
        "experiment": experiment,
        "label_names": None if label_names is None else list(label_names),
        "batch": kept["batch"] if "batch" in kept else to_json(batch()),
        "config": kept["config"] if further else config,
    }
    if phases:
        record["phases"] = max(list(phases), kept.get("phases", []), key=len)
    if before is not None:
        record["before"] = before
    if steps is not None:
        record["lengths"] = sorted({*kept.get("lengths", ()), steps})
    if "saved" in kept:
        record["saved"] = kept["saved"]
    meet("run directory checked")
    try:
        if jax.process_index() == 0 and not kept:
            _write(workdir, record, delete=[*old.get("phases", ()), *phases] if fresh else None)
    finally:
        meet("run directory written")
    if read_record(workdir) is None:
        raise RunDirectoryError(
            f"process {jax.process_index()} does not see the files of process 0 in {workdir}: "
            "choose a --workdir on a file system that all processes share"
        )
    return record


def note_run(workdir: Path | str, record: dict[str, Any]) -> None:
    """Let config.json say it."""
    if jax.process_index() == 0:
        _write(Path(workdir), record, delete=None)


def check_run(
    workdir: Path,
    config: dict[str, Any],
    *,
    fresh: bool,
    experiment: str = "",
    phases: Sequence[str] = (),
    before: Sequence[tuple[str, int]] | None = None,
) -> dict[str, Any]:
    """Raise what `open_run` would raise of a directory, and touch nothing.

    Returns:
        What config.json says; nothing where there is none.
    """
    old = read_record(workdir)
    if old is None:
        _check_no_foreign_files(workdir)
    elif fresh:
        with usable(workdir):
            for phase in {*old.get("phases", ()), *phases}:
                refuse_if_held(workdir / phase)
    elif BEING_DELETED not in old:
        new: dict[str, Any] = {"experiment": experiment, "config": config}
        if phases:
            new["phases"] = phases
        if before is not None:
            new["before"] = before
        check_same(workdir, old, new)
    return old or {}


def starts_anew(workdir: Path, fresh: bool) -> bool:
    """Whether a run there begins at its start, in place of being resumed."""
    return fresh or not newest_step(workdir) or BEING_DELETED in (read_record(workdir) or {})


def newest_step(workdir: Path) -> int:
    """The step of a run's newest checkpoint, by its name alone; 0 where there is none."""
    names = [path.name for path in (workdir / CHECKPOINTS).glob("*")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


def _check_no_foreign_files(workdir: Path) -> None:
    found = sorted(path.name for pattern in WRITTEN_BY_A_RUN for path in workdir.glob(pattern))
    if found:
        raise RunDirectoryError(
            f"{workdir} holds {', '.join(found)} but no {CONFIG_FILE} that says of which run: "
            "choose another --workdir, or move them away"
        )


def _write(workdir: Path, record: dict[str, Any], delete: list[str] | None) -> None:
    """Write config.json; before that delete the run there, and those of its phases."""
    with usable(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        if delete is not None:
            # A deletion that is cut short must not leave some of the phases to be taken up again.
            write_record(workdir, MARK | {BEING_DELETED: True, "phases": delete})
            _delete(workdir, delete)
        write_record(workdir, record)
        if "phases" not in record:
            (workdir / SAMPLES).mkdir(exist_ok=True)


def _delete(workdir: Path, phases: Iterable[str]) -> None:
    """Delete what runs wrote, but the config.json of the directory itself."""
    for phase in {*phases}:
        if read_record(workdir / phase) is not None:
            _delete(workdir / phase, ())
            (workdir / phase / LOCK_FILE).unlink(missing_ok=True)
            (workdir / phase / CONFIG_FILE).unlink()
            with contextlib.suppress(OSError):  # other files in it stay
                (workdir / phase).rmdir()
    for pattern in WRITTEN_BY_A_RUN[:-1]:
        for path in workdir.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
