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
    mean, log_variance = np.split(np.asarray(both), 2, axis=-1)

    def log_prob(name, x, outputs):
        return jax.jit(HEADS[name].log_prob)(x, jnp.asarray(outputs))

    std = np.sqrt(np.exp(log_variance) + 0.01)
    expected = stats.norm(mean, std).logpdf(np.asarray(x)).sum(axis=(1, 2))
    np.testing.assert_allclose(log_prob("learned_gaussian", x, both), expected, rtol=1e-5)
    np.testing.assert_array_equal(HEADS["learned_gaussian"].mean(both), mean)
    fixed = stats.norm(mean, 0.3**0.5).logpdf(np.asarray(x)).sum(axis=(1, 2))
    np.testing.assert_allclose(log_prob("gaussian", x, mean), fixed, rtol=1e-5)
    bits = np.round(x)
    expected = stats.bernoulli(1 / (1 + np.exp(-mean))).logpmf(bits).sum(axis=(1, 2))
    np.testing.assert_allclose(log_prob("bernoulli", jnp.asarray(bits), mean), expected, rtol=1e-5)


@every_head
def test_samples_stand_in_front(head):
    x = jnp.asarray(RNG.integers(0, 2, (3, 4, 2)), jnp.float32)
    outputs = outputs_of(head, 5, 6, 3, 4, channels=2)
    log_prob = jax.jit(head.log_prob)
    every = np.asarray(log_prob(x, outputs))
    assert every.shape == (5, 6, 3)
    np.testing.assert_allclose(every[4, 2], log_prob(x, outputs[4, 2]), rtol=1e-6)
    of_x = (jax.eval_shape(head.mean, outputs), jax.eval_shape(head.sample, KEY, outputs))
    assert [a.shape for a in of_x] == 2 * [(5, 6, 3, 4, 2)]


@every_head
def test_draws_have_the_mean_and_their_own_likelihood(head):
    outputs = outputs_of(head, 1)
    if head.num_outputs == 2:
        outputs = jnp.array([[0.9, -1.0]])  # a logistic's tails pile up at 1
    many = jnp.asarray(np.broadcast_to(outputs, (40_000, outputs.shape[-1])))
    drawn = np.asarray(jax.jit(head.sample)(KEY, many))
    error = np.std(drawn) / 200
    assert abs(np.mean(drawn) - float(jax.jit(head.mean)(outputs)[0, 0])) < 4 * error
    if head in (HEADS["gaussian"], HEADS["learned_gaussian"]):
        top = head.log_prob(jnp.asarray(outputs[:, :1]), jnp.asarray(outputs))  # 1/(σ √2π)
        deviation = np.exp(-top) / math.sqrt(2 * math.pi)
        np.testing.assert_allclose(np.std(drawn), deviation, rtol=4 / math.sqrt(80_000))
    else:
        levels, counts = np.unique(drawn, return_counts=True)
        log_prob = jax.jit(head.log_prob)(jnp.asarray(levels)[:, None], many[: len(levels)])
        probabilities = np.exp(log_prob)
        deviations = np.abs(counts / 40_000 - probabilities)
        assert np.all(deviations < 5 * np.sqrt(probabilities / 40_000))


