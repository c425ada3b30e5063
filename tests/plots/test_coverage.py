"""Modes covered over time."""

import numpy as np
from matplotlib.axes import Axes

from gan_jax.plots import coverage_curves


def test_each_population_is_a_line_in_a_band_below_the_ceiling(monkeypatch):
    bands, lines = [], []
    fill, hline = Axes.fill_between, Axes.axhline
    monkeypatch.setattr(
        Axes,
        "fill_between",
        lambda self, x, low, high, **options: (
            bands.append((low.tolist(), high.tolist())),
            fill(self, x, low, high, **options),
        ),
    )
    monkeypatch.setattr(
        Axes, "axhline", lambda self, y, **options: (lines.append(y), hline(self, y, **options))
    )
    picture = coverage_curves(
        steps=np.array([100, 200]),
        modes={"GAN": (np.array([2.0, 6.0]), np.array([1.0, 0.5]))},
        high_quality={"GAN": (np.array([0.5, 0.75]), np.array([0.25, 0.25]))},
        num_modes=8,
    )
    assert bands == [([1.0, 5.5], [3.0, 6.5]), ([0.25, 0.5], [0.75, 1.0])]
    np.testing.assert_allclose(lines, [8, 0.98889], rtol=1e-4)
    assert picture.pixels.shape[1] == 770
