"""The directory of a run: config.json, metrics.jsonl, events, samples/ and checkpoints/."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
from jax.experimental import multihost_utils

CONFIG_FILE = "config.json"
SAMPLES = "samples"
CHECKPOINTS = "checkpoints"
WRITTEN_BY_A_RUN = (
    CHECKPOINTS,
    SAMPLES,
    "metrics.jsonl",
    "events.out.tfevents.*",
    CONFIG_FILE,  # last: a directory half deleted is still known as that of a run
)

START_OVER = "choose another --workdir, or --fresh to delete the run and start over"


class RunDirectoryError(ValueError):
    """A directory that cannot hold this run."""


def open_run(
    workdir: Path | str,
    config: dict[str, Any],
    *,
    fresh: bool,
    ignore: frozenset[str] = frozenset(),
) -> bool:
    """Make the directory of a run, or check that it is the directory of this very run.

    Process 0 writes; all processes check, and go on together.

    Args:
        workdir: the directory; it may hold other files, which stay.
        config: what defines the run, serialisable as JSON.
        fresh: delete what an earlier run wrote there.
        ignore: the fields that may change between a run and its resumption.

    Returns:
        Whether a run is resumed.

    Raises:
        RunDirectoryError: another configuration, foreign checkpoints, or no access.
    """
    workdir = Path(workdir)
    old = None if fresh else _read_config(workdir)
    if old is not None:
        _check_same(workdir, old, config, ignore)
    elif not fresh and _holds_checkpoints(workdir):
        raise RunDirectoryError(
            f"{workdir} holds {CHECKPOINTS}/ but no {CONFIG_FILE} that says of which run they "
            f"are: {START_OVER}"
        )
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
    return old is not None


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
    if not isinstance(config, dict):
        raise RunDirectoryError(
            f"{path} is damaged and does not say which run is in {workdir}: repair it, {START_OVER}"
        )
    return config


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


def _holds_checkpoints(workdir: Path) -> bool:
    directory = workdir / CHECKPOINTS
    return directory.is_dir() and any(directory.iterdir())


def _write(workdir: Path, config: dict[str, Any], fresh: bool) -> None:
    try:
        if fresh:
            _delete_run(workdir)
        (workdir / SAMPLES).mkdir(parents=True, exist_ok=True)
        written = workdir / f"{CONFIG_FILE}.tmp"
        written.write_text(json.dumps(config, indent=2) + "\n")
        os.replace(written, workdir / CONFIG_FILE)
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
