"""A network that reads its sentences itself is the network, told what its encoder makes of them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.checks import SIGNED
from gan_jax.nets import Reading

KEY = jax.random.key(0)
X = jnp.arange(6.0).reshape(2, 3)
TOKENS = jnp.array([[1, 2], [3, 4]])


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, tokens, *, train=False):
        scale = self.param("scale", nn.initializers.constant(0.5), ())
        content = scale * tokens.astype(jnp.float32)
        return content, content[:, :1] + train, (), ()


class Network(nn.Module):
    output_bound = SIGNED

    @nn.compact
    def __call__(self, x, text, *rest, train=False):
        return jnp.concatenate([x, text, *rest], axis=1) + 100 * train


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("rest", [(), (10 * X,)])
def test_a_network_is_told_content_and_motion(train, rest):
    network = Reading(Network(), Encoder())
    made, weights = network.init_with_output(KEY, X, TOKENS, *rest, train=train)
    content = TOKENS / 2
    expected = np.concatenate([X, content, content[:, :1] + train, *rest], axis=1) + 100 * train
    np.testing.assert_array_equal(made, expected)
    assert jax.tree.map(jnp.shape, weights) == {"params": {"encoder": {"scale": ()}}}


def test_the_range_is_that_of_the_network():
    assert Reading(Network(), Encoder()).output_bound == SIGNED
    assert Reading(Encoder(), Encoder()).output_bound is None
