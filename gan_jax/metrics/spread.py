"""Mean and spread of what several seeds have measured."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Num

from gan_jax.checks import AT_LEAST_2, check_bound
from gan_jax.errors import Refusal


class Spread(NamedTuple):
    """mean; std: the standard deviation of the values; error: the mean's standard error."""

    mean: float
    std: float
    error: float


def spread(values: Num[np.ndarray, " num"]) -> Spread:
    """Summarise n values: std² = 1/n Σ (x - mean)², error² = 1/n · 1/(n-1) Σ (x - mean)².

    A value that is not finite (a KL divergence may be infinite) makes std and error nan.

    Raises:
        ValueError: there are fewer than two values, or they are not along one axis.
    """
    if np.ndim(values) != 1:
        raise Refusal(
            f"The values have the shape {np.shape(values)}; give one number for each seed, along "
            "one axis."
        )
    num = len(values)
    check_bound(AT_LEAST_2, **{"The number of values": num})
    mean = float(np.mean(values))
    if not np.isfinite(values).all():
        return Spread(mean, math.nan, math.nan)
    error = float(np.std(values, ddof=1)) / math.sqrt(num)
    return Spread(mean, float(np.std(values)), error)
