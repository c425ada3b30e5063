"""The density of what is made, where it is known."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_jax.metrics import pushforward_density, values_and_slopes

Z = np.linspace(-6, 6, 4_001)
NORMAL = stats.norm.pdf(Z)


def test_of_a_line_it_is_the_latents_density_over_the_slope():
    x = np.linspace(-8, 8, 50)
    density = pushforward_density(x, made=1 - 3 * Z, slopes=np.full_like(Z, -3), density=NORMAL)
    np.testing.assert_allclose(density, stats.norm(1, 3).pdf(x), rtol=1e-4)


def test_where_nothing_is_made_it_is_0():
    density = pushforward_density(np.array([99.0]), made=Z, slopes=1 + 0 * Z, density=NORMAL)
    assert density.dtype == np.float64
    assert density == 0


def test_of_a_parabola_both_branches_count():
    x = np.linspace(-1, 8, 40)
    density = pushforward_density(x, made=Z**2, slopes=2 * Z, density=NORMAL)
    np.testing.assert_allclose(density, stats.chi2(1).pdf(x), rtol=1e-3)
    assert (density[x < 0] == 0).all()


def test_of_uniform_latents_through_a_quantile_function_it_is_the_distribution_s():
    z = np.linspace(-0.999, 0.999, 20_001)
    made = stats.norm.ppf((z + 1) / 2)
    slopes = 1 / (2 * stats.norm.pdf(made))
    x = np.linspace(-2, 2, 30)
    density = pushforward_density(x, made=made, slopes=slopes, density=np.full_like(z, 0.5))
    np.testing.assert_allclose(density, stats.norm.pdf(x), rtol=1e-4)


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_values_and_slopes_are_those_of_each_point_by_itself(shape):
    x = np.float32([-2, 0.5, 3])

    def cubic(x):
        return jnp.reshape(x**3 - jnp.mean(x), shape)

    values, slopes = values_and_slopes(cubic, x)
    np.testing.assert_allclose(values, x**3 - x, rtol=1e-6)
    np.testing.assert_allclose(slopes, 3 * x**2 - 1, rtol=1e-6)
