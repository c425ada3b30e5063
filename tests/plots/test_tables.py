"""Tables on a ground."""

import numpy as np

from gan_jax import plots


def test_the_ground_of_a_cell_is_its_shade():
    shades = np.array([[0.0, 0.5], [1.0, 0.0]])
    cells = [["1", "2"], ["3", "4"]]
    table = plots.shaded_table(cells, shades, row_names=["a", "b"], column_names=["c", "d"])
    colours = np.unique(table.pixels.reshape(-1, 3), axis=0, return_counts=True)
    grounds = [tuple(c) for c, num in zip(*colours, strict=True) if num > 1_000]
    assert len(grounds) == 4  # the figure's own, and one a shade
    blank = plots.shaded_table(
        [["", ""], ["", ""]], shades, row_names=["a", "b"], column_names=["c", "d"]
    )
    assert (blank.pixels != table.pixels).any()
