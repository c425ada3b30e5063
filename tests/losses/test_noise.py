"""Correlations of noise: the sum of the paper written out, its scale, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses

noise_correlation = jax.jit(losses.noise_correlation)


def test_it_is_the_sum_over_halvings_down_to_8():
    """Pixel by pixel, around the edges."""
    noise = np.random.default_rng(0).normal(size=(2, 32, 32, 1)) + 0.3
    expected = []
    for level in noise[..., 0]:
        total = 0.0
        for side in (32, 16, 8):
            pixels = [(y, x) for y in range(side) for x in range(side)]
            across = np.mean([level[y, x] * level[y, x - 1] for y, x in pixels])
            down = np.mean([level[y, x] * level[y - 1, x] for y, x in pixels])
            total += across**2 + down**2
            level = (level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2]) / 2
        expected.append(total)
    found = noise_correlation(jnp.asarray(noise, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_small_maps_are_not_halved():
    noise = jax.random.normal(jax.random.key(0), (3, 4, 4, 1))
    shifted = [jnp.mean(noise * jnp.roll(noise, 1, axis), axis=(1, 2, 3)) for axis in (1, 2)]
    expected = shifted[0] ** 2 + shifted[1] ** 2
    np.testing.assert_allclose(noise_correlation(noise), expected, rtol=1e-5)


def test_of_white_noise_the_sizes_are_alike():
    """A mean of r² products has variance 1/r²: so 2 (1/16² + 1/8²) in expectation."""
    found = noise_correlation(jax.random.normal(jax.random.key(0), (4_000, 16, 16, 1)))
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - 2 * (1 / 256 + 1 / 64)) < 4 * error


def test_half_precision_is_widened():
    noise = jax.random.normal(jax.random.key(0), (1, 8, 8, 1), jnp.bfloat16)
    assert noise_correlation(noise).dtype == jnp.float32


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match=r"^side is 12; it must be a power of 2\.$"):
        losses.noise_correlation(jnp.zeros((1, 12, 12, 1)))
