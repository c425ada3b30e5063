"""config.json: what a run directory says of itself."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gan_jax.errors import Refusal

CONFIG_FILE = "config.json"
MARK = {"written_by": "gan_jax"}
MAY_CHANGE = frozenset({"steps"})
"""The fields of a configuration that a resumed run may have changed."""
START_OVER = "choose another --workdir, or --fresh to delete the run and start over"


FORM = {
    "experiment": str,
    "version": str,
    "label_names": list | None,
    "batch": dict,
    "config": dict,
    "phases": list,
    "before": list,
    "lengths": list,
    "saved": bool,
    "being_deleted": bool,
}
"""What each entry of a record is, where there is one."""


class RunDirectoryError(Refusal):
    """A directory that cannot hold this run, or holds none."""


def read_record(workdir: Path) -> dict[str, Any] | None:
    """Read config.json, None where there is none.

    Raises:
        RunDirectoryError: no run wrote it, it is damaged, or it cannot be read.
    """
    path = workdir / CONFIG_FILE
    with usable(workdir):
        if not path.exists():
            return None
        text = path.read_bytes()
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    if not _is_record(record):
        raise RunDirectoryError(
            f"{path} is damaged, or no run of gan_jax wrote it, so nothing in {workdir} is "
            "touched: choose another --workdir, or repair the file"
        )
    return record


def _is_record(said: Any) -> bool:
    if not isinstance(said, dict) or any(said.get(key) != value for key, value in MARK.items()):
        return False
    if not all(isinstance(said[name], kind) for name, kind in FORM.items() if name in said):
        return False
    phases, lengths = said.get("phases", ()), said.get("lengths", ())
    are_folders = all(isinstance(name, str) and Path(name).name == name for name in phases)
    return are_folders and all(isinstance(length, int) for length in lengths)


def check_same(workdir: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuse to go on with another experiment, other options, other phases, or others before.

    Of the phases, a later run may have more.
    """
    num = min(len(record.get("phases", ())) for record in (old, new))
    if num:
        old, new = ({**record, "phases": list(record["phases"][:num])} for record in (old, new))
    options = old.get("config", {}), new["config"]
    fields = [field for field in options[0] | options[1] if field not in MAY_CHANGE]
    changes = _changes(old, new, ["experiment", "phases", "before"]) + _changes(*options, fields)
    if changes:
        raise RunDirectoryError(
            f"{workdir} holds a run with another configuration ({'; '.join(changes)}): give the "
            f"old values to resume it, {START_OVER}"
        )


def plain(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as config.json has it.

    Raises:
        ValueError: JSON has no word for something in it.
    """
    try:
        return json.loads(json.dumps(config))
    except TypeError as error:
        raise Refusal(
            f"The config cannot be written as JSON ({error}): give it numbers, strings, and lists "
            "and dicts of them."
        ) from None


def run_digest(record: dict[str, Any]) -> str:
    """A digest of what makes a run this one and no other, by which its checkpoints know it."""
    config = {name: value for name, value in record["config"].items() if name not in MAY_CHANGE}
    said = [record["experiment"], config, record.get("before")]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _changes(old: dict[str, Any], new: dict[str, Any], fields: Iterable[str]) -> list[str]:
    return [
        f"{json.dumps(field)[1:-1]} was {_value(old, field)} and is {_value(new, field)}"
        for field in fields
        if _value(old, field) != _value(new, field)
    ]


def _value(record: dict[str, Any], field: str) -> str:
    return json.dumps(record[field], sort_keys=True) if field in record else "absent"


def write_record(workdir: Path, record: dict[str, Any]) -> None:
    """Replace config.json in one stroke."""
    written = workdir / f"{CONFIG_FILE}.tmp"
    written.write_text(json.dumps(record, indent=2) + "\n")
    os.replace(written, workdir / CONFIG_FILE)


def own_version() -> str:
    """The version of gan_jax; "unknown" for a checkout that is not installed."""
    try:
        return version("gan_jax")
    except PackageNotFoundError:
        return "unknown"


@contextmanager
def usable(workdir: Path) -> Iterator[None]:
    """Say in one sentence what the operating system has against a directory, or a file in it."""
    try:
        yield
    except OSError as error:
        raise RunDirectoryError(
            f"{workdir} cannot be used ({error.strerror}: {error.filename or workdir}): mend that "
            "and run the same command again, or choose a --workdir that can be read and written"
        ) from error
