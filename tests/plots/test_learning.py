"""The moments of a GAN on the line: their curves, and the arrows from z to x."""

import numpy as np
from matplotlib.axes import Axes

from gan_jax.plots import Moment, learning_process

X = np.linspace(-1, 1, 5)
DATA = np.array([0.0, 1.0, 2.0, 1.0, 0.0])


def test_every_moment_has_its_curves_and_its_arrows(monkeypatch):
    drawn, arrows, panels = [], [], []
    plot, quiver = Axes.plot, Axes.quiver

    def note(self, x, y, *style, label, **rest):
        panels.append(self)
        drawn.append((label, np.asarray(y).tolist()))
        return plot(self, x, y, *style, label=label, **rest)

    def point(self, x, y, right, up, **rest):
        arrows.append(np.stack([x, x + right, y, y + up]).tolist())
        return quiver(self, x, y, right, up, **rest)

    monkeypatch.setattr(Axes, "plot", note)
    monkeypatch.setattr(Axes, "quiver", point)
    first = Moment(3 * DATA, 0 * X, X, np.array([-0.2, 0.0, 5.0]))
    picture = learning_process(x=X, data=DATA, moments={"one": first, "two": first})
    labels, values = zip(*drawn, strict=True)
    assert labels[:4] == labels[4:]
    assert values[:4] == ((DATA / 2).tolist(), (DATA * 1.5).tolist(), X.tolist(), (0 * X).tolist())
    assert labels[:4] == (
        "data's density, p",
        "density of what is made, q",
        "p/(p + q), the best D",
        "D",
    )
    # from even places up to G(z); the third leads out of the panel
    np.testing.assert_allclose(arrows, [[[-1, 0], [-0.2, 0], [0, 0], [1, 1]]] * 2)
    assert [axes.get_title() for axes in dict.fromkeys(panels)] == ["one", "two"]
    assert picture.pixels.shape[1] == 528
