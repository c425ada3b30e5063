"""What a discriminator is shown while it is trained, and what else."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.losses import r1
from gan_jax.nets import Augmented

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (3, 2, 2, 1))


class Told(nn.Module):
    @nn.compact
    def __call__(self, x, y, *, train=False):
        return x.sum(axis=(1, 2, 3)) + y + 100.0 * train


def scaled(key, images):
    return images * jax.random.normal(key, (len(images), 1, 1, 1))


def test_it_augments_what_is_trained_on_alone():
    network, y = Augmented(Told(), scaled), jnp.arange(3.0)
    asked = network.apply({}, X, y)
    np.testing.assert_allclose(asked, X.sum(axis=(1, 2, 3)) + y, rtol=1e-6)
    first, second = (
        network.apply({}, X, y, train=True, rngs={"noise": key}) for key in jax.random.split(KEY)
    )
    factors = (first - y - 100) / X.sum(axis=(1, 2, 3))
    assert len(np.unique(np.round(factors, 4))) == 3
    assert (first != second).all()


def test_penalties_go_through_it():
    network = Augmented(Told(), lambda key, images: 3 * images)
    critic = lambda x: network.apply({}, x, jnp.zeros(3), train=True, rngs={"noise": KEY})  # noqa: E731
    np.testing.assert_allclose(r1(critic, X), np.full(3, 9 * 4), rtol=1e-6)
