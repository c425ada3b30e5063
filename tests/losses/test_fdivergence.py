"""The table of f-divergences, row by row, against its own definitions in float64."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from gan_jax import losses, metrics
from gan_jax.losses import divergence_between, f_gan, fdivergence

ROWS = {
    "total_variation": fdivergence.total_variation(),
    "kl": fdivergence.kl(),
    "reverse_kl": fdivergence.reverse_kl(),
    "pearson_chi2": fdivergence.pearson_chi2(),
    "neyman_chi2": fdivergence.neyman_chi2(),
    "squared_hellinger": fdivergence.squared_hellinger(),
    "jeffrey": fdivergence.jeffrey(),
    "jensen_shannon": fdivergence.jensen_shannon(),
    "weighted_jensen_shannon 0.2": fdivergence.weighted_jensen_shannon(0.2),
    "weighted_jensen_shannon 0.7": fdivergence.weighted_jensen_shannon(0.7),
    "gan": fdivergence.gan(),
    "alpha -1.5": fdivergence.alpha(-1.5),
    "alpha 0.3": fdivergence.alpha(0.3),
    "alpha 1.5": fdivergence.alpha(1.5),
    "alpha 3": fdivergence.alpha(3.0),
}
SMOOTH = [name for name in ROWS if name != "total_variation"]
SECOND_OF_A_FAMILY = ("weighted_jensen_shannon 0.7", "alpha 1.5")


def by_default_one_of_a_family(names):
    slow = pytest.mark.slow
    return [pytest.param(n, marks=slow if n in SECOND_OF_A_FAMILY else ()) for n in names]


every_row = pytest.mark.parametrize("name", by_default_one_of_a_family(ROWS))
every_smooth_row = pytest.mark.parametrize("name", by_default_one_of_a_family(SMOOTH))
a_few = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # to shrink a failure takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SLOPES = {name: jax.jit(jax.grad(row.f)) for name, row in ROWS.items()}
ratios = st.floats(0.02, 50)
SIZE = 5


@st.composite
def distributions(draw, num=2):
    """Distributions on one alphabet, with probabilities from about 1/1000 to 1."""
    masses = st.lists(st.floats(0.005, 1), min_size=SIZE, max_size=SIZE)
    return [np.array(m) / sum(m) for m in (draw(masses) for _ in range(num))]


DIVERGENCES = {name: jax.jit(partial(divergence_between, row)) for name, row in ROWS.items()}


def between(name, p, q):
    return float(DIVERGENCES[name](jnp.asarray(p), jnp.asarray(q)))


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def exact(name, p, q):
    """Σ q f(p/q), from the definitions in the docstrings, in NumPy."""
    kl = lambda a, b: np.sum(special.rel_entr(a, b))  # noqa: E731
    kind, _, number = name.partition(" ")
    if kind == "alpha":
        a = float(number)
        return (np.sum(p**a * q ** (1 - a)) - 1) / (a * (a - 1))
    if kind == "weighted_jensen_shannon":
        w = float(number)
        mixed = w * p + (1 - w) * q
        return w * kl(p, mixed) + (1 - w) * kl(q, mixed)
    two_js = kl(p, (p + q) / 2) + kl(q, (p + q) / 2)
    return {
        "total_variation": np.sum(np.abs(p - q)) / 2,
        "kl": kl(p, q),
        "reverse_kl": kl(q, p),
        "pearson_chi2": np.sum((p - q) ** 2 / q),
        "neyman_chi2": np.sum((p - q) ** 2 / p),
        "squared_hellinger": np.sum((np.sqrt(p) - np.sqrt(q)) ** 2),
        "jeffrey": kl(p, q) + kl(q, p),
        "jensen_shannon": two_js,
        "gan": two_js - math.log(4),
    }[kind]


@every_row
@a_few
@given(pq=distributions())
def test_the_divergence_is_that_of_the_definition(name, pq):
    np.testing.assert_allclose(between(name, *pq), exact(name, *pq), 1e-9, 1e-12)


@every_row
@a_few
@given(p=distributions(1))
def test_it_is_smallest_where_p_is_q(name, p):
    least = -math.log(4) if name == "gan" else 0
    np.testing.assert_allclose(between(name, p[0], p[0]), least, atol=1e-12)


@every_row
@a_few
@given(pq=distributions())
def test_it_is_larger_elsewhere(name, pq):
    p, q = pq
    least = -math.log(4) if name == "gan" else 0
    gap = between(name, p, q) - least
    # Pinsker and its kin: every row is at least a thousandth of the squared total variation.
    assert gap >= 1e-3 * exact("total_variation", p, q) ** 2 - 1e-12


@every_row
@a_few
@given(u=ratios)
def test_the_biconjugate_is_f(name, u):
    """f**(u) = sup_t (u t - f*(t)), the supremum taken over t = f'(w) by a search over w."""
    row = ROWS[name]
    if name == "total_variation":
        candidates = jnp.array([-0.5, 0.0, 0.5])
        best = jnp.max(u * candidates - row.conjugate(candidates))
    else:

        def minus(log_w):
            t = row.derivative(jnp.exp(log_w))
            return -float(u * t - row.conjugate(t))

        best = -optimize.minimize_scalar(minus, bounds=(-6, 6), options={"xatol": 1e-9}).fun
    np.testing.assert_allclose(best, row.f(u), rtol=1e-7, atol=1e-9)


