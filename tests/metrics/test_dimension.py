"""Dimensions, where they are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import metrics
from gan_jax.nets import MLPGenerator

RNG = np.random.default_rng(0)
NUM = 1_000


def subspace():
    """Three dimensions of twenty, far from the origin."""
    return RNG.uniform(size=(NUM, 3)) @ np.linalg.qr(RNG.normal(size=(20, 3)))[0].T + 5


def sphere():
    x = RNG.normal(size=(NUM, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize(("points", "dim"), [(subspace(), 3), (sphere(), 2)])
def test_a_surface_has_its_own_dimension_and_not_that_of_its_space(points, dim):
    """Of n·(k - 1) nearly independent logarithms the estimate has a deviation of m/√(n·(k - 1)),
    and where the surface ends it is a little lower."""
    found = metrics.intrinsic_dimension(jnp.float32(points), k=10, chunk_size=300)
    assert abs(found / dim - 1) < 0.08


def test_it_is_the_paper_s_estimate():
    x, k = RNG.normal(size=(30, 4)), 5
    distances = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, 1 : k + 1]
    inverses = np.mean(np.log(distances[:, -1:] / distances[:, :-1]), axis=1)
    found = metrics.intrinsic_dimension(jnp.float32(x), k=k, chunk_size=7)
    np.testing.assert_allclose(found, 1 / np.mean(inverses), rtol=1e-4)


def test_a_map_has_the_rank_of_its_matrix_at_most_as_many_as_its_latents():
    kernel = RNG.normal(size=(4, 2)) @ RNG.normal(size=(2, 30))

    def image(z):
        return jnp.tanh(jnp.float32(kernel.T) @ z).reshape(5, 6)

    latents = jnp.float32(RNG.normal(size=(3, 4)))
    spectra = metrics.jacobian_spectra(image, latents)
    slopes = 1 - np.tanh(np.float64(latents) @ kernel) ** 2
    expected = [np.linalg.svd(slope[:, None] * kernel.T)[1] for slope in slopes]
    np.testing.assert_allclose(spectra, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(metrics.numerical_rank(spectra, 30), 2)


def test_the_participation_ratio_counts_equal_values_and_weighs_others():
    spectra = np.array([[5.0, 5, 5, 0], [0.1, 0, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0]])
    found = metrics.participation_ratio(spectra)
    np.testing.assert_allclose(found, [3, 1, 25 / 17, 0])
    with pytest.raises(ValueError, match="spectra"):
        metrics.participation_ratio(np.array([[1.0, np.nan]]))


def test_a_map_to_fewer_numbers_than_latents_has_no_more_than_these():
    spectra = metrics.jacobian_spectra(lambda z: z[:2], jnp.ones((1, 5)))
    np.testing.assert_allclose(spectra, [[1, 1, 0, 0, 0]])
    np.testing.assert_array_equal(metrics.numerical_rank(spectra, 5), 2)


def mass_near_another(num_latents, dim, num):
    """Of what one network makes, the shares within 0.02 and 0.005 of what another does.

    Both make 0 of z = 0.
    """
    generator = MLPGenerator((dim,), (16, 16), output=jnp.tanh)

    def image(key, num):
        key_init, key_latents = jax.random.split(key)
        latents = jax.random.uniform(key_latents, (num, num_latents), minval=-1)
        return generator.apply(generator.init(key_init, latents), latents)

    first, second = jax.random.split(jax.random.key(1))
    away = metrics.nearest_distances(image(second, 5_000), image(first, num))
    return np.mean(away < 0.02), np.mean(away < 0.005)


@pytest.mark.parametrize("dim", [pytest.param(2, marks=pytest.mark.slow), 20])
def test_two_supports_of_fewer_dimensions_than_their_space_share_no_mass(dim):
    """Of two curves that meet the mass within ε falls as ε (Arjovsky & Bottou 2017, lemma 3)."""
    wide, narrow = mass_near_another(1, dim, 4_000)
    assert 0 < narrow < 0.4 * wide


@pytest.mark.slow
def test_two_supports_of_all_dimensions_may_share_mass():
    wide, narrow = mass_near_another(2, 2, 40_000)
    assert narrow > 0.6 * wide


def test_of_equal_points_nothing_is_known():
    twice = jnp.concatenate([jnp.eye(6), jnp.eye(6)[:1]])
    assert metrics.intrinsic_dimension(twice, k=3) == 0
    assert np.isnan(metrics.intrinsic_dimension(jnp.ones((9, 2)), k=3))


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="k is 20, and there are 9 points; take more of them"):
        metrics.intrinsic_dimension(jnp.ones((9, 2)))
    with pytest.raises(ValueError, match="k is 1; it must be an integer, at least 2"):
        metrics.intrinsic_dimension(jnp.ones((9, 2)), k=1)
