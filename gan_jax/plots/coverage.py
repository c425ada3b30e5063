"""Pictures of the modes that a population of generators covers."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Num
from matplotlib.figure import Figure

from gan_jax.plots.curves import COLOURS, STYLES
from gan_jax.plots.pictures import Picture, picture

Band: TypeAlias = tuple[Float[np.ndarray, " times"], Float[np.ndarray, " times"]]
"""A mean and a spread at each time."""


def coverage_curves(
    *,
    steps: Num[np.ndarray, " times"],
    modes: Mapping[str, Band],
    high_quality: Mapping[str, Band],
    num_modes: int,
) -> Picture:
    """Draw the modes covered and the share of high-quality samples over time.

    Lines are means over seeds, bands what is given beside each (a standard deviation). Dotted: all
    modes, and the 98.9 % of high-quality samples that a perfect sampler in the plane has.
    """
    figure = Figure(figsize=(7.0, 2.8), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    for panel, bands, ceiling, label in (
        (left, modes, num_modes, "modes covered"),
        (right, high_quality, 1 - np.exp(-4.5), "share of high-quality samples"),
    ):
        for index, (name, (mean, spread)) in enumerate(bands.items()):
            colour, style = COLOURS[index % len(COLOURS)], STYLES[index % len(STYLES)]
            panel.plot(steps, mean, style, color=colour, label=name)
            panel.fill_between(steps, mean - spread, mean + spread, color=colour, alpha=0.15)
        panel.axhline(ceiling, color="0.4", linewidth=0.8, linestyle=":")
        panel.set(xlabel="step", ylabel=label, ylim=(0, None))
        panel.grid(alpha=0.3)
    left.legend(fontsize=8)
    return picture(figure)
