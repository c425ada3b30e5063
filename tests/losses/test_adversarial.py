"""Every loss against its formula, its slopes at the extremes, and what theory says of it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses, metrics
from gan_jax.losses import (
    hinge,
    least_squares,
    maximum_likelihood,
    minimax,
    non_saturating,
    wasserstein,
)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def log_d(a):
    return np.log(sigmoid(a))


def log_not_d(a):
    return np.log(1 - sigmoid(a))


# What the papers minimise, in probabilities where they write probabilities.
FORMULAS = {
    minimax: (lambda a: -log_d(a), lambda a: -log_not_d(a), log_not_d),
    non_saturating: (lambda a: -log_d(a), lambda a: -log_not_d(a), lambda a: -log_d(a)),
    maximum_likelihood: (
        lambda a: -log_d(a),
        lambda a: -log_not_d(a),
        lambda a: -sigmoid(a) / (1 - sigmoid(a)),
    ),
    wasserstein: (lambda a: -a, lambda a: a, lambda a: -a),
    hinge: (lambda a: np.maximum(0, 1 - a), lambda a: np.maximum(0, 1 + a), lambda a: -a),
    least_squares: (
        lambda a: (a - 1) ** 2 / 2,
        lambda a: a**2 / 2,
        lambda a: (a - 1) ** 2 / 2,
    ),
}
LOSSES = list(FORMULAS)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_curves_are_the_formulas(loss):
    logits = np.random.default_rng(0).normal(scale=3.0, size=(4, 5, 1))
    with jax.enable_x64(True):
        for curve, formula in zip(loss(), FORMULAS[loss], strict=True):
            values = curve(jnp.asarray(logits))
            assert values.shape == logits.shape
            np.testing.assert_allclose(values, formula(logits), rtol=1e-10)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("loss", LOSSES)
def test_values_and_two_derivatives_are_finite_at_the_extremes(loss, dtype):
    extreme = 1e4 if dtype == jnp.float32 else 100
    logits = jnp.array([-extreme, -100, -30, 0, 30, 80, 100, extreme], dtype)
    curves = loss()._asdict()
    if loss is maximum_likelihood:
        assert curves.pop("generator")(jnp.float32(100)) == -jnp.inf

    @jax.jit
    def derivatives(logits):
        orders = ((f, jax.grad(f), jax.grad(jax.grad(f))) for f in curves.values())
        return [jax.vmap(order)(logits) for of_curve in orders for order in of_curve]

    for values in derivatives(logits):
        assert values.dtype == dtype
        assert np.isfinite(np.float32(values)).all()


@pytest.mark.parametrize("shape", [(), (3,), (2, 4, 4, 1), (0, 5)])
@pytest.mark.parametrize("loss", LOSSES)
def test_curves_keep_shape_and_type(loss, shape):
    for curve in loss():
        for dtype in (jnp.float32, jnp.bfloat16):
            values = jax.eval_shape(curve, jax.ShapeDtypeStruct(shape, dtype))
            assert (values.shape, values.dtype) == (shape, dtype)


def test_the_cross_entropy_is_linear_at_the_extremes():
    """softplus(a) is a far above 0, and e^a far below: nothing is clipped."""
    for loss in (minimax(), non_saturating()):
        for far in (100.0, 1e4):
            assert loss.fake(jnp.float32(far)) == far
            assert loss.real(jnp.float32(-far)) == far
    assert minimax().generator(jnp.float32(1e4)) == -1e4
    assert non_saturating().generator(jnp.float32(-1e4)) == 1e4
    np.testing.assert_allclose(minimax().fake(jnp.float32(-60)), np.exp(-60), rtol=1e-5)


def test_maximum_likelihood_is_finite_up_to_a_logit_of_88():
    curve = maximum_likelihood().generator
    for value in (curve(jnp.float32(88)), jax.grad(curve)(jnp.float32(88))):
        np.testing.assert_allclose(value, -np.exp(88), rtol=1e-5)
    assert curve(jnp.float32(89)) == -jnp.inf
    assert curve(jnp.float32(-1e4)) == 0


@pytest.mark.parametrize(
    ("loss", "slope"),
    [
        (minimax, lambda a: -sigmoid(a)),
        (non_saturating, lambda a: -(1 - sigmoid(a))),
        (maximum_likelihood, lambda a: -np.exp(a)),
    ],
)
def test_the_generators_slopes_are_those_of_the_docstrings(loss, slope):
    with jax.enable_x64(True):
        logits = np.linspace(-30, 30, 61)
        slopes = jax.jit(jax.vmap(jax.grad(loss().generator)))(logits)
        np.testing.assert_allclose(slopes, slope(logits), rtol=1e-10, atol=1e-14)


def test_the_cross_entropy_of_two_classes_is_the_same_loss():
    """Softmax over the logits (a, 0) of the classes real and fake."""
    a = jnp.linspace(-20, 20, 41)
    log_real, log_fake = jax.nn.log_softmax(jnp.stack([a, jnp.zeros_like(a)]), axis=0)
    np.testing.assert_allclose(minimax().real(a), -log_real, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(minimax().fake(a), -log_fake, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(non_saturating().generator(a), -log_real, rtol=1e-5, atol=1e-7)


def test_the_value_is_minus_twice_the_tutorial_s_cost_of_the_discriminator():
    """With its halves: V = -2 J_D, J_G = -J_D, and L_G = 2 J_G but for a term without G."""
    real, fake = jax.random.normal(jax.random.key(0), (2, 50))
    loss = minimax()

    def value(fake):
        return np.log(sigmoid(np.asarray(real))).mean() + jnp.mean(
            jnp.log(1 - jax.nn.sigmoid(fake))
        )

    def halved(fake):
        return (jnp.mean(loss.real(real)) + jnp.mean(loss.fake(fake))) / 2

    def ours(fake):
        return jnp.mean(loss.generator(fake))

    np.testing.assert_allclose(value(fake), -2 * halved(fake), rtol=1e-5)
    without_g = -jnp.mean(loss.real(real))  # E log D(x), which L_G drops
    np.testing.assert_allclose(ours(fake) + without_g, -2 * halved(fake), rtol=1e-5)
    slopes = jax.grad(ours)(fake), jax.grad(lambda fake: -2 * halved(fake))(fake)
    np.testing.assert_allclose(*slopes, rtol=1e-6)


def test_minimax_is_zero_sum_sample_by_sample():
    logits = jnp.linspace(-20, 20, 101)
    np.testing.assert_array_equal(minimax().generator(logits), -minimax().fake(logits))


def test_the_minimax_generator_saturates_and_the_other_does_not():
    rejected = jnp.float32(-30)
    np.testing.assert_allclose(jax.grad(minimax().generator)(rejected), -np.exp(-30), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(non_saturating().generator)(rejected), -1, rtol=1e-6)
    np.testing.assert_allclose(
        jax.grad(maximum_likelihood().generator)(rejected), -np.exp(-30), rtol=1e-5
    )


def test_gradients_are_ratios_of_gaussians_where_the_best_discriminator_is_missed_by_noise():
    """Arjovsky & Bottou 2017, theorem 2.6: on fakes D* and its slope are 0.

    So D and its slope r are noise, Gaussian and independent at every fake; here D is |ε|, for it is
    positive. r/|ε| is a Cauchy variable: half of all are beyond 1, and so are half of the means of
    64. Minimax's gradients stay small.
    """
    draws = jax.random.normal(jax.random.key(0), (2, 64, 4_000))
    noise, slope = 1e-3 * jnp.abs(draws[0]), 1e-3 * draws[1]

    def gradients(loss):
        def at(x, noise, slope):
            answer = noise + slope * x
            return loss.generator(jnp.log(answer) - jnp.log1p(-answer))

        return jax.vmap(jax.vmap(jax.grad(at), (None, 0, 0)), (None, 0, 0))(0.0, noise, slope)

    found = gradients(non_saturating())
    for sample in (found[0], jnp.mean(found, axis=0)):
        for bound in (0.3, 1, 3):
            share = jnp.mean(jnp.abs(sample) < bound)
            assert abs(share - 2 / np.pi * np.arctan(bound)) < 4 * 0.5 / np.sqrt(4_000)
    assert jnp.max(jnp.abs(gradients(minimax()))) < 0.01


def distributions():
    generator = np.random.default_rng(1)
    for size in (2, 5, 20):
        yield generator.dirichlet(np.ones(size)), generator.dirichlet(np.ones(size))


@partial(jax.jit, static_argnums=0)
def discriminator_loss(make_loss, logits, p, q):
    """The expected loss and its slope in the logits."""

    def expected(logits):
        loss = make_loss()
        return jnp.sum(p * loss.real(logits) + q * loss.fake(logits))

    return jax.value_and_grad(expected)(logits)


def kl(p, q):
    return np.sum(p * np.log(p / q))


def test_the_optimal_minimax_discriminator_measures_jensen_shannon():
    with jax.enable_x64(True):
        for p, q in distributions():
            value, slope = discriminator_loss(minimax, np.log(p / q), p, q)
            np.testing.assert_allclose(slope, 0, atol=1e-12)
            middle = (p + q) / 2
            twice_js = kl(p, middle) + kl(q, middle)
            np.testing.assert_allclose(-value, twice_js - np.log(4), rtol=1e-10)
        at_equality, _ = discriminator_loss(minimax, np.zeros(len(p)), p, p)
        np.testing.assert_allclose(-at_equality, -np.log(4), rtol=1e-12)


def jensen_shannon(p, q):
    middle = (p + q) / 2
    return (jnp.sum(p * jnp.log(p / middle)) + jnp.sum(q * jnp.log(q / middle))) / 2


@pytest.mark.parametrize(
    ("loss", "divergence"),
    [
        (minimax, lambda p, q: 2 * jensen_shannon(p, q)),
        (non_saturating, lambda p, q: jnp.sum(q * jnp.log(q / p)) - 2 * jensen_shannon(p, q)),
        (maximum_likelihood, lambda p, q: jnp.sum(p * jnp.log(p / q))),
    ],
)
def test_the_generator_descends_its_divergence_where_the_discriminator_is_optimal(loss, divergence):
    """Goodfellow 2014, theorem 1; Arjovsky & Bottou 2017, theorem 2.5; Goodfellow 2016, 3.2.4."""
    with jax.enable_x64(True):

        def cost(logits, p, q):
            best = jnp.log(p / q)
            return jnp.sum(jax.nn.softmax(logits) * loss().generator(best))

        def distance(logits, p, q):
            return divergence(p, jax.nn.softmax(logits))

        @jax.jit
        def slopes(logits, p, q):
            return [jax.grad(of)(logits, p, q) for of in (cost, distance)]

        for p, q in distributions():
            np.testing.assert_allclose(*slopes(np.log(q), p, q), rtol=1e-8, atol=1e-12)


def test_a_generator_whose_discriminator_is_always_optimal_reaches_the_data():
    """By descent on the logits of its distribution. Goodfellow 2014, proposition 2."""
    with jax.enable_x64(True):
        p = jnp.array([0.5, 0.3, 0.2])

        def move(logits, _):
            best = jnp.log(p / jax.nn.softmax(logits))

            def cost(logits):
                return jnp.sum(jax.nn.softmax(logits) * minimax().generator(best))

            return logits - jax.grad(cost)(logits), jensen_shannon(p, jax.nn.softmax(logits))

        start = jnp.array([-2.0, 0.0, 3.0])
        last, path = jax.lax.scan(move, start, None, 500)
        assert (np.diff(path) <= 1e-15).all()
        assert path[0] > 0.2
        np.testing.assert_allclose(jax.nn.softmax(last), p, atol=1e-6)


def test_of_outcomes_that_are_not_shared_a_discriminator_knows_all():
    p, q = np.array([0.3, 0.7, 0, 0]), np.array([0, 0, 0.9, 0.1])
    value, slope = discriminator_loss(minimax, 40 * np.sign(p - q), p, q)
    js = metrics.jensen_shannon_divergence(p, q)
    np.testing.assert_allclose(value, np.log(4) - 2 * js, atol=1e-12)
    np.testing.assert_allclose(slope, 0, atol=1e-12)


def test_the_optimal_hinge_discriminator_measures_total_variation():
    for p, q in distributions():
        value, _ = discriminator_loss(hinge, np.sign(p - q), p, q)
        np.testing.assert_allclose(value, 2 - np.sum(np.abs(p - q)), rtol=1e-5)


def test_the_optimal_least_squares_discriminator_is_the_share_of_real():
    with jax.enable_x64(True):
        for p, q in distributions():
            value, slope = discriminator_loss(least_squares, p / (p + q), p, q)
            np.testing.assert_allclose(slope, 0, atol=1e-12)
            np.testing.assert_allclose(value, np.sum(p * q / (p + q)) / 2, rtol=1e-10)


def test_the_wasserstein_critic_measures_the_difference_of_means():
    for p, q in distributions():
        values = np.arange(len(p), dtype=np.float32)
        expected_loss, _ = discriminator_loss(wasserstein, values, p, q)
        np.testing.assert_allclose(-expected_loss, values @ p - values @ q, atol=1e-5)


def test_the_hinge_is_flat_beyond_its_margin():
    loss = hinge()
    assert jax.grad(loss.real)(1.5) == 0
    assert jax.grad(loss.fake)(-1.5) == 0
    assert jax.grad(loss.real)(0.5) == -1
    assert jax.grad(loss.fake)(-0.5) == 1


@pytest.mark.parametrize(("real", "fake"), [(0.9, 0.0), (0.8, 0.3)])
def test_smooth_labels_move_the_optimal_discriminator(real, fake):
    """σ(D*) = (α p + β q)/(p + q), where the expected loss has no slope."""
    p, q = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
    target = (real * p + fake * q) / (p + q)
    logits = jnp.asarray(np.log(target / (1 - target)), jnp.float32)
    smooth = losses.smooth_labels(losses.non_saturating(), real=real, fake=fake)
    slope = jax.grad(lambda a: jnp.sum(p * smooth.real(a) + q * smooth.fake(a)))(logits)
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    assert smooth.generator(1.0) == losses.non_saturating().generator(1.0)


def test_hard_labels_change_nothing_and_impossible_ones_are_refused():
    logits = jnp.linspace(-5, 5, 11)
    hard = losses.smooth_labels(losses.minimax())
    np.testing.assert_array_equal(hard.real(logits), losses.minimax().real(logits))
    np.testing.assert_array_equal(hard.fake(logits), losses.minimax().fake(logits))
    one_sided = losses.smooth_labels(losses.f_gan(losses.fdivergence.reverse_kl()), real=0.9)
    assert one_sided.fake(jnp.float32(-100.0)) == -101  # where the other curve overflows
    with pytest.raises(ValueError, match=r"real is 1.2; it must be in \[0, 1\]"):
        losses.smooth_labels(losses.minimax(), real=1.2)


REAL, FAKE = jnp.array([2.0, -1.0, 0.5]), jnp.array([0.3, 0.7, -4.0])


def test_the_relativistic_loss_compares_pairs():
    loss = losses.relativistic(losses.non_saturating())
    gap = np.float64(REAL) - np.float64(FAKE)
    np.testing.assert_allclose(loss.discriminator(REAL, FAKE), np.log1p(np.exp(-gap)), 1e-5)
    np.testing.assert_allclose(loss.generator(REAL, FAKE), np.log1p(np.exp(gap)), 1e-5)


@pytest.mark.parametrize("name", ["non_saturating", "hinge", "least_squares"])
def test_the_relativistic_average_loss_compares_with_the_mean_of_the_opponents(name):
    base = getattr(losses, name)()
    loss = losses.relativistic_average(base)
    real_gap, fake_gap = REAL - jnp.mean(FAKE), FAKE - jnp.mean(REAL)
    np.testing.assert_allclose(
        loss.discriminator(REAL, FAKE), base.real(real_gap) + base.fake(fake_gap), rtol=1e-6
    )
    np.testing.assert_allclose(
        loss.generator(REAL, FAKE), base.real(fake_gap) + base.fake(real_gap), rtol=1e-6
    )


def test_a_shift_of_all_logits_changes_no_relativistic_loss():
    for make in (losses.relativistic, losses.relativistic_average):
        loss = make(losses.non_saturating())
        for curve in loss:
            np.testing.assert_allclose(curve(REAL + 3, FAKE + 3), curve(REAL, FAKE), rtol=1e-5)
