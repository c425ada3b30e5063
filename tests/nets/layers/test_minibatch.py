"""Minibatch discrimination against its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import MinibatchDiscrimination, MLPDiscriminator
from gan_jax.nets.layers.minibatch import minibatch_deviation

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


def test_the_deviation_is_that_of_each_group_at_every_place():
    """Groups of 3 of 6 examples: 0, 2, 4 and 1, 3, 5."""
    x = RNG.normal(size=(6, 2, 3, 4)).astype(np.float32)
    out = minibatch_deviation(jnp.asarray(x), 3, epsilon=0.5)
    assert out.shape == (6, 2, 3, 1)
    for first in (0, 1):
        group = x[first::2].astype(np.float64)
        expected = np.sqrt(group.var(axis=0) + 0.5).mean()
        np.testing.assert_allclose(out[first::2], expected, rtol=1e-5)


def test_identical_examples_deviate_by_nothing_but_the_epsilon():
    out = minibatch_deviation(jnp.full((4, 2, 2, 3), 5.0), 4)
    np.testing.assert_allclose(out, 1e-4, rtol=1e-5)


def test_fewer_examples_than_a_group_are_one():
    x = jnp.asarray(RNG.normal(size=(2, 3)), jnp.float32)
    np.testing.assert_array_equal(minibatch_deviation(x, 4), minibatch_deviation(x, 2))
    with pytest.raises(ValueError, match="6 examples do not divide into groups of 4"):
        minibatch_deviation(jnp.zeros((6, 3)), 4)
    with pytest.raises(ValueError, match="group is 0"):
        minibatch_deviation(x, 0)
