"""The directory of a run: config.json, metrics.jsonl, events, samples/ and checkpoints/."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
from jax.experimental import multihost_utils

from gan_jax.errors import Refusal
from gan_jax.training.logs import EVENTS_FILES, METRICS_FILE

CONFIG_FILE = "config.json"
SAMPLES = "samples"
CHECKPOINTS = "checkpoints"
WRITTEN_BY_A_RUN = (
    CHECKPOINTS,
    SAMPLES,
    METRICS_FILE,
    EVENTS_FILES,
    CONFIG_FILE,  # last: a directory half deleted is still known as that of a run
)
MARK = {"written_by": "gan_jax"}

START_OVER = "choose another --workdir, or --fresh to delete the run and start over"


class RunDirectoryError(Refusal):
    """A directory that cannot hold this run."""


def open_run(
    workdir: Path | str,
    config: dict[str, Any],
    *,
    fresh: bool,
    ignore: frozenset[str] = frozenset(),
) -> None:
    """Make the directory of a run, or check that it is the directory of this very run.

    Process 0 writes; all processes check, and go on together. Only what carries the mark of a run
    is ever deleted.

    Args:
        workdir: the directory; it may hold other files, which stay.
        config: what defines the run, serialisable as JSON.
        fresh: delete what an earlier run wrote there.
        ignore: the fields that may change between a run and its resumption.

    Raises:
        RunDirectoryError: another configuration, files that no run wrote, or no access.
    """
    workdir = Path(workdir)
    old = _read_config(workdir)
    if old is None:
        _check_no_foreign_files(workdir)
    elif not fresh:
        _check_same(workdir, old, config, ignore)
    _meet("checked")
    try:
        if jax.process_index() == 0:
            _write(workdir, config, fresh)
    finally:
        _meet("written")
    if _read_config(workdir) is None:
        raise RunDirectoryError(
            f"process {jax.process_index()} does not see the files of process 0 in {workdir}: "
            "choose a --workdir on a file system that all processes share"
        )


def _read_config(workdir: Path) -> dict[str, Any] | None:
    path = workdir / CONFIG_FILE
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _no_access(workdir, error) from error
    except ValueError:
        config = None
    if not isinstance(config, dict) or not MARK.items() <= config.items():
        raise RunDirectoryError(
            f"{path} is damaged, or no run of gan_jax wrote it, so nothing in {workdir} is "
            "touched: choose another --workdir, or repair or remove the file"
        )
    return {field: value for field, value in config.items() if field not in MARK}


def _check_no_foreign_files(workdir: Path) -> None:
    found = sorted(path.name for pattern in WRITTEN_BY_A_RUN for path in workdir.glob(pattern))
    if found:
        raise RunDirectoryError(
            f"{workdir} holds {', '.join(found)} but no {CONFIG_FILE} that says of which run: "
            "choose another --workdir, or move them away"
        )


def _check_same(workdir: Path, old: dict, new: dict, ignore: frozenset[str]) -> None:
    fields = [field for field in old | new if field not in ignore]
    changes = [
        f"{field} was {_value(old, field)} and is {_value(new, field)}"
        for field in fields
        if _value(old, field) != _value(new, field)
    ]
    if changes:
        raise RunDirectoryError(
            f"{workdir} holds a run with another configuration ({'; '.join(changes)}): give the "
            f"old values to resume it, {START_OVER}"
        )


def _value(config: dict, field: str) -> str:
    return json.dumps(config[field], sort_keys=True) if field in config else "absent"


def _write(workdir: Path, config: dict[str, Any], fresh: bool) -> None:
    try:
        if fresh:
            _delete_run(workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        written = workdir / f"{CONFIG_FILE}.tmp"
        written.write_text(json.dumps(MARK | config, indent=2) + "\n")
        os.replace(written, workdir / CONFIG_FILE)
        (workdir / SAMPLES).mkdir(exist_ok=True)
    except OSError as error:
        raise _no_access(workdir, error) from error


def _delete_run(workdir: Path) -> None:
    for pattern in WRITTEN_BY_A_RUN:
        for path in workdir.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _no_access(workdir: Path, error: OSError) -> RunDirectoryError:
    return RunDirectoryError(
        f"{workdir} cannot be used ({error.strerror}: {error.filename}): "
        "choose a --workdir that can be read and written"
    )


def _meet(place: str) -> None:
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"gan_jax run directory {place}")
