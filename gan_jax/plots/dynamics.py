"""Pictures of game dynamics: phase portraits and spectra."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Complex, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_jax.plots.curves import COLOURS
from gan_jax.plots.pictures import Picture, picture

COLUMNS = 4
WIDTH = 7.0  # inches: two columns of a paper


def phase_portraits(
    *,
    x: Float[np.ndarray, " columns"],
    y: Float[np.ndarray, " rows"],
    flow: tuple[Float[np.ndarray, "rows columns"], Float[np.ndarray, "rows columns"]],
    trajectories: Mapping[str, tuple[Float[np.ndarray, " steps"], Float[np.ndarray, " steps"]]],
    x_label: str = "generator",
    y_label: str = "discriminator",
    equilibrium: tuple[float, float] = (0.0, 0.0),
) -> Picture:
    """Draw a panel for each method: its trajectory over the flow that all share.

    `flow` is the direction of descent on the grid of `x` and `y`, as
    `games.analysis.phase_portrait` gives it. A trajectory that leaves the grid is cut there; its
    start is a circle, its end a dot.
    """
    figure, panels = _panels(list(trajectories))
    for panel, (along_x, along_y) in zip(panels, trajectories.values(), strict=True):
        panel.streamplot(x, y, *flow, color="0.8", density=0.5, linewidth=0.6, arrowsize=0.6)
        panel.plot(along_x, along_y, "-", color=COLOURS[6], linewidth=0.9)
        panel.plot(along_x[0], along_y[0], "o", color=COLOURS[6], fillstyle="none", markersize=5)
        panel.plot(along_x[-1], along_y[-1], "o", color=COLOURS[6], markersize=4)
        panel.plot(*equilibrium, "+", color=COLOURS[4], markersize=8)
        panel.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal")
    figure.supxlabel(x_label, fontsize=8)
    figure.supylabel(y_label, fontsize=8)
    return picture(figure)


def eigenvalues(
    spectra: Mapping[str, Complex[np.ndarray, " num"]],
    *,
    of_step: bool,
    linear_below: float | None = None,
) -> Picture:
    """Draw eigenvalues in the complex plane, a panel for each name.

    `of_step`: the eigenvalues of a whole step, which converges inside the unit circle that is
    drawn. Otherwise of the vector field's Jacobian: small enough steps converge where all are right
    of the imaginary axis. With `linear_below` both axes are logarithmic beyond that modulus, for
    spectra over many orders of magnitude.
    """
    figure, panels = _panels(list(spectra))
    angle = np.linspace(0, 2 * np.pi, 200)
    extent = 1.1 * max(1, *(np.abs(values).max() for values in spectra.values()))
    for panel, values in zip(panels, spectra.values(), strict=True):
        if of_step:
            panel.plot(np.cos(angle), np.sin(angle), color="0.6", linewidth=0.8)
            panel.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
            inside = np.abs(values) < 1
        else:
            panel.axvline(0, color="0.6", linewidth=0.8)
            inside = np.real(values) > 0
        stable, unstable = values[inside], values[~inside]
        panel.plot(np.real(stable), np.imag(stable), "o", color=COLOURS[6], markersize=3)
        panel.plot(np.real(unstable), np.imag(unstable), "x", color=COLOURS[4], markersize=4)
        panel.grid(alpha=0.3)
        if linear_below is not None:
            panel.set_xscale("symlog", linthresh=linear_below)
            panel.set_yscale("symlog", linthresh=linear_below)
    figure.supxlabel("real part", fontsize=8)
    figure.supylabel("imaginary part", fontsize=8)
    return picture(figure)


def _panels(names: list[str]) -> tuple[Figure, list[Axes]]:
    """Square panels of one scale, as many as there are names, in rows of four."""
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    side = WIDTH / columns
    figure = Figure(figsize=(WIDTH, rows * (side + 0.15) + 0.2), dpi=110, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel in panels[len(names) :]:
        panel.axis("off")
    for panel, name in zip(panels, names, strict=False):
        panel.set_title(name, fontsize=8)
        panel.tick_params(labelsize=6)
    for panel in panels[len(names) - columns : len(names)]:
        panel.tick_params(labelbottom=True)  # also where a shorter last row leaves a gap below
    return figure, list(panels[: len(names)])
