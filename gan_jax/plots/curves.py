"""Pictures of curves."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Num
from matplotlib.figure import Figure

from gan_jax.plots.pictures import Picture, picture

# Okabe and Ito's colours, which the colour-blind tell apart, and a line style for each.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2", "#F0E442")
STYLES = ("-", "--", "-.", ":")


def curves(
    *,
    x: Num[np.ndarray, " num"],
    curves: Mapping[str, Num[np.ndarray, " num"]],
    points: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    x_label: str,
    y_label: str,
    title: str = "",
    scales: tuple[str, str] = ("linear", "linear"),
) -> Picture:
    """Draw curves over a common x, and of points (x, y), each named in the legend.

    `scales` are those of x and of y: "linear" or "log".
    """
    figure = Figure(figsize=(5.6, 4.0), dpi=110, layout="constrained")
    axes = figure.subplots()
    for index, (name, y) in enumerate(curves.items()):
        colour, style = COLOURS[index % len(COLOURS)], STYLES[index % len(STYLES)]
        axes.plot(x, y, style, color=colour, label=name)
    for index, (name, (at, y)) in enumerate((points or {}).items()):
        axes.plot(at, y, "ox^v"[index % 4], color=COLOURS[-2 - index], label=name)
    axes.set(xlabel=x_label, ylabel=y_label, title=title, xscale=scales[0], yscale=scales[1])
    axes.legend()
    axes.grid(alpha=0.3)
    return picture(figure)
