"""When the steps of a run are dispatched, and what is due between two dispatches."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gan_jax.errors import Refusal
from gan_jax.training.evaluation import Hook


class Timetable(NamedTuple):
    """When a run ends, and at which of its steps the program comes back to Python.

    A dispatch compiles and runs `steps_per_dispatch` steps; each gives one line of the log, the
    mean over its steps. Checkpoints fall on dispatch boundaries, so that a resumed run dispatches
    the same programs.
    """

    num_steps: int
    steps_per_dispatch: int
    checkpoint_every: int

    def check(self, hooks: Sequence[Hook]) -> None:
        """Raise ValueError where a number is out of range or an interval meets no boundary."""
        for name, value in self._asdict().items():
            if value < 1:
                raise Refusal(f"{name} is {value}; it must be at least 1.")
        intervals = [("checkpoint_every", self.checkpoint_every)]
        intervals += [("the interval between evaluations", hook.every) for hook in hooks]
        for name, value in intervals:
            if value < 1 or value % self.steps_per_dispatch:
                raise Refusal(
                    f"{name} is {value}; it must be a multiple of "
                    f"steps_per_dispatch={self.steps_per_dispatch}."
                )

    def dispatches(self, start: int) -> Iterator[tuple[int, int]]:
        """Give the ranges of steps (start, stop) from `start` to the end."""
        while start < self.num_steps:
            stop = min(
                (start // self.steps_per_dispatch + 1) * self.steps_per_dispatch, self.num_steps
            )
            yield start, stop
            start = stop

    def due(self, every: int, step: int) -> bool:
        """Whether something to be done at that interval is due at this boundary."""
        return step % every == 0 or step == self.num_steps
