"""What a run writes down: metrics.jsonl, samples/ and TensorBoard's events."""

import json
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from gan_jax.errors import Refusal
from gan_jax.training.evaluation import File
from gan_jax.training.events import Events
from gan_jax.training.record import usable

METRICS_FILE = "metrics.jsonl"
SAMPLES = "samples"
WALL_CLOCK_FIELDS = ("time", "steps_per_second")
"""What differs between two equal runs: seconds since the epoch, and speed since the last line."""


class MetricsLog:
    """Append metrics to `metrics.jsonl` and to TensorBoard's events; a context manager.

    A run resumed at step s first cuts its log back to the lines of steps up to s, and writes the
    events anew from them and their pictures: those of the last seconds before a kill never reached
    the disk. `last_step` is that of the last line. Only process 0 writes.

    Raises:
        RunDirectoryError: the directory cannot be written.
        MissingPackage: tensorboardX is not installed.
    """

    def __init__(self, directory: Path | str, *, resume_step: int):
        self._directory = Path(directory)
        self._file = self._events = None
        self._last = (resume_step, time.time())
        self.last_step = resume_step
        if jax.process_index() != 0:
            return
        with usable(self._directory):
            records = [record for record in read_log(directory) if record["step"] <= resume_step]
            _write_anew(self._directory / METRICS_FILE, records)
            self._events = Events(self._directory)
            pictures = _pictures(self._directory / SAMPLES)
            for record in records:
                self._events.numbers(record)
                for name, path in pictures[record["step"]]:
                    self._events.picture(name, path, record)
            self._file = (self._directory / METRICS_FILE).open("a")

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None and self._events is not None:
            self._file.close()
            self._events.close()

    def write(
        self, step: int, metrics: Mapping[str, Any], files: Mapping[str, File] | None = None
    ) -> None:
        """Write one line: step, metrics by name, time in seconds since the epoch, steps per second.

        The files go to `samples/<name>-<step><suffix>` before the line that is of their step. The
        line is handed to the operating system before this returns.

        Raises:
            ValueError: a metric has the name of a field of the line.

        What is no finite number is written as null, for JSON has no other word for it.
        """
        if taken := {"step", *WALL_CLOCK_FIELDS} & metrics.keys():
            raise Refusal(f"rename the metric {min(taken)!r}: each line has a field so named")
        if self._file is None or self._events is None:
            return
        with usable(self._directory):
            saved = self._save(step, files or {})
        numbers = {name: float(metrics[name]) for name in sorted(metrics)}
        values = {name: x if math.isfinite(x) else None for name, x in numbers.items()}
        clock = dict(zip(WALL_CLOCK_FIELDS, self._tick(step), strict=True))
        record = {"step": step, **values, **clock}
        with usable(self._directory):
            self._file.write(json.dumps(record, allow_nan=False) + "\n")
            self._file.flush()
            self.last_step = step
            self._events.numbers(record)
            for name, path in saved.items():
                self._events.picture(name, path, record)

    def _save(self, step: int, files: Mapping[str, File]) -> dict[str, Path]:
        samples, saved = self._directory / SAMPLES, {}
        for name, file in files.items():
            samples.mkdir(exist_ok=True)
            saved[name] = samples / f"{name}-{step:06d}{file.suffix}"
            file.save(saved[name])
        return saved

    def _tick(self, step: int) -> tuple[float, float]:
        now = time.time()
        last_step, last_time = self._last
        self._last = (step, now)
        return now, (step - last_step) / max(now - last_time, 1e-9)


def read_log(workdir: Path | str) -> list[dict[str, Any]]:
    """Read the lines of `metrics.jsonl`, none where there is no such file.

    What is no line of a log is left out, as where the process was killed as it wrote one.

    Raises:
        RunDirectoryError: the file cannot be read.
    """
    path, records = Path(workdir) / METRICS_FILE, []
    with usable(Path(workdir)):
        text = path.read_text(errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if _is_line(record):
            records.append(record)
    return records


def _is_line(said: Any) -> bool:
    if not isinstance(said, dict) or not {"step", *WALL_CLOCK_FIELDS} <= said.keys():
        return False
    numbers = [said[name] for name in said.keys() - {"step"} if said[name] is not None]
    return type(said["step"]) is int and all(
        type(number) in (int, float) and abs(number) <= sys.float_info.max for number in numbers
    )


def _write_anew(path: Path, records: list[dict[str, Any]]) -> None:
    kept = path.with_name(path.name + ".tmp")
    kept.write_text("".join(json.dumps(record) + "\n" for record in records))
    os.replace(kept, path)


def _pictures(samples: Path) -> Mapping[int, list[tuple[str, Path]]]:
    """The names and paths of the pictures of each step."""
    by_step = defaultdict(list)
    for path in sorted(samples.glob("*-*.png")):
        name, _, step = path.stem.rpartition("-")
        if step.isdecimal():
            by_step[int(step)].append((name, path))
    return by_step
