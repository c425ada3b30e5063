"""The maximum mean discrepancy against its closed form and against sums written out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses

KEY = jax.random.key(0)
KERNELS = {
    "gaussian": losses.gaussian_kernel([0.5, 2.0]),
    "rational quadratic": losses.rational_quadratic_kernel([0.2, 1.0]),
    "linear": losses.linear_kernel(),
    "polynomial": losses.polynomial_kernel(),
}


def in_numpy(name, x, y):
    x, y = np.float64(x), np.float64(y)
    distances = np.sum((x[:, None] - y[None]) ** 2, axis=-1)
    products = x @ y.T
    return {
        "gaussian": np.exp(-distances / (2 * 0.25)) + np.exp(-distances / (2 * 4)),
        "rational quadratic": (1 + distances / 0.4) ** -0.2 + (1 + distances / 2) ** -1.0,
        "linear": products,
        "polynomial": (products / x.shape[1] + 1) ** 3,
    }[name]


def sample(num, seed=0, shift=0.0):
    points = shift + np.random.default_rng(seed).normal(size=(num, 3))
    return jnp.asarray(points, jnp.float32)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_their_formulas_far_from_the_origin_too(name):
    x, y = sample(5, shift=3.0), sample(4, seed=1, shift=3.0)
    np.testing.assert_allclose(jax.jit(KERNELS[name])(x, y), in_numpy(name, x, y), rtol=2e-5)


@pytest.mark.parametrize(
    ("unbiased", "chunk_size"),
    [
        (False, 3),
        (True, None),
        pytest.param(False, None, marks=pytest.mark.slow),
        pytest.param(True, 3, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", KERNELS)
def test_the_discrepancy_is_its_sums(name, unbiased, chunk_size):
    x, y = sample(7), sample(5, seed=1, shift=0.5)

    def within(a):
        k = in_numpy(name, a, a)
        n = len(k)
        return (k.sum() - np.trace(k)) / (n * (n - 1)) if unbiased else k.mean()

    expected = within(x) + within(y) - 2 * in_numpy(name, x, y).mean()
    mmd2 = partial(losses.mmd2, kernel=KERNELS[name], unbiased=unbiased, chunk_size=chunk_size)
    np.testing.assert_allclose(jax.jit(mmd2)(x, y), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", KERNELS)
def test_equal_samples_have_no_discrepancy_and_no_gradient(name):
    x, kernel = sample(20), KERNELS[name]
    assert losses.mmd2(x, x, kernel) == 0
    assert losses.gmmn(x, x, kernel) == 0
    slope = jax.jit(jax.grad(partial(losses.gmmn, kernel=kernel)))(x, x)
    np.testing.assert_allclose(slope, np.zeros_like(x), atol=1e-3)


def test_the_gmmn_loss_is_the_root_with_its_gradient():
    x, y, kernel = sample(20), sample(30, seed=1, shift=1.0), KERNELS["gaussian"]
    (squared, slope), (root, root_slope) = (
        jax.jit(jax.value_and_grad(partial(loss, kernel=kernel)))(x, y)
        for loss in (losses.mmd2, losses.gmmn)
    )
    np.testing.assert_allclose(root, squared**0.5, rtol=1e-5)
    np.testing.assert_allclose(root_slope, slope / (2 * root), rtol=1e-4, atol=1e-7)


def test_the_linear_kernel_compares_means_and_the_quadratic_one_second_moments():
    x, y = sample(50), sample(40, seed=1, shift=0.5)
    quadratic = losses.polynomial_kernel(2, offset=0.0)
    of_means, of_moments = (
        jax.jit(partial(losses.mmd2, kernel=kernel))(x, y)
        for kernel in (losses.linear_kernel(), quadratic)
    )
    x, y = np.asarray(x), np.asarray(y)
    shift = np.mean(x, 0) - np.mean(y, 0)
    np.testing.assert_allclose(of_means, np.sum(shift**2), rtol=1e-4)
    second = x.T @ x / 50 - y.T @ y / 40
    np.testing.assert_allclose(9 * of_moments, np.sum(second**2), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_mean_of_the_unbiased_estimate_is_the_closed_form():
    """For N(m, s²) and one bandwidth σ: E k = σ/√(σ² + s² + t²) exp(-(m - n)²/2(σ² + s² + t²))."""
    mean, scale, bandwidth = 0.7, 1.5, 0.8

    def expected(m, variance):
        total = bandwidth**2 + variance
        return bandwidth / total**0.5 * np.exp(-(m**2) / (2 * total))

    exact = expected(0, 2) + expected(0, 2 * scale**2) - 2 * expected(mean, 1 + scale**2)

    def draw(key):
        key_x, key_y = jax.random.split(key)
        x = jax.random.normal(key_x, (20, 1))
        y = mean + scale * jax.random.normal(key_y, (20, 1))
        kernel = losses.gaussian_kernel([bandwidth])
        return losses.mmd2(x, y, kernel, unbiased=True), losses.mmd2(x, y, kernel)

    unbiased, biased = jax.vmap(draw)(jax.random.split(KEY, 1_000))
    error = np.std(unbiased) / 1_000**0.5
    assert abs(np.mean(unbiased) - exact) < 4 * error
    assert np.mean(biased) - exact > 4 * error
    assert np.min(unbiased) < 0 < np.min(biased)


def largest_array(chunk_size, num):
    """The elements of the largest array in the program of value and gradient."""

    def loss(x, y):
        return losses.mmd2(x, y, losses.gaussian_kernel([1.0]), chunk_size=chunk_size)

    x = jax.ShapeDtypeStruct((num, 2), "float32")
    text = jax.jit(jax.value_and_grad(loss)).lower(x, x).as_text()
    shapes = [line.split("tensor<")[1:] for line in text.splitlines()]
    sizes = [part.split(">")[0].split("x")[:-1] for parts in shapes for part in parts]
    return max(
        int(np.prod([int(n) for n in size])) for size in sizes if all(map(str.isdigit, size))
    )


def test_memory_is_linear_in_the_sample_when_asked_for():
    assert largest_array(None, 512) >= 512**2
    assert largest_array(16, 512) <= 16 * 512
    x, y = sample(50), sample(33, seed=1)
    slope = jax.jit(jax.grad(losses.mmd2), static_argnames=("kernel", "chunk_size"))
    whole, chunked = (slope(x, y, kernel=KERNELS["gaussian"], chunk_size=c) for c in (None, 8))
    np.testing.assert_allclose(chunked, whole, rtol=1e-4, atol=1e-7)


def test_too_small_a_sample_is_refused_in_words():
    with pytest.raises(ValueError, match="two examples on each side, not 1 and 5"):
        losses.mmd2(sample(1), sample(5), losses.linear_kernel(), unbiased=True)
