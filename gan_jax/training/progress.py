"""What a run says on stderr: a progress bar, and a line where there is something to say."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import jax
from tqdm import tqdm


def say(text: str) -> None:
    """Print a line; only process 0 does."""
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)


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
