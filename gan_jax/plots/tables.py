"""Tables of numbers on a ground that says what to look at."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gan_jax.plots.pictures import Picture, picture


def shaded_table(
    cells: Sequence[Sequence[str]],
    shades: Float[np.ndarray, "rows columns"],
    *,
    row_names: Sequence[str],
    column_names: Sequence[str],
) -> Picture:
    """Write each cell on a ground that is white at a shade of 0 and a middle orange at 1."""
    num_rows, num_columns = shades.shape
    size = (2.6 + 1.05 * num_columns, 0.8 + 0.3 * num_rows)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.imshow(shades, cmap="Oranges", vmin=0, vmax=1.6, aspect="auto")
    for row, texts in enumerate(cells):
        for column, written in enumerate(texts):
            axes.text(column, row, written, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(num_columns), column_names)
    axes.set_yticks(range(num_rows), row_names)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    return picture(figure)
