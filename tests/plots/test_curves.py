"""Curves in one frame."""

import importlib

import numpy as np
from matplotlib.axes import Axes

from gan_jax.plots import curves

X = np.linspace(0, 1, 5)


def test_curves_and_points_are_drawn_with_their_names(monkeypatch):
    drawn = []
    plot = Axes.plot

    def note(self, x, y, *style, label, **rest):
        drawn.append((label, np.asarray(x).tolist(), np.asarray(y).tolist(), rest["color"]))
        return plot(self, x, y, *style, label=label, **rest)

    monkeypatch.setattr(Axes, "plot", note)
    picture = curves(
        x=X,
        curves={"square": X**2, "root": X**0.5},
        points={"seen": (np.array([0.5]), np.array([0.3]))},
        x_label="x",
        y_label="y",
    )
    assert [line[:3] for line in drawn] == [
        ("square", X.tolist(), (X**2).tolist()),
        ("root", X.tolist(), (X**0.5).tolist()),
        ("seen", [0.5], [0.3]),
    ]
    assert len({colour for *_, colour in drawn}) == 3
    assert picture.pixels.shape == (440, 616, 3)


def test_scales_are_those_that_are_asked_for(monkeypatch):
    figures = []
    module = importlib.import_module("gan_jax.plots.curves")  # the function has its name
    draw = module.picture
    monkeypatch.setattr(module, "picture", lambda figure: figures.append(figure) or draw(figure))
    told = {"x": X + 1, "curves": {"square": X**2 + 1}, "x_label": "x", "y_label": "y"}
    curves(**told, scales=("log", "linear"))
    curves(**told)
    scales = [(axes.get_xscale(), axes.get_yscale()) for axes in (f.axes[0] for f in figures)]
    assert scales == [("log", "linear"), ("linear", "linear")]
