"""Points over a surface."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from gan_jax.plots import points_over_surface, transport_lines


def test_the_surface_is_evaluated_over_the_points_and_drawn():
    seen = []

    def surface(plane):
        seen.append(plane)
        return plane[:, 0]

    real = np.array([[1.0, -2.0], [0.5, 0.0]], np.float32)
    picture = points_over_surface(
        real=real, generated=-real, surface=surface, title="here", resolution=20
    )
    (plane,) = seen
    assert (plane.shape, plane.dtype) == ((400, 2), np.float32)
    np.testing.assert_allclose([plane.min(), plane.max()], [-2.8, 2.8], rtol=1e-6)
    pixels = picture.pixels
    assert pixels.shape == (528, 616, 3)
    # The surface rises from left to right: orange below zero, purple above.
    left, right = pixels[300, 90], pixels[300, 440]
    assert left[0] > left[2]
    assert right[2] > right[0]


@pytest.mark.parametrize("flat", [False, True])
def test_each_thing_is_drawn_where_it_is(monkeypatch, flat):
    figures = []
    monkeypatch.setattr(Figure, "draw", lambda figure, renderer: figures.append(figure))
    real, generated = (
        np.random.default_rng(seed).normal(0, scale, (5, 2)).astype(np.float32)
        for seed, scale in [(0, 1), (1, 2)]
    )
    points_over_surface(
        real=real,
        generated=generated,
        surface=lambda plane: np.full(len(plane), 0.0) if flat else plane @ [1, 3],
        title="step 7",
        resolution=3,
    )
    axes = figures[0].axes[0]
    assert axes.get_title() == "step 7"
    drawn = {line.get_label(): line.get_xydata() for line in axes.lines}
    np.testing.assert_array_equal(drawn["real"], real)
    np.testing.assert_array_equal(drawn["generated"], generated)
    assert axes.lines[0].get_color() != axes.lines[1].get_color()
    (image,) = axes.images
    extent = 1.4 * np.abs(real).max()
    np.testing.assert_allclose(image.get_extent(), [-extent, extent] * 2, rtol=1e-6)
    np.testing.assert_allclose(axes.axis(), [-extent, extent] * 2, rtol=1e-6)
    assert image.origin == "lower"
    ticks = extent * np.arange(-1, 2)
    expected = np.zeros((3, 3)) if flat else ticks[None, :] + 3 * ticks[:, None]
    np.testing.assert_allclose(image.get_array(), expected, rtol=1e-6, atol=1e-6)
    largest = 1 if flat else 4 * extent
    np.testing.assert_allclose(image.get_clim(), [-largest, largest], rtol=1e-6)


def test_a_line_goes_from_each_point_to_where_its_mass_does(monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "draw", lambda figure, renderer: figures.append(figure))
    x, y = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 2.0], [3.0, 2.0]])
    plan = np.array([[0.5, 0.25], [0.0, 0.25]])
    transport_lines(x=x, y=y, plan=plan, title="moved")
    (axes,) = figures[0].axes
    (lines,) = axes.collections
    ends = [path.vertices for path in lines.get_paths()]
    np.testing.assert_array_equal(ends, [[x[0], y[0]], [x[0], y[1]], [x[1], y[1]]])
    np.testing.assert_allclose(lines.get_alpha(), [1, 0.5, 0.5])
    drawn = {line.get_label(): line.get_xydata() for line in axes.lines}
    np.testing.assert_array_equal(drawn["x"], x)
    np.testing.assert_array_equal(drawn["y"], y)
    assert (axes.get_title(), axes.get_aspect()) == ("moved", 1)
