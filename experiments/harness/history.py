"""What a run has measured so far: what a picture along it is drawn of."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gan_jax.training import read_log

Columns = dict[str, Float[np.ndarray, " lines"]]


def logged(workdir: Path, names: Iterable[str]) -> Columns:
    """The numbers of these names, in the lines of the log that have them all; null is nan."""
    names = set(names)
    lines = [line for line in read_log(workdir) if names <= line.keys()]
    return {name: np.array([line[name] for line in lines], float) for name in names}


def up_to(workdir: Path, now: Mapping[str, float]) -> Columns:
    """Those of `now`, of which one is `step`, after what the log has of them from earlier steps.

    A run that was resumed may be at a step that its log has already.
    """
    past = logged(workdir, now)
    earlier = past["step"] < now["step"]
    return {name: np.append(column[earlier], now[name]) for name, column in past.items()}
