"""Pictures of points in the plane."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from gan_jax.plots.pictures import Picture, picture


def points_over_surface(
    *,
    real: Float[np.ndarray, "num_real 2"],
    generated: Float[np.ndarray, "num_generated 2"],
    surface: Callable,
    title: str,
    resolution: int = 150,
) -> Picture:
    """Draw real and generated points over the discriminator's logit as a surface.

    `surface` maps points (num, 2) to logits (num,).
    """
    extent = 1.4 * float(np.abs(real).max())
    ticks = np.linspace(-extent, extent, resolution, dtype=np.float32)
    plane = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    logits = np.asarray(surface(plane.reshape(-1, 2))).reshape(resolution, resolution)
    largest = float(np.abs(logits).max()) or 1.0
    figure = Figure(figsize=(5.6, 4.8), dpi=110, layout="constrained")
    axes = figure.subplots()
    colours = axes.imshow(
        logits,
        extent=(-extent, extent, -extent, extent),
        origin="lower",
        cmap="PuOr",
        vmin=-largest,
        vmax=largest,
    )
    figure.colorbar(colours, ax=axes, label="discriminator's logit")
    axes.plot(*real.T, ".", color="black", markersize=3, label="real")
    axes.plot(*generated.T, ".", color="tab:green", markersize=3, alpha=0.5, label="generated")
    axes.set(title=title, xlim=(-extent, extent), ylim=(-extent, extent))
    axes.legend(loc="upper right", markerscale=3)
    return picture(figure)


def transport_lines(
    *,
    x: Float[np.ndarray, "num_x 2"],
    y: Float[np.ndarray, "num_y 2"],
    plan: Float[np.ndarray, "num_x num_y"],
    title: str = "",
) -> Picture:
    """Draw a transport plan: a line from x_i to y_j wherever γ_ij > 0, the darker the more goes."""
    figure = Figure(figsize=(4.8, 4.8), dpi=110, layout="constrained")
    axes = figure.subplots()
    rows, columns = np.nonzero(plan > 0)
    masses = plan[rows, columns]
    lines = np.stack([x[rows], y[columns]], axis=1)
    axes.add_collection(
        LineCollection(list(lines), colors="black", linewidths=0.8, alpha=masses / masses.max())
    )
    axes.plot(*x.T, "o", color="tab:green", markersize=4, label="x")
    axes.plot(*y.T, "s", color="black", markersize=4, label="y")
    axes.set(title=title, aspect="equal")
    axes.legend(loc="upper right")
    return picture(figure)