@every_row
@a_few
@given(u=ratios, w=ratios)
def test_young_s_gap_is_positive_and_closes_at_the_derivative(name, u, w):
    row = ROWS[name]

    def gap(t):
        return row.f(u) + row.conjugate(t) - u * t

    assert gap(row.derivative(w)) >= -1e-9 * (1 + abs(row.f(u)))
    np.testing.assert_allclose(gap(row.derivative(u)), 0, atol=1e-9 * (1 + abs(row.f(u))))


@every_row
@a_few
@given(u=ratios)
def test_the_derivative_is_that_of_f(name, u):
    """But where the total variation has a kink: there each takes another subgradient."""
    assume(name != "total_variation" or u != 1)
    row = ROWS[name]
    np.testing.assert_allclose(SLOPES[name](u), row.derivative(jnp.float64(u)), 1e-9, 1e-12)


@every_row
@a_few
@given(pq=distributions(), noise=st.lists(st.floats(-3, 3), min_size=SIZE, max_size=SIZE))
def test_the_bound_is_below_the_divergence_and_reaches_it_at_the_optimal_critic(name, pq, noise):
    p, q = map(jnp.asarray, pq)
    row, divergence = ROWS[name], exact(name, *pq)

    def bound(critic):
        return jnp.sum(p * critic) - jnp.sum(q * row.conjugate(critic))

    np.testing.assert_allclose(bound(row.derivative(p / q)), divergence, 1e-8, 1e-10)
    loss = f_gan(row)
    outputs = jnp.asarray(noise)
    played = -jnp.sum(p * loss.real(outputs)) - jnp.sum(q * loss.fake(outputs))
    np.testing.assert_allclose(played, bound(row.activation(outputs)), 1e-9, 1e-12)
    assert played <= divergence + 1e-9


@every_row
def test_the_activation_reaches_the_whole_domain_of_the_conjugate(name):
    """Every T* = f'(u) is some g_f(v), to a part in a thousand at the ends."""
    row = ROWS[name]
    reached = np.asarray(row.activation(jnp.asarray(np.linspace(-700, 700, 140_001))))
    wanted = np.asarray(row.derivative(jnp.asarray(np.linspace(0.1, 10, 500))))
    assert np.min(reached) <= np.min(wanted) + 1e-3
    assert np.max(reached) >= np.max(wanted) - 1e-3
    assert np.all(np.diff(reached) >= -1e-12)


@every_row
def test_the_composed_form_is_the_composition(name):
    row = ROWS[name]
    outputs = jnp.linspace(-8.0, 8.0, 101)
    np.testing.assert_allclose(
        row.conjugate_of_activation(outputs), row.conjugate(row.activation(outputs)), 1e-9, 1e-9
    )


