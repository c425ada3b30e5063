"""Pictures of a GAN on the line as it learns (Goodfellow et al. 2014, figure 1)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gan_jax.plots.curves import COLOURS
from gan_jax.plots.pictures import Picture, picture


class Moment(NamedTuple):
    """Of a generator and a discriminator, at one time.

    generated, judged, best: along x, the density of what is made, D, and the best D against it.
    made: G(z) along an even grid of z.
    """

    generated: Float[np.ndarray, " points"]
    judged: Float[np.ndarray, " points"]
    best: Float[np.ndarray, " points"]
    made: Float[np.ndarray, " arrows"]


def learning_process(
    *,
    x: Float[np.ndarray, " points"],
    data: Float[np.ndarray, " points"],
    moments: Mapping[str, Moment],
) -> Picture:
    """Draw a panel for each moment: both densities, D and the best D, and the map from z to x.

    Arrows lead from z, stretched to the width of the panel, up to G(z); one is left out where it
    leads out of it. Densities, in units of the data's largest, are cut above 1.3.
    """
    width = 2.4 * len(moments)
    figure = Figure(figsize=(width, 3.6), dpi=110, layout="constrained")
    panels = figure.subplots(
        2, len(moments), squeeze=False, sharex=True, sharey="row", height_ratios=(2, 1)
    )
    largest = data.max()
    for (above, below), (name, moment) in zip(panels.T, moments.items(), strict=True):
        for y, style, colour, label in (
            (data / largest, ":", COLOURS[0], "data's density, p"),
            (moment.generated / largest, "-", COLOURS[3], "density of what is made, q"),
            (moment.best, "-.", COLOURS[1], "p/(p + q), the best D"),
            (moment.judged, "--", COLOURS[6], "D"),
        ):
            above.plot(x, y, style, color=colour, label=label)
        above.set(title=name, ylim=(0, 1.3), xlim=(x[0], x[-1]))
        start = np.linspace(x[0], x[-1], len(moment.made))
        inside = (moment.made > x[0]) & (moment.made < x[-1])
        start, end = start[inside], moment.made[inside]
        below.quiver(
            start,
            np.zeros_like(start),
            end - start,
            np.ones_like(start),
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.006,
            color="0.4",
        )
        below.set(ylim=(0, 1), xlabel="x")
    panels[1, 0].set_yticks([0, 1], ["z", "G(z)"])
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return picture(figure)
