"""Two parallel lines, between which distances are known (Arjovsky et al. 2017, example 1)."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gan_jax.checks import FINITE
from gan_jax.losses.inputs import check_values


class LineDistances(NamedTuple):
    """Between (0, y) and (θ, y), y uniform on [0, 1]; the KL divergence is infinite but at 0."""

    wasserstein: Float[np.ndarray, " num"]
    jensen_shannon: Float[np.ndarray, " num"]
    total_variation: Float[np.ndarray, " num"]


def between_parallel_lines(theta: Float[np.ndarray, " num"]) -> LineDistances:
    """W₁ = |θ|, JS = log 2 and TV = 1 where θ is not 0: only the first has a slope.

    Raises:
        ValueError: a θ is not finite.
    """
    check_values(FINITE, theta=theta)
    apart = (theta != 0).astype(float)
    return LineDistances(np.abs(theta), math.log(2) * apart, apart)
