"""Variational terms against SciPy, in float64, and against their own identities."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from gan_jax import losses

RNG = np.random.default_rng(0)
M, LV, PM, PLV = RNG.normal(size=(4, 2, 3))


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_the_kl_of_gaussians_is_the_integral():
    def kl(m, lv, pm, plv):
        p, q = stats.norm(m, math.exp(lv / 2)), stats.norm(pm, math.exp(plv / 2))
        return integrate.quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), -40, 40)[0]

    expected = np.vectorize(kl)(M, LV, PM, PLV).sum(axis=-1)
    m, lv, pm, plv = map(jnp.asarray, (M, LV, PM, PLV))
    gaussian_kl = jax.jit(losses.gaussian_kl)
    np.testing.assert_allclose(gaussian_kl(m, lv, pm, plv), expected)
    standard = -np.sum(1 + LV - M**2 - np.exp(LV), axis=-1) / 2
    np.testing.assert_allclose(gaussian_kl(m, lv), standard)
    np.testing.assert_array_equal(gaussian_kl(pm, plv, pm, plv), 0)


def test_the_kl_keeps_small_differences():
    mean, log_variance = jnp.zeros(1, jnp.float32), jnp.full(1, 1e-3, jnp.float32)
    single = jax.jit(losses.gaussian_kl)(mean, log_variance)
    np.testing.assert_allclose(single, (math.expm1(1e-3) - 1e-3) / 2, rtol=1e-3)


def test_the_bernoulli_likelihood_is_scipy_s_and_holds_at_extremes():
    x, logits = jnp.array([1.0, 0.0, 1.0]), jnp.asarray(M[0])
    expected = stats.bernoulli.logpmf(np.asarray(x), 1 / (1 + np.exp(-M[0]))).sum()
    np.testing.assert_allclose(jax.jit(losses.bernoulli_log_likelihood)(x, logits), expected)
    with_slope = jax.vmap(jax.value_and_grad(losses.bernoulli_log_likelihood, argnums=1))
    extreme = jnp.array([[1e4], [-1e4], [20.0]], jnp.float32)
    values, slopes = jax.jit(with_slope)(jnp.ones((3, 1), jnp.float32), extreme)
    np.testing.assert_allclose(values, [0, -1e4, -math.exp(-20)], rtol=1e-6)
    np.testing.assert_allclose(np.ravel(slopes), [0, 1, math.exp(-20)], rtol=1e-6)


@pytest.mark.parametrize("variance", [0.3, np.exp(LV)])
def test_the_gaussian_likelihood_is_scipy_s(variance):
    expected = stats.norm.logpdf(M, PM, np.sqrt(variance)).sum(axis=-1)
    log_likelihood = jax.jit(losses.gaussian_log_likelihood)(
        jnp.asarray(M), jnp.asarray(PM), jnp.asarray(variance)
    )
    np.testing.assert_allclose(log_likelihood, expected)


def test_a_variance_of_one_half_makes_the_squared_error():
    def total(mean):
        return jnp.sum(losses.gaussian_log_likelihood(jnp.asarray(M), mean, 0.5))

    np.testing.assert_allclose(jax.jit(jax.grad(total))(jnp.asarray(PM)), 2 * (M - PM))


@pytest.mark.parametrize("num_levels", [2, 16, 256])
def test_the_discretised_logistic_is_a_distribution_and_scipy_s(num_levels):
    levels = np.arange(num_levels) / (num_levels - 1)
    x, width = jnp.asarray(levels)[:, None], 1 / (num_levels - 1)
    edges = np.concatenate([[-np.inf], levels[1:] - width / 2, [np.inf]])
    log_likelihood = jax.jit(
        partial(losses.discretized_logistic_log_likelihood, num_levels=num_levels)
    )
    for mean, log_scale in ((0.3, -2.0), (0.0, -7.0), (1.4, 0.5), (0.3, 6.0)):
        masses = np.exp(log_likelihood(x, np.full(x.shape, mean), np.full(x.shape, log_scale)))
        np.testing.assert_allclose(np.sum(masses), 1, rtol=1e-9)
        cdf = stats.logistic(mean, math.exp(log_scale)).cdf(edges)
        np.testing.assert_allclose(masses, np.diff(cdf), rtol=1e-6, atol=1e-14)


def test_the_discretised_logistic_holds_far_from_its_mean():
    """There the difference of two sigmoids is 0 in float32, and its logarithm -inf."""
    x = jnp.array([0.5], jnp.float32)
    far, narrow = jnp.array([0.9], jnp.float32), jnp.array([-7.0], jnp.float32)
    with_slope = jax.value_and_grad(losses.discretized_logistic_log_likelihood, 1)
    value, slope = jax.jit(with_slope)(x, far, narrow)
    exact = -(0.4 - 0.5 / 255) * math.exp(7) + math.log1p(-math.exp(-math.exp(7) / 255))
    np.testing.assert_allclose(value, exact, rtol=1e-5)
    np.testing.assert_allclose(slope, [-math.exp(7)], rtol=1e-4)


@pytest.mark.slow
def test_the_bounds_of_a_model_that_is_known():
    """z ~ N(0, 1), x|z ~ N(z, 1): log p(x) = log N(x; 0, 2), and q exact is N(x/2, 1/2)."""
    x, num = 1.3, 50_000
    exact = stats.norm.logpdf(x, 0, 2**0.5)
    noise = jax.random.normal(jax.random.key(0), (num, 1))

    def log_weights_of(mean, variance):
        z = mean + variance**0.5 * noise
        normal = losses.gaussian_log_likelihood
        x_given_z = normal(jnp.full((num, 1), x), z, 1.0)
        prior = normal(z, jnp.zeros((num, 1)), 1.0)
        return x_given_z + prior - normal(z, jnp.full((num, 1), mean), variance)

    np.testing.assert_allclose(log_weights_of(x / 2, 0.5), exact)
    for k in (1, 7):
        np.testing.assert_allclose(
            losses.iwae(log_weights_of(x / 2, 0.5)[: k * 100].reshape(k, 100)), exact
        )
    log_weights = log_weights_of(0.0, 1.0)  # q is the prior: the bound is loose and rises with k
    bounds = [jnp.mean(losses.iwae(log_weights.reshape(k, -1))) for k in (1, 2, 10, 50)]
    assert all(np.diff(bounds) > 0)
    assert bounds[-1] < exact
    assert exact - bounds[-1] < 0.02
    z = noise
    likelihood = losses.gaussian_log_likelihood(jnp.full((num, 1), x), z, 1.0)
    closed = losses.elbo(-(math.log(2 * math.pi) + x**2 + 1) / 2 * jnp.ones(()), jnp.zeros(()))
    assert abs(jnp.mean(likelihood) - closed) < 4 * jnp.std(likelihood) / num**0.5
    gap = exact - closed
    posterior_gap = losses.gaussian_kl(
        jnp.zeros(1), jnp.zeros(1), jnp.full(1, x / 2), jnp.log(jnp.full(1, 0.5))
    )
    np.testing.assert_allclose(gap, posterior_gap)


def test_the_importance_weighted_bound_takes_any_axis_and_extreme_weights():
    log_weights = 1000 * RNG.normal(size=(4, 5))
    iwae = jax.jit(losses.iwae, static_argnames="axis")
    along_rows = iwae(jnp.asarray(log_weights), axis=1)
    expected = np.max(log_weights, axis=1) - math.log(5)
    np.testing.assert_allclose(along_rows, expected, rtol=1e-3)
    np.testing.assert_array_equal(along_rows, iwae(jnp.asarray(log_weights), axis=-1))
    np.testing.assert_array_equal(along_rows, iwae(jnp.asarray(log_weights.T)))
    assert np.isfinite(iwae(jnp.full((5, 4), -1e30))).all()


@pytest.mark.slow
def test_sums_are_float32_where_networks_answer_in_bfloat16():
    half = jnp.asarray(RNG.uniform(0.1, 0.9, (2, 784)), jnp.bfloat16)
    single = half.astype(jnp.float32)
    for loss in (
        losses.gaussian_kl,
        losses.bernoulli_log_likelihood,
        lambda x, mean: losses.gaussian_log_likelihood(x, mean, 0.01),
        lambda x, mean: losses.discretized_logistic_log_likelihood(x, mean, x),
        losses.elbo,
        lambda x, _: losses.iwae(x),
        lambda x, y: losses.mmd2(x, y, losses.gaussian_kernel([1.0])),
    ):
        with jax.enable_x64(False):
            of_half = loss(half, half[::-1])
            assert of_half.dtype == jnp.float32
            np.testing.assert_allclose(of_half, loss(single, single[::-1]), rtol=1e-6)


def test_the_density_of_a_standard_normal_is_as_wide_as_its_argument():
    log_density = jax.jit(losses.gaussian_log_density)
    for dtype in (jnp.float32, jnp.float64):
        values = log_density(jnp.ones((2, 3), dtype))
        assert values.dtype == dtype
        np.testing.assert_allclose(values, stats.norm.logpdf(1) * 3, rtol=1e-6)
