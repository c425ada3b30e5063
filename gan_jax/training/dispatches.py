"""Steps dispatched one after another, and a look at every number that they report."""

from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any

import jax
import numpy as np

from gan_jax.errors import Refusal
from gan_jax.training.runtime import Runtime
from gan_jax.training.shapes import check_finite, read_batch
from gan_jax.typing import Feed, KeyArray, PyTree


class NonFiniteError(Refusal, FloatingPointError):
    """A loss or a gradient that is no finite number; the message names the step and the player."""


def dispatched(
    run: Runtime, key: KeyArray, state: PyTree, feed: Feed, ranges: list[tuple[int, int]]
) -> Generator[tuple[int, PyTree, dict[str, Any]], None, None]:
    """Give after each dispatch the step, the state, and the mean of each metric.

    Raises:
        NonFiniteError: a loss, or the norm of a gradient or an update, is not finite.
        ValueError: so is a field of the batch of that step.
    """
    key, resident = run.place_whole(key), run.place_whole(feed.resident)
    with closing(feed.chunks(ranges)) as chunks:
        for (begin, end), chunk in zip(ranges, chunks, strict=True):
            state, metrics = run.dispatch(key, begin, state, resident, run.place_chunk(chunk))
            metrics = jax.device_get(metrics)
            if bad := first_not_finite(metrics):
                name, index = bad
                step = begin + index + 1
                batch = read_batch(feed, chunk, index)
                check_finite(batch, f"the batch of step {step}, after which the run stops,")
                raise NonFiniteError(
                    f"{name} is {metrics[name][index]} at step {step}, on a batch that is finite: "
                    "the run stops, and its last checkpoint stays. At one of the first steps, look "
                    "whether the data have the range that the networks and the loss ask for; else "
                    "lower that player's learning rate, clip its gradients, or choose another loss."
                )
            yield end, state, {name: np.mean(values) for name, values in metrics.items()}


def first_not_finite(metrics: Mapping[str, np.ndarray]) -> tuple[str, int] | None:
    """Find the first step, and of it the first by name, that must be finite and is not."""
    finite = {
        name: np.isfinite(values)
        for name, values in metrics.items()
        if name.endswith(("loss", "grad_norm", "update_norm"))
    }
    bad = [(int(np.argmin(values)), name) for name, values in finite.items() if not values.all()]
    if not bad:
        return None
    index, name = min(bad)
    return name, index
