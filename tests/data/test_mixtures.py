import jax
import numpy as np
import pytest

from gan_jax.data import Mixture, grid, ring
from gan_jax.data.mixtures import sample


def test_ring_has_its_modes_at_equal_angles():
    means = np.asarray(ring(8, radius=2.0).means)
    angles = np.sort(np.arctan2(means[:, 1], means[:, 0]) % (2 * np.pi))
    np.testing.assert_allclose(np.hypot(*means.T), 2.0, rtol=1e-6)
    np.testing.assert_allclose(np.diff(angles), np.pi / 4, atol=1e-5)


def test_defaults_are_those_of_veegan_and_pacgan():
    assert ring().means.shape == (8, 2)
    assert np.hypot(*ring().means[3]) == pytest.approx(1.0)
    assert ring().std == 0.01
    lattice = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {tuple(mean) for mean in np.asarray(grid().means).tolist()} == lattice
    assert grid().std == 0.05


def test_grid_of_an_even_side_is_centred():
    means = np.asarray(grid(4, spacing=1.0).means)
    assert set(means.ravel().tolist()) == {-1.5, -0.5, 0.5, 1.5}
    assert len(np.unique(means, axis=0)) == 16


def test_sample_draws_each_mode_equally_with_its_mean_and_std():
    mixture, num = ring(8, radius=2.0, std=0.05), 40_000
    points = np.asarray(sample(jax.random.key(0), mixture, num))
    means = np.asarray(mixture.means)
    nearest = np.argmin(np.linalg.norm(points[:, None] - means, axis=-1), axis=1)
    counts = np.bincount(nearest, minlength=8)
    np.testing.assert_allclose(counts, num / 8, atol=4 * np.sqrt(num / 8 * 7 / 8))
    for mode, count in enumerate(counts):
        own = points[nearest == mode]
        np.testing.assert_allclose(own.mean(0), means[mode], atol=4 * 0.05 / np.sqrt(count))
        np.testing.assert_allclose(own.std(0), 0.05, atol=4 * 0.05 / np.sqrt(2 * count))


def test_a_perfect_sampler_is_high_quality_as_often_as_theory_says():
    """P(|x - mean| < 3 std) = 1 - exp(-9/2) for an isotropic Gaussian in the plane."""
    num, expected = 40_000, 1 - np.exp(-4.5)
    points = sample(jax.random.key(1), ring(1, radius=1.0, std=0.1), num)
    quality = np.mean(np.linalg.norm(np.asarray(points) - [1.0, 0.0], axis=1) < 0.3)
    assert quality == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / num))


def test_sample_is_a_pure_function_that_compiles():
    draw = jax.jit(sample, static_argnums=2)
    points = draw(jax.random.key(3), grid(), 100)
    np.testing.assert_allclose(points, sample(jax.random.key(3), grid(), 100), rtol=1e-6)
    assert not np.array_equal(points, draw(jax.random.key(4), grid(), 100))
    assert points.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ring(0), "num_modes is 0"),
        (lambda: ring(radius=0.0), "radius is 0.0"),
        (lambda: ring(std=-1.0), "std is -1.0"),
        (lambda: grid(std=np.inf), "std is inf"),
        (lambda: grid(0), "side is 0"),
        (lambda: grid(spacing=-1.0), "spacing is -1.0"),
        (lambda: sample(jax.random.key(0), Mixture(ring().means, 0.1), 0), "num is 0"),
    ],
)
def test_impossible_mixtures_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_no_key_is_used_twice():
    with jax.debug_key_reuse(True):
        sample(jax.random.key(0), ring(), 2)
