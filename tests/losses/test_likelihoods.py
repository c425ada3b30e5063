"""Output heads against the densities that they read, and at extremes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_jax import losses

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
HEADS = {
    "bernoulli": losses.bernoulli(),
    "gaussian": losses.gaussian(0.3),
    "learned_gaussian": losses.learned_gaussian(0.01),
    "discretized_logistic": losses.discretized_logistic(),
}
every_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


def outputs_of(head, *axes, channels=1):
    return jnp.asarray(RNG.normal(size=(*axes, head.num_outputs * channels)), jnp.float32)


def test_densities_are_those_of_the_blocks():
    """Two channels, and two numbers each: both means stand before both log-variances."""
    x = jnp.asarray(RNG.uniform(size=(3, 4, 2)), jnp.float32)
    both = outputs_of(HEADS["learned_gaussian"], 3, 4, channels=2)
    mean, log_variance = np.asarray(both[..., :2]), np.asarray(both[..., 2:])
    std = np.sqrt(np.exp(log_variance) + 0.01)
    expected = stats.norm(mean, std).logpdf(np.asarray(x)).sum(axis=(1, 2))
    np.testing.assert_allclose(HEADS["learned_gaussian"].log_prob(x, both), expected, rtol=1e-5)
    np.testing.assert_array_equal(HEADS["learned_gaussian"].mean(both), mean)
    fixed = stats.norm(mean, 0.3**0.5).logpdf(np.asarray(x)).sum(axis=(1, 2))
    np.testing.assert_allclose(HEADS["gaussian"].log_prob(x, mean), fixed, rtol=1e-5)
    bits = jnp.round(x)
    expected = stats.bernoulli(1 / (1 + np.exp(-mean))).logpmf(np.asarray(bits)).sum(axis=(1, 2))
    np.testing.assert_allclose(HEADS["bernoulli"].log_prob(bits, mean), expected, rtol=1e-5)


@every_head
def test_samples_stand_in_front(head):
    x = jnp.round(jnp.asarray(RNG.uniform(size=(3, 4, 2)), jnp.float32))
    outputs = outputs_of(head, 5, 6, 3, 4, channels=2)
    found = head.log_prob(x, outputs)
    assert found.shape == (5, 6, 3)
    np.testing.assert_allclose(found[4, 2], head.log_prob(x, outputs[4, 2]), rtol=1e-6)
    assert head.mean(outputs).shape == head.sample(KEY, outputs).shape == (5, 6, 3, 4, 2)


@every_head
def test_draws_have_the_mean_and_their_own_likelihood(head):
    outputs = outputs_of(head, 1)
    if head.num_outputs == 2:
        outputs = jnp.array([[0.9, -1.0]])  # a logistic's tails pile up at 1
    many = jnp.broadcast_to(outputs, (40_000, outputs.shape[-1]))
    drawn = head.sample(KEY, many)
    error = float(jnp.std(drawn)) / 200
    assert abs(float(jnp.mean(drawn)) - float(head.mean(outputs)[0, 0])) < 4 * error
    if head in (HEADS["bernoulli"], HEADS["discretized_logistic"]):
        levels = np.unique(drawn)
        probabilities = np.exp(head.log_prob(jnp.asarray(levels)[:, None], many[: len(levels)]))
        shares = np.array([np.mean(drawn == level) for level in levels])
        assert np.all(np.abs(shares - probabilities) < 5 * np.sqrt(probabilities / 40_000))


@every_head
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_saturated_outputs_are_finite(head, size):
    """Of whatever has a floor: a Gaussian without one has none at log-variances of -10⁴."""
    x = jnp.array([[0.0], [1.0]])

    def total(outputs):
        return jnp.sum(head.log_prob(x, outputs))

    mean_only = jnp.zeros((2, head.num_outputs)).at[:, 0].set(size)
    value, slope = jax.value_and_grad(total)(mean_only)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    if head.num_outputs == 2:
        value, slope = jax.value_and_grad(total)(jnp.zeros((2, 2)).at[:, 1].set(size))
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


def test_the_floor_of_the_variance_holds():
    x, outputs = jnp.zeros((1, 1)), jnp.array([[0.0, -50.0]])
    found = losses.learned_gaussian(1e-4).log_prob(x, outputs)
    np.testing.assert_allclose(found, -math.log(2 * math.pi * 1e-4) / 2, rtol=1e-5)
    without = losses.learned_gaussian(0.0).log_prob(x, outputs)
    np.testing.assert_allclose(without, -(math.log(2 * math.pi) - 50) / 2, rtol=1e-5)


@every_head
def test_sums_are_float32_where_networks_answer_in_bfloat16(head):
    x = jnp.ones((2, 28, 28, 1), jnp.bfloat16)
    outputs = outputs_of(head, 2, 28, 28).astype(jnp.bfloat16)
    found = head.log_prob(x, outputs)
    assert found.dtype == jnp.float32
    wide = head.log_prob(x.astype(jnp.float32), outputs.astype(jnp.float32))
    np.testing.assert_allclose(found, wide, rtol=1e-6)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"variance is 0\.0; it must be positive and finite"):
        losses.gaussian(0.0)
    with pytest.raises(ValueError, match=r"min_variance is -1\.0; it must be finite"):
        losses.learned_gaussian(-1.0)
    with pytest.raises(ValueError, match="num_levels is 1; an image has at least 2 levels"):
        losses.discretized_logistic(1)
    with pytest.raises(ValueError, match=r"have shape \(3, 4\), but .* need \(3, 8\): 2 for each"):
        losses.learned_gaussian(0.1).log_prob(jnp.zeros((3, 4)), jnp.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"have 3 numbers along .* reads 2 for each number in x"):
        losses.learned_gaussian(0.1).mean(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"have shape \(2, 4\), but .* need \(3, 4\)"):
        losses.bernoulli().log_prob(jnp.zeros((3, 4)), jnp.zeros((2, 4)))


@pytest.mark.parametrize(("mean", "log_scale"), [(0.9, -1.0), (0.0, -2.0), (0.4, -9.0)])
def test_the_mean_of_levels_is_their_sum(mean, log_scale):
    head = HEADS["discretized_logistic"]
    levels = jnp.linspace(0, 1, 256)[:, None]
    outputs = jnp.broadcast_to(jnp.array([[mean, log_scale]]), (256, 2))
    expected = jnp.sum(levels[:, 0] * jnp.exp(head.log_prob(levels, outputs)))
    np.testing.assert_allclose(head.mean(outputs)[0, 0], expected, rtol=1e-4)
