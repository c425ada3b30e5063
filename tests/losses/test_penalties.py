"""Penalties against closed forms, on critics whose gradients are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses

KEY = jax.random.key(0)
W = jnp.array([3.0, -4.0])  # of norm 5


def linear(x):
    return x @ W


def quadratic(x):
    """A critic whose gradient is x itself."""
    return jnp.sum(x**2, axis=1) / 2


def points(num, seed=0):
    return jax.random.normal(jax.random.fold_in(KEY, seed), (num, 2))


@pytest.mark.parametrize(
    ("target", "one_sided", "expected"),
    [(1.0, False, 16.0), (6.0, False, 1.0), (1.0, True, 16.0), (6.0, True, 0.0), (0.0, False, 25)],
)
def test_a_linear_critic_is_punished_by_its_norm(target, one_sided, expected):
    penalty = losses.gradient_penalty(
        linear, points(7), points(7, 1), KEY, target=target, one_sided=one_sided
    )
    np.testing.assert_allclose(penalty, np.full(7, expected), rtol=1e-5)


def test_the_points_lie_between_each_real_example_and_its_fake_with_a_weight_of_its_own():
    """The gradient of this critic is (1, ε) at x = (ε, ·), so the penalty tells each weight."""
    real, fake = jnp.array([[1.0, 0.0]] * 4_000), jnp.zeros((4_000, 2))
    penalty = losses.gradient_penalty(
        lambda x: x[:, 0] ** 2 / 2 + x[:, 1], real, fake, KEY, target=0.0
    )
    weights = jnp.sqrt(penalty - 1)
    assert len(np.unique(weights)) > 3_900
    deciles = np.quantile(weights, np.linspace(0, 1, 11))
    np.testing.assert_allclose(deciles, np.linspace(0, 1, 11), atol=0.03)


def test_images_have_one_weight_each():
    images = jnp.broadcast_to(jnp.arange(1.0, 6.0)[:, None, None, None], (5, 3, 4, 2))
    penalty = losses.gradient_penalty(
        lambda x: jnp.sum(x**2, axis=(1, 2, 3)) / 2, images, -images, KEY, target=0.0
    )
    # One weight makes the norm |2ε - 1| times that of the image; a weight per pixel would not.
    ratio = jnp.sqrt(penalty) / jnp.sqrt(24 * jnp.arange(1.0, 6.0) ** 2)
    epsilon = jax.random.uniform(KEY, (5, 1, 1, 1)).ravel()
    np.testing.assert_allclose(ratio, jnp.abs(2 * epsilon - 1), rtol=1e-5)


def test_the_norm_is_taken_for_each_example():
    """With one example at 0 and one at distance 5: a norm over the batch would mix them."""
    x = jnp.array([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(losses.gradient_penalty(quadratic, x, x, KEY), [1, 16], rtol=1e-5)
    np.testing.assert_allclose(losses.r1(quadratic, x), [0, 25], rtol=1e-6)
    np.testing.assert_allclose(losses.r2(quadratic, x), [0, 25], rtol=1e-6)


@pytest.mark.parametrize(
    "penalty",
    [
        lambda x: losses.gradient_penalty(quadratic, x, x, KEY),
        lambda x: losses.r1(quadratic, x),
    ],
)
def test_the_order_and_the_company_do_not_matter(penalty):
    x = points(6)
    order = jnp.array([3, 1, 5, 0, 2, 4])
    np.testing.assert_allclose(penalty(x)[order], penalty(x[order]), rtol=1e-6)
    np.testing.assert_allclose(penalty(x)[:2], penalty(x[:2]), rtol=1e-6)


def test_the_best_linear_critic_overestimates_the_distance():
    """Loss -⟨w, Δ⟩ + λ(‖w‖ - 1)²: the optimum has ‖w‖ = 1 + ‖Δ‖/2λ and the value -‖Δ‖ - ‖Δ‖²/4λ."""
    shift, weight = jnp.array([0.6, 0.8]), 10.0
    real = points(5)
    moved = real + shift[None]

    def loss(w):
        def critic(x):
            return x @ w

        penalty = losses.gradient_penalty(critic, moved, real, KEY)
        return jnp.mean(critic(real) - critic(moved)) + weight * jnp.mean(penalty)

    w = shift * (1 + 1 / (2 * weight))
    np.testing.assert_allclose(jax.grad(loss)(w), 0, atol=1e-5)
    np.testing.assert_allclose(loss(w), -1 - 1 / (4 * weight), rtol=1e-5)


def test_a_gradient_of_zero_gives_no_nan_in_two_derivatives():
    def constant(w):
        penalty = losses.gradient_penalty(
            lambda x: w * jnp.sum(x, axis=1), points(3), points(3, 1), KEY
        )
        return jnp.mean(penalty)

    assert constant(0.0) == 1
    assert jax.grad(constant)(0.0) == 0
    assert np.isfinite(jax.grad(jax.grad(constant))(0.0))
    np.testing.assert_allclose(jax.grad(constant)(1.0), 2 * (2**0.5 - 1) * 2**0.5, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(jax.grad(constant))(1.0), 4, rtol=1e-5)


def test_dragan_looks_around_real_examples_only():
    x = jnp.zeros((50_000, 2))
    squares = losses.dragan(quadratic, x, KEY, deviation=0.5, target=0.0)
    assert abs(jnp.mean(squares) - 2 * 0.25) < 4 * 0.5 / 50_000**0.5
    np.testing.assert_allclose(losses.dragan(linear, x[:3], KEY), [16.0] * 3, rtol=1e-5)


def test_maps_of_logits_are_summed_and_bfloat16_is_widened():
    def maps(x):
        return jnp.stack([linear(x), linear(x)], axis=1)

    np.testing.assert_allclose(losses.r1(maps, points(3)), [100.0] * 3, rtol=1e-5)
    x = points(3).astype(jnp.bfloat16)
    penalty = losses.r1(lambda x: x @ W.astype(jnp.bfloat16), x)
    assert penalty.dtype == jnp.float32
    np.testing.assert_array_equal(penalty, [25.0] * 3)
