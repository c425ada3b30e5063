"""The projection discriminator against its equation and its optimum."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from gan_jax.nets import ProjectionDiscriminator

KEY = jax.random.key(0)


class Plain(nn.Module):
    """φ(x) = (x, 1)."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return jnp.concatenate([x, jnp.ones((len(x), 1))], axis=-1)


NETWORK = ProjectionDiscriminator(Plain(), 3)
X, LABELS = jax.random.normal(KEY, (5, 2)), jnp.array([0, 2, 1, 2, 2])


def test_the_derivative_in_a_row_of_v_is_phi_of_the_examples_of_that_class():
    shapes = jax.eval_shape(NETWORK.init, KEY, X, LABELS)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    slope = jax.grad(lambda v: jnp.sum(NETWORK.apply(v, X, LABELS)))(zeros)
    expected = np.eye(3)[LABELS].T @ np.c_[X, np.ones(5)]
    np.testing.assert_allclose(slope["params"]["embedding"]["kernel"], expected, rtol=1e-5)


def test_between_gaussians_of_one_variance_it_holds_the_log_ratio():
    """log p(x|y)/q(x|y) = (μ_y - ν_y)·x - (‖μ_y‖² - ‖ν_y‖²)/2, split over V and ψ."""
    rng = np.random.default_rng(0)
    mu, nu = rng.normal(size=(2, 3, 2))
    rows = np.c_[mu - nu, -(np.sum(mu**2, axis=1) - np.sum(nu**2, axis=1)) / 2]
    shared = rng.normal(size=3)
    params = {
        "embedding": {"kernel": jnp.asarray(rows - shared)},
        "psi": {"kernel": jnp.asarray(shared)[:, None], "bias": jnp.zeros(1)},
    }
    found = jax.jit(NETWORK.apply)({"params": params}, X, LABELS)
    x = np.asarray(X)
    ratio = norm.logpdf(x, mu[LABELS]) - norm.logpdf(x, nu[LABELS])
    np.testing.assert_allclose(found, ratio.sum(axis=1), rtol=1e-4, atol=1e-5)
