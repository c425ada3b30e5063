"""How far points lie from each other."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial import distance


def distances(points: Float[Any, "num dim"]) -> Float[np.ndarray, "num num"]:
    """Of each point to all others, and infinite to itself: equal points are neighbours, too."""
    apart = distance.cdist(points, points)
    np.fill_diagonal(apart, np.inf)
    return apart
