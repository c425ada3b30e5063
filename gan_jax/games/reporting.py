"""More metrics of a step, as a wrapper around it."""

from collections.abc import Callable

from jaxtyping import Array

from gan_jax.typing import Batch, KeyArray, Metrics, PyTree, Step


def reporting(step: Step, **reports: Callable[[PyTree], Array]) -> Step:
    """Report these functions of the state after the step, each under its name."""

    def reporting_step(key: KeyArray, state: PyTree, batch: Batch) -> tuple[PyTree, Metrics]:
        state, metrics = step(key, state, batch)
        return state, metrics | {name: report(state) for name, report in reports.items()}

    return reporting_step
