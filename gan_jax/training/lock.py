"""One process at a time in a run directory: a file that says whose it is, and shows that it lives.

Where the holder can be looked up (the same boot of the same machine) a lock is free as soon as its
process is gone. Elsewhere, as on a shared file system, the file's time tells: whoever holds a lock
touches it, and one that nobody touches for a while was left behind.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import jax

from gan_jax.training.agreement import all_agree
from gan_jax.training.progress import say
from gan_jax.training.record import RunDirectoryError, usable

LOCK_FILE = "running.json"
TOUCHED_EVERY = 10.0
"""Seconds between two signs of life."""
WATCHED_FOR = 60.0
"""Seconds without one, after which a lock is taken to be left behind."""


class Lock:
    """Hold a run directory, which is made where there is none; a context manager.

    With several processes process 0 holds it for all, and each makes the same calls.

    Raises:
        RunDirectoryError: another run holds it, or it cannot be written.
    """

    def __init__(self, workdir: Path):
        self._path = workdir / LOCK_FILE
        self._mine = {**_myself(), "lock": uuid.uuid4().hex}
        self._over = threading.Event()

    def __enter__(self) -> "Lock":
        refusal = None
        if jax.process_index() == 0:
            try:
                with usable(self._path.parent):
                    self._take()
            except RunDirectoryError as error:
                refusal = error
        if not all_agree(refusal is None):
            raise refusal or RunDirectoryError(f"process 0 cannot hold {self._path.parent}")
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):  # what has happened before counts for more
            if self._is_mine():
                self._path.unlink()

    def check(self) -> None:
        """Raise RunDirectoryError where the lock was taken away, as from a run that slept long."""
        if not all_agree(jax.process_index() != 0 or self._is_mine()):
            raise RunDirectoryError(
                f"{self._path.parent} is no longer this run's, for {self._path.name} was removed "
                "or is another's: nothing more is written; run the same command again to resume"
            )

    def _take(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with contextlib.suppress(FileExistsError):
                self._write()
                break
            left = _read(self._path)
            refuse_if_held(self._path.parent)
            self._take_away(left)
        threading.Thread(target=self._show_life, daemon=True).start()

    def _write(self) -> None:
        with self._path.open("x") as file:
            try:
                file.write(json.dumps(self._mine))
                file.flush()
            except OSError:
                self._path.unlink()
                raise

    def _take_away(self, left: dict[str, Any] | None) -> None:
        """Remove a lock left behind, one process at a time, so that none removes a new one."""
        guard = self._path.with_name(f"{LOCK_FILE}.taken")
        try:
            guard.open("x").close()
        except FileExistsError:
            if not _changes(guard):
                guard.unlink(missing_ok=True)
            return
        try:
            if _read(self._path) == left:
                self._path.unlink(missing_ok=True)
        finally:
            guard.unlink(missing_ok=True)

    def _is_mine(self) -> bool:
        """Whether nothing says that it is another's, as a file does not that cannot be read now."""
        try:
            return _read(self._path) == self._mine
        except OSError:
            return True

    def _show_life(self) -> None:
        while not self._over.wait(TOUCHED_EVERY) and self._is_mine():
            with contextlib.suppress(OSError):
                os.utime(self._path)


def refuse_if_held(workdir: Path) -> None:
    """Raise RunDirectoryError where a run that lives holds the directory."""
    path = workdir / LOCK_FILE
    holder = _read(path)
    if holder is not None and _lives(holder, path):
        raise RunDirectoryError(
            f"{workdir} is in use by {_named(holder)}: wait for it, stop it, or choose another "
            f"--workdir (where no such process runs, remove {path.name} there)"
        )


def _lives(holder: dict[str, Any], path: Path) -> bool:
    myself = _myself()
    if holder.get("machine") == myself["machine"] and myself["started"] is not None:
        started = _started(holder.get("pid"))
        return started is not None and started == holder.get("started")
    say(f"waiting {WATCHED_FOR:.0f} s to see whether {_named(holder)} still holds {path.parent}")
    return _changes(path) and path.exists()


def _named(holder: dict[str, Any]) -> str:
    return f"process {holder.get('pid', '?')} on {holder.get('host', 'an unknown machine')}"


def _myself() -> dict[str, Any]:
    """This process, and the machine as long as processes keep their numbers on it."""
    machine = [socket.gethostname()]
    with contextlib.suppress(OSError):  # no Linux
        machine.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        machine.append(os.readlink("/proc/self/ns/pid"))
    pid = os.getpid()
    return {"host": machine[0], "machine": machine, "pid": pid, "started": _started(pid)}


def _started(pid: Any) -> str | None:
    """When a process started, by the clock of its machine; None where it does not run, or no Linux.

    A zombie has ended, and waits for its parent to take note.
    """
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state == "Z" else numbers[18]


def _changes(path: Path) -> bool:
    """Watch whether a file is touched, or goes."""
    before, end = _touched(path), time.monotonic() + WATCHED_FOR
    while before is not None and _touched(path) == before and time.monotonic() < end:
        time.sleep(WATCHED_FOR / 60)
    return before is None or _touched(path) != before


def _touched(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _read(path: Path) -> dict[str, Any] | None:
    """What a lock says: nothing where it is damaged, None where there is none."""
    try:
        said = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
