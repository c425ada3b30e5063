"""What options of all runs come to."""

import numpy as np
import pytest

from experiments import density_ratio


@pytest.mark.parametrize("moves", [1, 3])
def test_a_rate_falls_along_half_a_cosine_of_as_many_moves(moves):
    rate = density_ratio.Config(learning_rate=0.5, decay_steps=6, steps=6).cosine(moves)
    np.testing.assert_allclose(
        [rate(moves * step) for step in (0, 2, 3, 6)], [0.5, 0.375, 0.25, 0], atol=1e-7
    )


def test_steps_at_a_rate_of_0_are_refused():
    with pytest.raises(ValueError, match="--steps is 7, but after 6 the learning rate is 0"):
        density_ratio.Config(decay_steps=6, steps=7)
