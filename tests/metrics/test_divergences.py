import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats
from scipy.spatial import distance

from gan_jax import losses, metrics

RNG = np.random.default_rng(0)
P, Q = RNG.dirichlet(np.ones(5), (2, 4))


@pytest.mark.parametrize(
    ("name", "row", "factor"),
    [
        ("kl_divergence", losses.fdivergence.kl(), 1),
        ("jensen_shannon_divergence", losses.fdivergence.jensen_shannon(), 0.5),
        ("total_variation_distance", losses.fdivergence.total_variation(), 1),
        ("chi2_divergence", losses.fdivergence.pearson_chi2(), 1),
    ],
)
def test_the_discrete_ones_are_those_of_the_table(name, row, factor):
    with jax.enable_x64(True):
        expected = factor * losses.divergence_between(row, jnp.asarray(P), jnp.asarray(Q))
    np.testing.assert_allclose(getattr(metrics, name)(P, Q), expected, rtol=1e-10)


def test_distributions_without_a_common_outcome():
    p, q = [0.5, 0.5, 0, 0], [0, 0, 1, 0]
    assert metrics.kl_divergence(p, q) == np.inf
    assert metrics.chi2_divergence(p, q) == np.inf
    np.testing.assert_allclose(metrics.jensen_shannon_divergence(p, q), math.log(2))
    assert metrics.total_variation_distance(p, q) == 1
    for name in ("kl", "chi2", "jensen_shannon"):
        assert getattr(metrics, f"{name}_divergence")(p, p) == 0


def test_the_likeliest_distribution_of_what_was_seen_is_the_nearest_by_kullback_leibler():
    seen = np.repeat(np.arange(4), [3, 5, 1, 2])
    share = np.bincount(seen) / len(seen)
    models = RNG.dirichlet(np.ones(4), 50)
    likelihoods = np.log(models[:, seen]).mean(axis=1)
    divergences = metrics.kl_divergence(share, models)
    np.testing.assert_allclose(likelihoods, -stats.entropy(share) - divergences, rtol=1e-10)
    assert np.argmax(likelihoods) == np.argmin(divergences)


def test_the_best_of_all_classifiers_is_right_as_often_as_total_variation_says():
    """½ (1 + TV) of the time, and half of it where nothing differs."""
    first = np.array(list(itertools.product([0, 1], repeat=5)))  # which outcomes it takes for p
    for p, q in [*zip(P, Q, strict=True), (P[0], P[0])]:
        best = np.max(first @ p + (1 - first) @ q) / 2
        np.testing.assert_allclose(best, (1 + metrics.total_variation_distance(p, q)) / 2)


def test_jensen_shannon_of_densities_on_a_grid():
    """Far apart it is log 2; of unnormalised values the scale does not matter."""
    x, y = np.meshgrid(np.linspace(-8, 8, 201), np.linspace(-8, 8, 201))
    near, far = np.exp(-(x**2 + y**2) / 2), np.exp(-((x - 6) ** 2 + (y - 6) ** 2) * 8)
    np.testing.assert_allclose(metrics.jensen_shannon_on_grid(near, far), math.log(2), rtol=1e-6)
    assert metrics.jensen_shannon_on_grid(near, 7 * near) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("num", [(40, 40), (30, 17)])
def test_on_the_line_both_wasserstein_distances_are_the_integral(num):
    x, y = (RNG.normal(size=n) for n in num)
    grid = np.linspace(-6, 6, 200_001)
    f, g = (np.searchsorted(np.sort(v), grid) / len(v) for v in (x, y))
    expected = np.sum(np.abs(f - g)) * (grid[1] - grid[0])
    np.testing.assert_allclose(metrics.wasserstein_1d(x, y), expected, rtol=1e-3)
    np.testing.assert_allclose(metrics.wasserstein(x[:, None], y[:, None]), expected, rtol=1e-3)


def test_a_shift_in_the_plane_costs_its_length():
    x = RNG.normal(size=(50, 2))
    np.testing.assert_allclose(metrics.wasserstein(x, x[::-1] + np.array([3, 4])), 5)


def test_weights_are_masses():
    x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [3.0]])
    np.testing.assert_allclose(metrics.wasserstein(x, y, [3, 1], [1, 1]), 0.25 * 2 + 0.25 * 3)
    np.testing.assert_allclose(metrics.wasserstein_1d(x[:, 0], y[:, 0], [3, 1], [1, 1]), 1.25)
    for masses in ([1], [1, -1], [0, 0]):
        with pytest.raises(ValueError, match="Give 2 weights"):
            metrics.wasserstein(x, y, masses)


