"""Conditional GANs: their value at the best discriminator."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import rel_entr

from gan_jax import losses
from gan_jax.games import Weights
from gan_jax.systems import GAN

COUNTS = np.array([[[1, 2, 3], [4, 1, 1]], [[2, 2, 2], [1, 1, 4]]])
"""How often each of three examples comes in the data and among the fakes, by classes."""


class Listed(nn.Module):
    """What stands in the list of a class."""

    fakes: jax.Array

    @nn.compact
    def __call__(self, labels, *, train=False):
        return jax.nn.one_hot(self.fakes[labels, jnp.arange(len(labels)) % 6], 3)


class Table(nn.Module):
    """A logit for each class and each example, both one-hot."""

    @nn.compact
    def __call__(self, x, labels, *, train=False):
        table = self.param("table", nn.initializers.zeros, (2, 3))
        return jnp.einsum("nx,nx->n", x, table[labels])


@pytest.mark.parametrize("classes", [[0, 1], [1]])
def test_the_value_at_the_best_discriminator_is_a_mean_of_divergences(classes):
    """V(G, D*) = E_y[2 JS(p(·|y) ‖ q(·|y))] - log 4, D*(x|y) = p/(p + q): a GAN with one class.

    Mirza & Osindero 2014, equation (2), as Goodfellow et al. 2014, theorem 1 has it for one class.
    """
    real, fake = (jnp.array([np.repeat(range(3), row) for row in table]) for table in COUNTS)
    labels = jnp.repeat(jnp.array(classes), 6)
    system = GAN(
        generator=Listed(fake),
        discriminator=Table(),
        loss=losses.minimax(),
        latents=None,
        conditions=("label",),
    )
    batch = {"image": jax.nn.one_hot(real[jnp.array(classes)].ravel(), 3), "label": labels}
    best = jnp.log(COUNTS[0] / COUNTS[1])
    outcome = jax.jit(system.game)(
        generator=Weights(params={}, state={}),
        discriminator=Weights(params={"table": best}, state={}),
        batch=batch,
        key=jax.random.key(0),
    )
    p, q = COUNTS[:, classes] / 6
    divergence = (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)).sum(axis=1)  # 2 JS
    expected = divergence.mean() - np.log(4)
    np.testing.assert_allclose(-outcome.discriminator.loss, expected, rtol=1e-5)
