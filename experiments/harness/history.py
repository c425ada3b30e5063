"""What a run has measured so far: what a picture along it is drawn of."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gan_jax.training import read_log


def so_far(workdir: Path, now: Mapping[str, float]) -> dict[str, Float[np.ndarray, " lines"]]:
    """Every number of an evaluation, `step` among them, after those of the log that came before it.

    A log that is read again may have the present step already, as where a run was resumed.
    """
    before = [line for line in read_log(workdir) if now.keys() <= line.keys()]
    lines = [*(line for line in before if line["step"] < now["step"]), now]
    return {name: np.array([line[name] for line in lines], float) for name in now}
