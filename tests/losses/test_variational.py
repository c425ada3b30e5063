"""Variational terms against SciPy, in float64, and against their own identities."""

import math

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
    np.testing.assert_allclose(losses.gaussian_kl(*map(jnp.asarray, (M, LV, PM, PLV))), expected)
    standard = -np.sum(1 + LV - M**2 - np.exp(LV), axis=-1) / 2
    np.testing.assert_allclose(losses.gaussian_kl(jnp.asarray(M), jnp.asarray(LV)), standard)


def test_the_kl_is_zero_at_the_prior_and_keeps_small_differences():
    m, lv = jnp.asarray(PM), jnp.asarray(PLV)
    np.testing.assert_array_equal(losses.gaussian_kl(m, lv, m, lv), 0)
    single = losses.gaussian_kl(jnp.zeros(1, jnp.float32), jnp.full(1, 1e-3, jnp.float32))
    np.testing.assert_allclose(single, (math.expm1(1e-3) - 1e-3) / 2, rtol=1e-3)


def test_the_bernoulli_likelihood_is_scipy_s_and_holds_at_extremes():
    x, logits = jnp.array([1.0, 0.0, 1.0]), jnp.asarray(M[0])
    expected = stats.bernoulli.logpmf(np.asarray(x), 1 / (1 + np.exp(-M[0]))).sum()
    np.testing.assert_allclose(losses.bernoulli_log_likelihood(x, logits), expected)
    extreme = jnp.array([[1e4], [-1e4], [20.0]], jnp.float32)
    ones = jnp.ones((3, 1), jnp.float32)
    found = losses.bernoulli_log_likelihood(ones, extreme)
    np.testing.assert_allclose(found, [0, -1e4, -math.exp(-20)], rtol=1e-6)
    slope = jax.grad(lambda a: jnp.sum(losses.bernoulli_log_likelihood(ones, a)))(extreme)
    np.testing.assert_allclose(slope.ravel(), [0, 1, math.exp(-20)], rtol=1e-6)


@pytest.mark.parametrize("variance", [0.3, np.exp(LV)])
def test_the_gaussian_likelihood_is_scipy_s(variance):
    expected = stats.norm.logpdf(M, PM, np.sqrt(variance)).sum(axis=-1)
    given = variance if isinstance(variance, float) else jnp.asarray(variance)
    found = losses.gaussian_log_likelihood(jnp.asarray(M), jnp.asarray(PM), given)
    np.testing.assert_allclose(found, expected)


def test_a_variance_of_one_half_makes_the_squared_error():
    x, mean = jnp.asarray(M), jnp.asarray(PM)
    slope = jax.grad(lambda mean: jnp.sum(losses.gaussian_log_likelihood(x, mean, 0.5)))(mean)
    np.testing.assert_allclose(slope, 2 * (x - mean))


@pytest.mark.parametrize("num_levels", [2, 16, 256])
@pytest.mark.parametrize(("mean", "log_scale"), [(0.3, -2.0), (0.0, -7.0), (1.4, 0.5)])
def test_the_discretised_logistic_is_a_distribution_and_scipy_s(num_levels, mean, log_scale):
    levels = np.arange(num_levels) / (num_levels - 1)
    x = jnp.asarray(levels)[:, None]
    found = losses.discretized_logistic_log_likelihood(
        x, jnp.full_like(x, mean), jnp.full_like(x, log_scale), num_levels=num_levels
    )
    np.testing.assert_allclose(jnp.sum(jnp.exp(found)), 1, rtol=1e-9)
    width = 1 / (num_levels - 1)
    edges = np.concatenate([[-np.inf], levels[1:] - width / 2, [np.inf]])
    cdf = stats.logistic(mean, math.exp(log_scale)).cdf(edges)
    np.testing.assert_allclose(jnp.exp(found), np.diff(cdf), rtol=1e-6, atol=1e-14)


def test_the_discretised_logistic_holds_far_from_its_mean():
    """There the difference of two sigmoids is 0 in float32, and its logarithm -inf."""
    x = jnp.array([0.5], jnp.float32)
    far, narrow = jnp.array([0.9], jnp.float32), jnp.array([-7.0], jnp.float32)
    found, slope = jax.value_and_grad(losses.discretized_logistic_log_likelihood, 1)(x, far, narrow)
    exact = -(0.4 - 0.5 / 255) * math.exp(7) + math.log1p(-math.exp(-math.exp(7) / 255))
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    np.testing.assert_allclose(slope, [-math.exp(7)], rtol=1e-4)


@pytest.mark.slow
def test_the_bounds_of_a_model_that_is_known():
    """z ~ N(0, 1), x|z ~ N(z, 1): log p(x) = log N(x; 0, 2), and q exact is N(x/2, 1/2)."""
    x, num = 1.3, 50_000
    exact = stats.norm.logpdf(x, 0, 2**0.5)
    noise = jax.random.normal(jax.random.key(0), (num, 1))

    def log_weights(mean, variance):
        z = mean + variance**0.5 * noise
        normal = losses.gaussian_log_likelihood
        x_given_z = normal(jnp.full((num, 1), x), z, 1.0)
        prior = normal(z, jnp.zeros((num, 1)), 1.0)
        return x_given_z + prior - normal(z, jnp.full((num, 1), mean), variance)

    np.testing.assert_allclose(log_weights(x / 2, 0.5), exact)
    for k in (1, 7):
        np.testing.assert_allclose(
            losses.iwae(log_weights(x / 2, 0.5)[: k * 100].reshape(k, 100)), exact
        )
    weights = log_weights(0.0, 1.0)  # q is the prior: the bound is loose and rises with k
    bounds = [jnp.mean(losses.iwae(weights.reshape(k, -1))) for k in (1, 2, 10, 50)]
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
    weights = jnp.asarray(RNG.normal(size=(4, 5))) * 1000
    expected = np.array([np.max(row) - math.log(5) for row in np.asarray(weights)])
    np.testing.assert_allclose(losses.iwae(weights, axis=1), expected, rtol=1e-3)
    np.testing.assert_array_equal(losses.iwae(weights.T), losses.iwae(weights, axis=-1))
    assert np.isfinite(losses.iwae(jnp.full((3, 1), -1e30))).all()


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
            found = loss(half, half[::-1])
            assert found.dtype == jnp.float32
            np.testing.assert_allclose(found, loss(single, single[::-1]), rtol=1e-6)


def test_the_density_of_a_standard_normal_is_as_wide_as_its_argument():
    with jax.enable_x64(True):
        for dtype in (jnp.float32, jnp.float64):
            found = losses.gaussian_log_density(jnp.ones((2, 3), dtype))
            assert found.dtype == dtype
            np.testing.assert_allclose(found, stats.norm.logpdf(1) * 3, rtol=1e-6)
