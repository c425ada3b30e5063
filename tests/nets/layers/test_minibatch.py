"""Minibatch discrimination against its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import MinibatchDiscrimination, MLPDiscriminator

RNG = np.random.default_rng(0)
FEATURES = jnp.asarray(RNG.normal(size=(5, 7)), jnp.float32)


def test_it_appends_the_sums_of_closeness():
    layer = MinibatchDiscrimination(num_kernels=3, dim=2)
    out, variables = jax.jit(layer.init_with_output)(jax.random.key(0), FEATURES)
    m = (np.asarray(FEATURES) @ variables["params"]["tensor"]).reshape(5, 3, 2)
    expected = np.zeros((5, 3))
    for i in range(5):
        for j in range(5):
            expected[i] += np.exp(-np.abs(m[i] - m[j]).sum(axis=1))
    np.testing.assert_array_equal(out[:, :7], FEATURES)
    np.testing.assert_allclose(out[:, 7:], expected, rtol=1e-5)


def test_equal_examples_are_as_close_as_can_be():
    layer = MinibatchDiscrimination(num_kernels=4)
    out, _ = jax.jit(layer.init_with_output)(jax.random.key(0), jnp.ones((6, 3)))
    np.testing.assert_allclose(out[:, 3:], 6, rtol=1e-6)


@pytest.mark.parametrize("kernels", [0, 4])
def test_the_discriminator_sees_the_batch_only_with_kernels(kernels):
    network = MLPDiscriminator((8,), num_minibatch_kernels=kernels)
    variables, judge = jax.jit(network.init)(jax.random.key(0), FEATURES), jax.jit(network.apply)
    together = judge(variables, FEATURES)
    alone = np.concatenate([judge(variables, FEATURES[i : i + 1]) for i in range(5)])
    assert np.allclose(together, alone, atol=1e-6) == (kernels == 0)
