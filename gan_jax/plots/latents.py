"""Pictures of latent spaces."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from gan_jax.plots.pictures import Picture, picture


def latents(
    panels: Mapping[str, Float[np.ndarray, "num 2"]],
    labels: Int[np.ndarray, " num"],
) -> Picture:
    """Draw a panel for each model: latents of the same examples, coloured by label.

    The circle of radius 2 holds 86 % of N(0, I). Each panel has a scale of its own.
    """
    figure = Figure(figsize=(3.6 * len(panels) + 0.6, 3.7), dpi=110, layout="constrained")
    classes = np.unique(labels)
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 1, len(classes)))
    angles = np.linspace(0, 2 * np.pi, 200)
    for axes, (name, points) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for label, colour in zip(classes, colours, strict=True):
            where = points[labels == label]
            axes.plot(*where.T, ".", color=colour, markersize=3, label=str(label))
            axes.text(
                *np.median(where, axis=0), str(label), fontsize=11, fontweight="bold", ha="center"
            )
        axes.plot(2 * np.cos(angles), 2 * np.sin(angles), "--", color="black", linewidth=1)
        axes.set(title=name, xlabel="first latent", ylabel="second latent", aspect="equal")
    return picture(figure)
