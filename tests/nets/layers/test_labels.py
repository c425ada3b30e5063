"""Labels: one place for each class, and no silence about those that are none."""

import jax.numpy as jnp
import numpy as np

from gan_jax.nets.layers import one_hot


def test_a_class_has_its_place_and_what_is_no_class_is_no_number():
    found = one_hot(jnp.array([2, 0, 3, -1]), 3)
    np.testing.assert_array_equal(found, np.vstack([np.eye(3)[[2, 0]], np.full((2, 3), np.nan)]))
