"""Phase portraits and spectra: every name has its panel, every number its mark."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from gan_jax.plots import eigenvalues, phase_portraits

TICKS = np.linspace(-1, 1, 5)
X, Y = np.meshgrid(TICKS, TICKS)


@pytest.fixture
def drawn(monkeypatch):
    """What was plotted: (x, y, mark)."""
    seen, plot = [], Axes.plot

    def note(self, x, y, *marks, **options):
        seen.append((np.asarray(x).tolist(), np.asarray(y).tolist(), marks))
        return plot(self, x, y, *marks, **options)

    monkeypatch.setattr(Axes, "plot", note)
    return seen


@pytest.mark.parametrize("num", [1, 6])
def test_every_method_has_a_panel_with_its_trajectory(drawn, monkeypatch, num):
    if num > 1:  # one panel's streamlines are enough: they take their time
        monkeypatch.setattr(Axes, "streamplot", lambda *grid, **options: None)
    trajectories = {
        f"method {i}": (np.array([1.0, 0.5, i]), np.array([0.0, 0.5, 0.1])) for i in range(num)
    }
    picture = phase_portraits(x=TICKS, y=TICKS, flow=(-Y, X), trajectories=trajectories)
    for along_x, along_y in trajectories.values():
        assert (along_x.tolist(), along_y.tolist(), ("-",)) in drawn
    assert picture.pixels.shape[1] == 770


@pytest.mark.parametrize(
    ("of_step", "stable", "unstable"),
    [(True, [0.5, 0.9j], [1.1 + 0j]), (False, [0.5, 1.1 + 0j], [0.9j])],
)
def test_eigenvalues_inside_and_outside_have_different_marks(drawn, of_step, stable, unstable):
    values = np.array([0.5, 0.9j, 1.1])
    picture = eigenvalues({"one": values, "two": 2 * values}, of_step=of_step)
    first_last = reversed(drawn)  # so that the first panel's marks are kept
    marked = {m[0]: [complex(*z) for z in zip(x, y, strict=True)] for x, y, m in first_last if m}
    assert marked["o"] == stable
    assert marked["x"] == unstable
    assert picture.pixels.min() < 255