@every_smooth_row
@a_few
@given(u=st.floats(0.1, 10))
def test_the_ratio_is_read_back_from_the_optimal_critic(name, u):
    row = ROWS[name]
    t = float(row.derivative(jnp.float64(u)))
    output = optimize.brentq(lambda v: float(row.activation(jnp.float64(v))) - t, -700, 700)
    np.testing.assert_allclose(losses.density_ratio(row, jnp.float64(output)), u, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("reverse_kl", 1),
        ("gan", 1),
        ("jensen_shannon", 1),
        ("squared_hellinger", 2),
        ("neyman_chi2", 0.5),
    ],
)
def test_the_ratio_of_an_exponential_activation_is_an_exponential(name, power):
    """In float32 too, where 1 - t has long been lost."""
    outputs = jnp.array([-30.0, -5.0, 0.0, 5.0, 30.0], jnp.float32)
    ratio = losses.density_ratio(ROWS[name], outputs)
    np.testing.assert_allclose(ratio, np.exp(power * np.float64(outputs)), rtol=1e-5)


def test_a_logistic_discriminator_knows_the_ratio_and_the_share_of_real_examples():
    p, q, share = np.array([0.1, 0.6]), np.array([0.4, 0.2]), 0.8
    logits = jnp.log(share * p / ((1 - share) * q))
    np.testing.assert_allclose(
        losses.logistic_density_ratio(logits, real_fraction=share), p / q, rtol=1e-12
    )


def test_the_best_discriminator_s_logits_tell_the_divergence_and_others_less():
    """Two outcomes, as often among the points as they are probable."""
    p, q = np.array([0.75, 0.25]), np.array([0.25, 0.75])
    best = np.log(p / q)
    real, fake = (jnp.repeat(jnp.asarray(best), (4 * of).astype(int)) for of in (p, q))
    exact = metrics.jensen_shannon_divergence(p, q)
    assert float(losses.jensen_shannon_bound(real, fake)) == pytest.approx(exact, rel=1e-5)
    for logits in ((0.9 * real, 0.9 * fake), (real + 0.1, fake + 0.1)):
        assert float(losses.jensen_shannon_bound(*logits)) < exact - 1e-4
    far = jnp.full(3, 50.0)
    assert float(losses.jensen_shannon_bound(far, -far)) == pytest.approx(np.log(2))
    assert float(losses.jensen_shannon_bound(0 * far, 0 * far)) == pytest.approx(0, abs=1e-7)


@every_row
def test_the_threshold_is_the_critic_s_value_at_equal_densities(name):
    known = {"kl": 1.0, "reverse_kl": -1.0, "gan": -math.log(2)}
    np.testing.assert_allclose(losses.threshold(ROWS[name]), known.get(name, 0.0), atol=1e-12)


@a_few
@given(pq=distributions())
def test_the_relations_between_the_rows(pq):
    p, q = pq

    def d(name, p=p, q=q, row=None):
        return float(divergence_between(row or ROWS[name], jnp.asarray(p), jnp.asarray(q)))

    close = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(d("gan"), d("jensen_shannon") - math.log(4), **close)
    np.testing.assert_allclose(d("jeffrey"), d("kl") + d("reverse_kl"), **close)
    np.testing.assert_allclose(d("kl", q, p), d("reverse_kl"), **close)
    np.testing.assert_allclose(d("pearson_chi2", q, p), d("neyman_chi2"), **close)
    np.testing.assert_allclose(d("squared_hellinger"), 2 - 2 * np.sum(np.sqrt(p * q)), **close)
    half = fdivergence.weighted_jensen_shannon(0.5)
    np.testing.assert_allclose(2 * d("", row=half), d("jensen_shannon"), **close)
    for a, name, factor in [
        (2.0, "pearson_chi2", 0.5),
        (-1.0, "neyman_chi2", 0.5),
        (0.5, "squared_hellinger", 2.0),
    ]:
        np.testing.assert_allclose(d("", row=fdivergence.alpha(a)), factor * d(name), **close)
    for a, name in [(1 + 1e-6, "kl"), (1e-6, "reverse_kl")]:
        np.testing.assert_allclose(d("", row=fdivergence.alpha(a)), d(name), rtol=1e-3, atol=1e-8)
    assert d("total_variation") <= 1
    assert d("squared_hellinger") <= 2
    assert d("jensen_shannon") <= 2 * math.log(2)


