"""Points over a surface."""

import matplotlib.image
import numpy as np

from gan_jax.plots import save_points_over_surface


def test_the_surface_is_evaluated_over_the_points_and_drawn(tmp_path):
    seen = []

    def surface(plane):
        seen.append(plane)
        return plane[:, 0]

    real = np.array([[1.0, -2.0], [0.5, 0.0]], np.float32)
    path = tmp_path / "points.png"
    save_points_over_surface(
        path, real=real, generated=-real, surface=surface, title="here", resolution=20
    )
    (plane,) = seen
    assert plane.shape == (400, 2)
    np.testing.assert_allclose([plane.min(), plane.max()], [-2.8, 2.8], rtol=1e-6)
    picture = matplotlib.image.imread(path)
    assert picture.shape[:2] == (528, 616)
    # The surface rises from left to right: orange below zero, purple above.
    left, right = picture[300, 90, :3], picture[300, 440, :3]
    assert left[0] > left[2]
    assert right[2] > right[0]


def test_a_flat_surface_can_be_drawn(tmp_path):
    points = np.ones((3, 2), np.float32)
    path = tmp_path / "flat.png"
    save_points_over_surface(
        path,
        real=points,
        generated=points,
        surface=lambda plane: np.zeros(len(plane)),
        title="",
        resolution=5,
    )
    assert path.stat().st_size > 1_000
