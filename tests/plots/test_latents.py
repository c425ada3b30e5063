"""Latents of several models, beside the prior's circle."""

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from gan_jax.plots import latents


def test_each_model_has_a_panel_of_its_latents_by_label(monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "draw", lambda figure, renderer: figures.append(figure))
    rng, labels = np.random.default_rng(0), np.arange(20) % 3
    models = {"one": rng.normal(size=(20, 2)), "other": rng.normal(3, 5, (20, 2))}
    widths = [latents(dict(list(models.items())[:num]), labels).pixels.shape[1] for num in (1, 2)]
    assert widths == [462, 858]
    for (name, points), axes in zip(models.items(), figures[1].axes, strict=True):
        assert axes.get_title() == name
        *classes, circle = axes.lines
        assert [line.get_label() for line in classes] == ["0", "1", "2"]
        assert len({tuple(line.get_color()) for line in classes}) == 3
        for label, (line, text) in enumerate(zip(classes, axes.texts, strict=True)):
            where = points[labels == label]
            np.testing.assert_array_equal(line.get_xydata(), where)
            assert text.get_text() == str(label)
            np.testing.assert_allclose(text.get_position(), np.median(where, axis=0))
        radii = np.linalg.norm(circle.get_xydata(), axis=1)
        np.testing.assert_allclose(radii, radii[0])
        np.testing.assert_allclose(stats.chi2(2).cdf(radii[0] ** 2), 0.86, atol=0.005)
        np.testing.assert_allclose(circle.get_xydata().mean(axis=0), 0, atol=0.02)
        assert axes.get_aspect() == 1