def test_no_function_of_slope_1_tells_more_apart_than_the_distance():
    """Kantorovich-Rubinstein: W = max E_p f - E_q f, by a linear program in f's values."""
    x, y = RNG.normal(size=(5, 2)), RNG.normal(size=(6, 2)) + 1
    of_x, of_y = RNG.dirichlet(np.ones(5)), RNG.dirichlet(np.ones(6))
    points = np.concatenate([x, y])
    pairs = np.array(list(itertools.permutations(range(11), 2)))
    rises = np.eye(11)[pairs[:, 0]] - np.eye(11)[pairs[:, 1]]
    lengths = distance.cdist(points, points)[tuple(pairs.T)]
    cost = np.concatenate([-of_x, of_y])
    least = optimize.linprog(cost, rises, lengths, bounds=[(0, 0)] + [(None, None)] * 10)
    np.testing.assert_allclose(-least.fun, metrics.wasserstein(x, y, of_x, of_y), rtol=1e-7)


def test_the_plan_says_how_much_of_each_point_goes_where():
    """Half of all stays at 0, a quarter goes on to 3, and that at 1 goes to 3, too."""
    x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [3.0]])
    cost, plan = metrics.optimal_transport(x, y, [3, 1], [1, 1])
    np.testing.assert_allclose(plan, [[0.5, 0.25], [0, 0.25]], atol=1e-12)
    np.testing.assert_allclose(cost, np.sum(plan * np.abs(x - y.T)))


def test_of_points_that_were_shuffled_the_plan_is_the_permutation():
    x, order = RNG.normal(size=(30, 2)), RNG.permutation(30)
    shift = np.array([0.3, -0.1])
    cost, plan = metrics.optimal_transport(x, x[order] + shift)
    np.testing.assert_allclose(cost, np.linalg.norm(shift))
    np.testing.assert_array_equal(30 * plan, order[None, :] == np.arange(30)[:, None])


def test_a_plan_has_both_weights_as_marginals_and_no_other_costs_less():
    x, y = RNG.normal(size=(9, 2)), RNG.normal(size=(5, 2))
    p, q = RNG.dirichlet(np.ones(9)), RNG.dirichlet(np.ones(5))
    cost, plan = metrics.optimal_transport(x, y, p, q)
    np.testing.assert_allclose(plan.sum(axis=1), p, atol=1e-9)
    np.testing.assert_allclose(plan.sum(axis=0), q, atol=1e-9)
    assert (plan >= 0).all()
    distances = np.linalg.norm(x[:, None] - y[None], axis=2)
    np.testing.assert_allclose(cost, np.sum(plan * distances))
    assert cost < np.sum(np.outer(p, q) * distances)


def test_the_closest_gaussian_to_a_gaussian_is_itself():
    grid = np.linspace(-8, 8, 401)
    mass = metrics.normal_on_grid(grid, 1.3, 0.7)
    assert mass.sum() == pytest.approx(1)
    assert mass @ grid == pytest.approx(1.3)
    least, mean, deviation = metrics.closest_normal(metrics.kl_divergence, mass, grid)
    np.testing.assert_allclose([least, mean, deviation], [0, 1.3, 0.7], atol=1e-4)


def test_the_closest_gaussian_by_the_kullback_leibler_divergence_has_the_moments_of_the_mixture():
    grid = np.linspace(-10, 10, 801)
    mass = (
        metrics.normal_on_grid(grid, -1.0, 0.5) + 2 * metrics.normal_on_grid(grid, 2.0, 1.0)
    ) / 3
    least, mean, deviation = metrics.closest_normal(metrics.kl_divergence, mass, grid)
    expected = mass @ grid
    np.testing.assert_allclose(mean, expected, atol=1e-3)
    np.testing.assert_allclose(deviation, np.sqrt(mass @ (grid - expected) ** 2), atol=1e-3)
    assert least == pytest.approx(
        metrics.kl_divergence(mass, metrics.normal_on_grid(grid, mean, deviation))
    )


def test_as_gaussians_part_kullback_leibler_grows_for_ever_and_jensen_shannon_to_log_2():
    grid = np.linspace(-15, 25, 8_001)
    still, *moved = metrics.normals_on_grid(grid, [0.0, 0.0, 1.0, 3.0, 9.0], np.ones(5))
    moved = np.stack(moved)
    for kl in (metrics.kl_divergence(still, moved), metrics.kl_divergence(moved, still)):
        np.testing.assert_allclose(kl, np.array([0, 1, 9, 81]) / 2, rtol=1e-6, atol=1e-12)
    js = metrics.jensen_shannon_divergence(still, moved)
    assert (np.diff(js) > 0).all()
    np.testing.assert_allclose(js[[0, -1]], [0, math.log(2)], atol=1e-4)
