"""Maxout against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.nets import Maxout


def test_a_unit_is_the_greatest_of_its_linear_pieces():
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=shape) for shape in [(5, 3), (3, 4, 2), (4, 2)])
    variables = {"params": {"Dense_0": {"kernel": w.reshape(3, 8), "bias": b.reshape(8)}}}
    variables, given = jax.tree.map(jnp.float32, (variables, x))
    expected = np.max(np.einsum("nx,xij->nij", x, w) + b, axis=-1)
    np.testing.assert_allclose(Maxout(4, 2).apply(variables, given), expected, rtol=1e-5, atol=1e-6)
