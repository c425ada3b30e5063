"""The bound over discrete latents: a mixture of Gaussians, whose log p(x) is a sum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses

RNG = np.random.default_rng(0)
X, LOGITS = (jnp.float32(RNG.normal(size=shape)) for shape in ((3,), (3, 4)))
CENTRES = jnp.float32(RNG.normal(size=4))
NUM = 20_000


def log_joint(centres):
    """log p(x, h) of four components that weigh the same, (examples, components)."""
    return -jnp.square(X[:, None] - centres[None]) / 2 - np.log(4 * np.sqrt(2 * np.pi))


def test_the_sum_is_log_p_less_the_divergence_from_the_posterior():
    joint = log_joint(CENTRES)
    log_p = jax.nn.logsumexp(joint, axis=1)
    log_q = jax.nn.log_softmax(LOGITS, axis=1)
    gap = jnp.sum(jnp.exp(log_q) * (log_q - joint + log_p[:, None]), axis=1)
    assert (gap > 0.01).all()
    np.testing.assert_allclose(losses.summed_elbo(LOGITS, joint), log_p - gap, rtol=1e-5)
    np.testing.assert_allclose(losses.summed_elbo(joint + 3, joint), log_p, rtol=1e-5)


def test_a_value_of_probability_0_adds_nothing_to_the_sum():
    logits = jnp.array([[0.0, 1.0, -jnp.inf], [0.0, 1.0, -1e4]])
    joint = jnp.array([-1.0, -2.0, -jnp.inf])[None] + jnp.zeros((2, 1))
    both = jax.value_and_grad(lambda *at: jnp.sum(losses.summed_elbo(*at)), argnums=(0, 1))
    value, slopes = both(logits, joint)
    expected, without = both(logits[:, :2], joint[:, :2])
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for found, kept in zip(slopes, without, strict=True):
        np.testing.assert_allclose(found, jnp.pad(kept, ((0, 0), (0, 1))), rtol=1e-6)


def exact(centres, logits):
    return jnp.sum(losses.summed_elbo(logits, log_joint(centres)))


@pytest.fixture(scope="module")
def estimates():
    """(baseline) -> the bound, and gradients of centres and of logits, at many draws."""

    def at(key, baseline):
        h = jax.random.categorical(key, LOGITS)[:, None]

        def bound(centres, logits):
            log_q = jax.nn.log_softmax(logits, axis=1)
            terms = (jnp.take_along_axis(a, h, axis=1)[:, 0] for a in (log_joint(centres), log_q))
            return jnp.sum(losses.score_function_elbo(*terms, baseline=baseline))

        return jax.value_and_grad(bound, argnums=(0, 1))(CENTRES, LOGITS)

    keys = jax.random.split(jax.random.key(0), NUM)
    return lambda baseline: jax.jit(jax.vmap(at, (0, None)))(keys, baseline)


@pytest.mark.parametrize("baseline", [0.0, -3.0])
def test_the_score_function_has_the_exact_bound_and_gradient_in_the_mean(estimates, baseline):
    found = estimates(baseline)
    expected = jax.value_and_grad(exact, argnums=(0, 1))(CENTRES, LOGITS)
    for values, mean in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        error = np.std(values, axis=0) / NUM**0.5
        assert np.all(np.abs(np.mean(values, axis=0) - mean) < 4 * error)


def test_a_baseline_near_the_bound_makes_it_vary_less(estimates):
    mean = np.mean(losses.summed_elbo(LOGITS, log_joint(CENTRES)))
    plain, less = (np.var(estimates(baseline)[1][1], axis=0).sum() for baseline in (0.0, mean))
    assert less < plain / 2