@every_head
def test_saturated_outputs_are_finite(head):
    """Of whatever has a floor: a Gaussian without one has none at log-variances of -10⁴."""
    x = jnp.array([[0.0], [1.0]])
    total = jax.jit(jax.value_and_grad(lambda outputs: jnp.sum(head.log_prob(x, outputs))))
    for place in range(head.num_outputs):
        for size in (1e4, -1e4):
            outputs = np.zeros((2, head.num_outputs), np.float32)
            outputs[:, place] = size
            value, slope = total(outputs)
            assert np.isfinite(value)
            assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("head", "unfloored", "floor"),
    [
        (losses.learned_gaussian(0.01), losses.learned_gaussian(0.0), math.log(0.01)),
        (losses.discretized_logistic(min_log_scale=-2.0), losses.discretized_logistic(), -2.0),
    ],
    ids=["learned_gaussian", "discretized_logistic"],
)
def test_the_floor_holds_for_draws_and_means(head, unfloored, floor):
    below, at = (jnp.tile(jnp.array([[0.3, spread]]), (20, 1)) for spread in (-50.0, floor))
    for found, expected in (
        (head.sample(KEY, below), unfloored.sample(KEY, at)),
        (head.mean(below), unfloored.mean(at)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.std(head.sample(KEY, below)) > 0.05


def test_the_floor_of_the_variance_holds():
    x, outputs = jnp.zeros((1, 1)), jnp.array([[0.0, -50.0]])
    floored = jax.jit(losses.learned_gaussian(1e-4).log_prob)(x, outputs)
    np.testing.assert_allclose(floored, -math.log(2 * math.pi * 1e-4) / 2, rtol=1e-5)
    without = jax.jit(losses.learned_gaussian(0.0).log_prob)(x, outputs)
    np.testing.assert_allclose(without, -(math.log(2 * math.pi) - 50) / 2, rtol=1e-5)


@every_head
def test_sums_are_float32_where_networks_answer_in_bfloat16(head):
    x = jnp.ones((2, 28, 28, 1), jnp.bfloat16)
    outputs = outputs_of(head, 2, 28, 28).astype(jnp.bfloat16)
    log_prob = jax.jit(head.log_prob)
    half = log_prob(x, outputs)
    assert half.dtype == jnp.float32
    wide = log_prob(x.astype(jnp.float32), outputs.astype(jnp.float32))
    np.testing.assert_allclose(half, wide, rtol=1e-6)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"variance is 0\.0; it must be positive and finite"):
        losses.gaussian(0.0)
    with pytest.raises(ValueError, match=r"min_variance is -1\.0; it must be finite"):
        losses.learned_gaussian(-1.0)
    with pytest.raises(ValueError, match="num_levels is 1; it must be an integer, at least 2"):
        losses.discretized_logistic(1)
    with pytest.raises(ValueError, match=r"have shape \(3, 4\), but .* need \(3, 8\): 2 for each"):
        losses.learned_gaussian(0.1).log_prob(jnp.zeros((3, 4)), jnp.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"have 3 numbers along .* reads 2 for each number in x"):
        losses.learned_gaussian(0.1).mean(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"have shape \(2, 4\), but .* need \(3, 4\)"):
        losses.bernoulli().log_prob(jnp.zeros((3, 4)), jnp.zeros((2, 4)))


@every_head
@pytest.mark.parametrize("value", [-1.0, 2.0, 255.0, np.nan, np.inf])
def test_examples_outside_the_support_are_refused(head, value):
    x, outputs = jnp.array([[0.0], [value]]), jnp.zeros((3, 2, head.num_outputs))
    if head.support.holds(value):
        head.check(x)
        return
    sentence = rf"hold {value}; this likelihood is .* in \[0, 1\]: .*data\.unit .*data\.signed"
    if not np.isfinite(value):
        sentence = f"hold {value}; leave out the ones that are not finite"
    with pytest.raises(ValueError, match=sentence):
        head.check(x)
    with pytest.raises(ValueError, match=sentence):
        head.log_prob(x, outputs)


@every_head
def test_traced_examples_outside_the_support_have_no_finite_density(head):
    """All others keep their values, and their slopes."""
    x = jnp.array([[0.0], [-1.0], [0.5], [1 + 2.4e-7], [jnp.nan]])
    outputs = outputs_of(head, 2, 5)

    @jax.jit
    def of(x):
        return jax.vjp(lambda outputs: head.log_prob(x, outputs), outputs)

    values, back = of(x)
    wrong = np.asarray(~head.support.holds(x))[:, 0]
    assert wrong[-1]
    assert np.isnan(values[:, wrong]).all()
    right_values, right_back = of(jnp.where(wrong[:, None], 0.5, x))
    np.testing.assert_array_equal(values[:, ~wrong], right_values[:, ~wrong])
    (slopes,), (right,) = (f(jnp.ones((2, 5))) for f in (back, right_back))
    np.testing.assert_array_equal(slopes[:, ~wrong], right[:, ~wrong])


def test_constants_are_looked_at_inside_a_compiled_function():
    """Where JAX traces whatever it computes of them."""
    outside = jnp.full((1, 2), 2.0)
    with pytest.raises(ValueError, match="hold 2"):
        jax.jit(lambda logits: losses.bernoulli().log_prob(outside, logits))(jnp.zeros((1, 2)))


def test_the_mean_of_levels_is_their_sum():
    head = HEADS["discretized_logistic"]
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    log_prob, mean = jax.jit(head.log_prob), jax.jit(head.mean)
    for outputs in ([0.9, -1.0], [0.0, -2.0], [0.4, -9.0]):
        many = jnp.asarray(np.broadcast_to(np.float32(outputs), (256, 2)))
        expected = np.sum(levels * np.exp(log_prob(jnp.asarray(levels)[:, None], many)))
        np.testing.assert_allclose(mean(many)[0, 0], expected, rtol=1e-4)
