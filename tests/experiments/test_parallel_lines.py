"""What is drawn of two parallel lines."""

import numpy as np

from experiments import parallel_lines
from gan_jax import plots


def test_distances_are_drawn_under_their_names_and_estimates_at_their_places(monkeypatch):
    drawn = {}
    monkeypatch.setattr(plots, "curves", lambda **told: drawn.update(told))
    parallel_lines.distances({-0.5: 0.4, 1.0: 0.9})
    apart = drawn["x"] != 0
    expected = {
        "Wasserstein": np.abs(drawn["x"]),
        "Jensen-Shannon": np.log(2) * apart,
        "total variation": 1.0 * apart,
    }
    assert list(drawn["curves"]) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(drawn["curves"][name], values, rtol=1e-6)
    ((at, estimates),) = drawn["points"].values()
    assert (at.tolist(), estimates.tolist()) == ([-0.5, 1.0], [0.4, 0.9])
