"""What a run writes down: metrics.jsonl, TensorBoard events, and a progress bar."""

import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import jax
from tqdm import tqdm

from gan_jax.errors import Refusal, require_extra

METRICS_FILE = "metrics.jsonl"
EVENTS_FILES = "events.out.tfevents.*.gan_jax"
WALL_CLOCK_FIELDS = ("time", "steps_per_second")
"""What differs between two equal runs: seconds since the epoch, and speed since the last line."""


class MetricsLog:
    """Append metrics to `metrics.jsonl` and to TensorBoard's events; a context manager.

    A run resumed at step s first cuts its log back to the lines of steps up to s, and writes the
    events anew from them: those of the last seconds before a kill never reached the disk. Only
    process 0 writes.

    Raises:
        MissingPackage: tensorboardX is not installed.
    """

    def __init__(self, directory: Path | str, *, resume_step: int):
        self._file = self._events = None
        self._last = (resume_step, time.time())
        if jax.process_index() != 0:
            return
        path = Path(directory) / METRICS_FILE
        _cut_back(path, resume_step)
        self._events = _open_events(Path(directory))
        self._file = path.open("a+")
        self._file.seek(0)
        for line in self._file:
            self._write_events(json.loads(line))

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None and self._events is not None:
            self._file.close()
            self._events.close()

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Write one line: step, metrics by name, time in seconds since the epoch, steps per second.

        The line is handed to the operating system before this returns.

        Raises:
            ValueError: a metric has the name of a field of the line.

        What is no finite number is written as null, for JSON has no other word for it.
        """
        if taken := {"step", *WALL_CLOCK_FIELDS} & metrics.keys():
            raise Refusal(f"rename the metric {min(taken)!r}: each line has a field so named")
        if self._file is None or self._events is None:
            return
        numbers = {name: float(metrics[name]) for name in sorted(metrics)}
        values = {name: x if math.isfinite(x) else None for name, x in numbers.items()}
        clock = dict(zip(WALL_CLOCK_FIELDS, self._tick(step), strict=True))
        record = {"step": step, **values, **clock}
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()
        self._write_events(record)

    def _write_events(self, record: dict[str, Any]) -> None:
        assert self._events is not None
        for name, value in record.items():
            if value is not None and name not in ("step", "time"):
                self._events.add_scalar(name, value, record["step"], walltime=record["time"])

    def _tick(self, step: int) -> tuple[float, float]:
        now = time.time()
        last_step, last_time = self._last
        self._last = (step, now)
        return now, (step - last_step) / max(now - last_time, 1e-9)


def last_logged_step(directory: Path | str) -> int:
    """The step of the last line of `metrics.jsonl`, 0 where there is none."""
    path = Path(directory) / METRICS_FILE
    if not path.exists():
        return 0
    with path.open(errors="replace") as lines:
        return max((json.loads(line)["step"] for line in _lines_until(math.inf, lines)), default=0)


def _cut_back(path: Path, step: int) -> None:
    if path.exists():
        kept = path.with_name(path.name + ".tmp")
        with path.open(errors="replace") as lines, kept.open("w") as file:
            file.writelines(_lines_until(step, lines))
        os.replace(kept, path)


def _lines_until(step: int | float, lines: TextIO) -> Iterator[str]:
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:  # the process was killed as it wrote the line
            continue
        if isinstance(record, dict) and "step" in record and record["step"] <= step:
            yield line.rstrip("\n") + "\n"


def _open_events(directory: Path) -> Any:
    writer = require_extra("tensorboardX").SummaryWriter
    for old in directory.glob(EVENTS_FILES):
        old.unlink()
    # tensorboardX names files by the second, and TensorBoard takes one name for one file.
    suffix = f".{time.time_ns()}.gan_jax"
    return writer(str(directory), purge_step=0, flush_secs=5, filename_suffix=suffix)


class ProgressBar:
    """Show steps and examples per second, and the metrics named in `shown`; a context manager.

    On a terminal it is a bar; elsewhere a line every ten seconds. Only process 0 shows it.

    Args:
        total: the step at which the run ends.
        start: the step at which it begins, or resumes.
        examples_per_step: the size of the global batch.
        unit: what an example is called.
    """

    def __init__(
        self,
        total: int,
        start: int = 0,
        *,
        examples_per_step: int,
        unit: str = "images",
        shown: Sequence[str] = (),
    ):
        terminal = sys.stderr.isatty()
        self._examples_per_step, self._unit, self._shown = examples_per_step, unit, shown
        self._bar = tqdm(
            total=total,
            initial=start,
            unit=" steps",
            file=sys.stderr if terminal else _PlainLines(sys.stderr),
            mininterval=0.1 if terminal else 10.0,
            miniters=1,
            dynamic_ncols=terminal,
            disable=jax.process_index() != 0,
        )

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def update(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Move to a step and show its metrics; those not `shown` are ignored."""
        if self._bar.disable:
            return
        speed = self._bar.format_dict
        rate = speed["rate"] or (step - speed["initial"]) / max(speed["elapsed"], 1e-9)
        self._bar.set_postfix(
            {f"{self._unit}/s": f"{rate * self._examples_per_step:.4g}"}
            | {name: float(metrics[name]) for name in self._shown if name in metrics},
            refresh=False,
        )
        self._bar.update(step - self._bar.n)


class _PlainLines:
    """A stream that turns each redrawing of a bar into a line of its own."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> None:
        if text.strip():
            self._stream.write(text.strip() + "\n")

    def flush(self) -> None:
        self._stream.flush()
