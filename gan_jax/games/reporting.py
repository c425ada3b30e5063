"""More metrics of a step, as a wrapper around it."""

from collections.abc import Callable

from jaxtyping import Array

from gan_jax.games.steps import check_metrics
from gan_jax.typing import Batch, KeyArray, Metrics, PyTree, Step


def reporting(step: Step, **reports: Callable[[PyTree], Array]) -> Step:
    """Report these functions of the state after the step, each under its name.

    Raises:
        ValueError: when played, what is reported is no single number.
    """

    def reporting_step(key: KeyArray, state: PyTree, batch: Batch) -> tuple[PyTree, Metrics]:
        state, metrics = step(key, state, batch)
        reported = {name: report(state) for name, report in reports.items()}
        check_metrics(reported)
        return state, metrics | reported

    return reporting_step