@pytest.mark.parametrize(
    ("name", "disjoint"),
    [
        ("total_variation", 1),
        ("kl", np.inf),
        ("reverse_kl", np.inf),
        ("pearson_chi2", np.inf),
        ("neyman_chi2", np.inf),
        ("squared_hellinger", 2),
        ("jeffrey", np.inf),
        ("jensen_shannon", 2 * math.log(2)),
        ("weighted_jensen_shannon 0.2", -0.2 * math.log(0.2) - 0.8 * math.log(0.8)),
        ("gan", 0),
        ("alpha 0.3", 1 / 0.3 / 0.7),
        ("alpha -1.5", np.inf),
        ("alpha 3", np.inf),
    ],
)
def test_distributions_without_a_common_outcome(name, disjoint):
    p, q = jnp.array([0.5, 0.5, 0, 0, 0]), jnp.array([0, 0, 0.25, 0.75, 0])
    np.testing.assert_allclose(divergence_between(ROWS[name], p, q), disjoint, rtol=1e-12)


def test_the_divergence_works_on_the_last_axis_and_is_differentiable():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(4), (2, 3, 5))
    of_kl = partial(divergence_between, fdivergence.kl())
    batch = np.asarray(jax.jit(of_kl)(jnp.asarray(p), jnp.asarray(q)))
    assert batch.shape == (3, 5)
    np.testing.assert_allclose(batch[1, 2], exact("kl", p[1, 2], q[1, 2]), rtol=1e-9)
    gradient = jax.jit(jax.grad(of_kl, argnums=1))(jnp.asarray(p[0, 0]), jnp.asarray(q[0, 0]))
    np.testing.assert_allclose(gradient, -p[0, 0] / q[0, 0], rtol=1e-9)


@every_row
def test_the_gradient_in_p_is_the_derivative(name):
    p, q = jnp.array([0.2, 0.3, 0.5]), jnp.array([0.4, 0.35, 0.25])
    gradient = jax.jit(jax.grad(partial(divergence_between, ROWS[name])))(p, q)
    np.testing.assert_allclose(gradient, ROWS[name].derivative(p / q), rtol=1e-9)


@pytest.mark.parametrize("name", ["squared_hellinger", "alpha 0.3", "alpha -1.5"])
def test_the_conjugate_is_infinite_beyond_its_domain(name):
    end = {"alpha 0.3": 1 / 0.7, "alpha -1.5": 1 / 2.5}.get(name, 1.0)
    conjugate = ROWS[name].conjugate
    assert np.isfinite(conjugate(jnp.float64(end - 1e-3)))
    assert conjugate(jnp.float64(end + 1e-3)) == np.inf


def test_slopes_far_out_are_small_and_not_zero():
    single = jnp.float32
    fake = f_gan(fdivergence.weighted_jensen_shannon(0.5)).fake
    np.testing.assert_allclose(jax.jit(jax.grad(fake))(single(-10.0)), math.exp(-20), rtol=1e-3)
    density_ratio = jax.jit(partial(losses.density_ratio, fdivergence.alpha(-1)))
    near, far = np.asarray(density_ratio(jnp.array([20.0, 40.0], single)))
    assert far > near > 1


def test_the_gan_row_plays_the_minimax_game():
    played, expected = f_gan(fdivergence.gan()), losses.minimax()
    outputs = jnp.linspace(-100.0, 100.0, 401)
    for curve in ("real", "fake", "generator"):
        np.testing.assert_allclose(
            getattr(played, curve)(outputs), getattr(expected, curve)(outputs), rtol=1e-12
        )


@every_row
def test_the_heuristic_generator_maximises_the_activation(name):
    row, outputs = ROWS[name], jnp.linspace(-8.0, 8.0, 101)
    minimax, heuristic = f_gan(row), f_gan(row, generator="heuristic")
    np.testing.assert_array_equal(minimax.generator(outputs), -minimax.fake(outputs))
    np.testing.assert_array_equal(heuristic.generator(outputs), -row.activation(outputs))
    for curve in ("real", "fake"):
        np.testing.assert_array_equal(
            getattr(minimax, curve)(outputs), getattr(heuristic, curve)(outputs)
        )


def second(curve):
    return jax.grad(jax.grad(curve))


def curves(name):
    loss = f_gan(ROWS[name])
    return {"real": loss.real, "fake": loss.fake}


