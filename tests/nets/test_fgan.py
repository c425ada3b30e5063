import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.nets import LocationScale


def test_it_moves_and_scales_and_starts_as_the_identity():
    z = jax.random.normal(jax.random.key(0), (5, 2))
    network = LocationScale(2)
    variables = network.init(jax.random.key(1), z)
    np.testing.assert_array_equal(network.apply(variables, z), z)
    params = {"mean": jnp.array([[3.0, -1.0]]), "log_deviation": jnp.log(jnp.array([[2.0, 0.5]]))}
    expected = np.array([3.0, -1.0]) + np.asarray(z) * [2.0, 0.5]
    np.testing.assert_allclose(network.apply({"params": params}, z), expected, rtol=1e-6)
