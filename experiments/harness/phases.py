"""The options of experiments that train in phases, and the run that they make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.harness.options import Evaluate, Result, RunOptions
from gan_jax.errors import Refusal
from gan_jax.training import Phase, train_phases
from gan_jax.typing import Feed, PyTree, Step


@dataclass(frozen=True, kw_only=True)
class PhaseOptions(RunOptions):
    """`steps` are those of the last phase."""

    def phase(
        self, name: str, start: Callable[[Any], PyTree], step: Step, feed: Feed, num_steps: int
    ) -> Phase:
        """A phase of so many steps. start: what the phase before has left -> where to begin."""
        return Phase(name, start, step, feed, self.examples_per_step, self.timetable(num_steps))

    def train_phases(
        self,
        phases: Sequence[Phase],
        evaluate: Evaluate,
        *,
        workdir: Path,
        fresh: bool,
        label_names: Sequence[str] | None = None,
        **shown: Any,
    ) -> Result:
        """Train all phases, and look at the states of each; the result is of the last.

        Raises:
            ValueError: another run is to be continued.
        """
        if self.continue_from is not None:
            raise Refusal(
                f"--continue-from is {self.continue_from}, but a run in phases starts with its "
                "first one: leave it out; more --steps go on in the same --workdir."
            )

        hook = self.looking(evaluate)
        state, evaluation = train_phases(
            [phase._replace(hooks=[hook]) for phase in phases],
            workdir=workdir,
            fresh=fresh,
            **self.told(label_names),
            **shown,
        )
        return self.ended(state, evaluation, hook, workdir / phases[-1].name)