# Where a curve overflows in float32, as its docstring says: outputs beyond these ends.
FINITE = {
    ("kl", "fake"): (-np.inf, 89),
    ("reverse_kl", "real"): (-88, np.inf),
    ("neyman_chi2", "real"): (-88, np.inf),
    ("neyman_chi2", "fake"): (-176, np.inf),
    ("squared_hellinger", "real"): (-88, np.inf),
    ("squared_hellinger", "fake"): (-np.inf, 88),
    ("jeffrey", "fake"): (-np.inf, 89),
    ("alpha 0.3", "fake"): (-np.inf, 88 * 0.7 / 0.3),
}


@every_row
@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_values_and_two_derivatives_at_extremes(name, dtype):
    largest = 1e4 if dtype == "float32" else 100
    outputs = np.concatenate(
        [np.linspace(-largest, largest, 2_001), np.linspace(-100.0, 100.0, 2_001)]
    )
    outputs = jnp.asarray(outputs, dtype)

    @jax.jit
    def derivatives(outputs):
        return {
            which: [jax.vmap(f)(outputs) for f in (curve, jax.grad(curve), second(curve))]
            for which, curve in curves(name).items()
        }

    for which, values in derivatives(outputs).items():
        low, high = FINITE.get((name, which), (-np.inf, np.inf))
        inside = (np.float64(outputs) > low) & (np.float64(outputs) < high)
        for order, value in enumerate(values):
            assert value.dtype == dtype
            assert not np.isnan(np.float64(value)).any(), (which, order)
            assert np.isfinite(np.float64(value)[inside]).all(), (which, order)
        assert np.isinf(np.float64(values[0])[~inside]).any() == (~inside).any()


@every_row
def test_values_in_float32_are_those_of_float64(name):
    """Composed stably: the relative error is that of rounding, not of cancellation."""
    outputs = np.linspace(-80, 80, 1_601, dtype=np.float32)

    @jax.jit
    def values(outputs):
        return {which: curve(outputs) for which, curve in curves(name).items()}

    single, double = values(outputs), values(np.float64(outputs))
    for which in single:
        low, high = FINITE.get((name, which), (-np.inf, np.inf))
        inside = (outputs > low) & (outputs < min(high, 80))
        np.testing.assert_allclose(
            np.float64(single[which])[inside],
            np.asarray(double[which])[inside],
            rtol=2e-5,
            atol=2e-6,
            err_msg=which,
        )


@a_few
@given(t=st.floats(-1e4, 300))
def test_jeffrey_s_conjugate_is_that_of_lambert_s_w(t):
    """Solve log w + w = 1 - t for W(e^(1-t)) by SciPy."""
    w = np.real(special.lambertw(np.exp(1 - t))) if t > -600 else None
    if w is None:
        w = optimize.brentq(lambda w: w + np.log(w) - (1 - t), 1, 2e4, xtol=1e-12)
    conjugate = fdivergence.jeffrey().conjugate
    np.testing.assert_allclose(jax.grad(conjugate)(t), 1 / w, rtol=1e-9)
    if abs(t) < 100:  # beyond, W + t cancels in the formula that SciPy is given here
        np.testing.assert_allclose(
            conjugate(jnp.float64(t)), w + 1 / w + t - 2, rtol=1e-9, atol=1e-9
        )


def test_bad_arguments_are_refused_in_words(monkeypatch):
    for number, words in [(0, "reverse_kl"), (1.0, "that limit is kl")]:
        with pytest.raises(ValueError, match=words):
            fdivergence.alpha(number)
    for weight in (0.0, 1.0, -0.5, math.nan):
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            fdivergence.weighted_jensen_shannon(weight)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for a user
    with pytest.raises(ValueError, match="must be one of 'minimax', 'heuristic'"):
        f_gan(fdivergence.kl(), generator="minmax")


@pytest.mark.parametrize("weight", [0.3, 0.5, 0.9])
def test_the_weighted_row_keeps_its_constant_where_the_softplus_is_lost(weight):
    """Beyond v = 40 it is (1 - π)(log(1 - π) + log π + v), but for what float64 would lose too."""
    v = np.array([39.0, 50.0, 300.0])
    lost = np.log(-np.expm1(-np.log1p(np.exp(-v)) / weight))
    found = fdivergence.weighted_jensen_shannon(weight).composed(jnp.asarray(v, jnp.float32))
    np.testing.assert_allclose(found, (1 - weight) * (np.log1p(-weight) - lost), rtol=1e-6)
