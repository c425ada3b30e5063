"""Penalties against closed forms, on critics whose gradients are known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from gan_jax import losses

KEY = jax.random.key(0)
W = jnp.array([3.0, -4.0])  # of norm 5


def linear(x):
    return x @ W


def quadratic(x):
    """A critic whose gradient is x itself."""
    return jnp.sum(x**2, axis=1) / 2


def points(num, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(num, 2)), jnp.float32)


def penalty(critic, real, fake, **options):
    return jax.jit(partial(losses.gradient_penalty, critic, **options))(real, fake, KEY)


def test_a_linear_critic_is_punished_by_its_norm():
    expected = {
        (1.0, False): 16,
        (6.0, False): 1,
        (1.0, True): 16,
        (6.0, True): 0,
        (0.0, False): 25,
    }

    @jax.jit
    def penalties(real, fake):
        return [
            losses.gradient_penalty(linear, real, fake, KEY, target=target, one_sided=one_sided)
            for target, one_sided in expected
        ]

    for values, value in zip(penalties(points(7), points(7, 1)), expected.values(), strict=True):
        np.testing.assert_allclose(values, np.full(7, value), rtol=1e-5)


def test_the_points_lie_between_each_real_example_and_its_fake_with_a_weight_of_its_own():
    """The gradient of this critic is (1, ε) at x = (ε, ·), so the penalty tells each weight."""
    real, fake = jnp.array([[1.0, 0.0]] * 4_000), jnp.zeros((4_000, 2))
    squares = penalty(lambda x: x[:, 0] ** 2 / 2 + x[:, 1], real, fake, target=0.0)
    epsilon = np.sqrt(np.asarray(squares) - 1)
    assert len(np.unique(epsilon)) > 3_900
    deciles = np.quantile(epsilon, np.linspace(0, 1, 11))
    np.testing.assert_allclose(deciles, np.linspace(0, 1, 11), atol=0.03)


def test_images_have_one_weight_each():
    sizes = np.arange(1, 6, dtype=np.float32)
    images = jnp.asarray(np.broadcast_to(sizes[:, None, None, None], (5, 3, 4, 2)))
    squares = penalty(lambda x: jnp.sum(x**2, axis=(1, 2, 3)) / 2, images, -images, target=0.0)
    # One weight makes the norm |2ε - 1| times that of the image; a weight per pixel would not.
    epsilon = np.ravel(jax.random.uniform(KEY, (5, 1, 1, 1), jnp.float32))
    np.testing.assert_allclose(
        np.sqrt(squares) / (np.sqrt(24) * sizes), np.abs(2 * epsilon - 1), rtol=1e-5
    )


def test_the_norm_is_taken_for_each_example():
    """With one example at 0 and one at distance 5: a norm over the batch would mix them."""
    x = jnp.array([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(penalty(quadratic, x, x), [1, 16], rtol=1e-5)
    for squared_norm in (losses.r1, losses.r2):
        np.testing.assert_allclose(jax.jit(partial(squared_norm, quadratic))(x), [0, 25], rtol=1e-6)


def test_the_order_and_the_company_do_not_matter():
    @jax.jit
    def penalties(x):
        return losses.gradient_penalty(quadratic, x, x, KEY), losses.r1(quadratic, x)

    x, order = np.asarray(points(6)), [3, 1, 5, 0, 2, 4]
    together = np.stack(penalties(jnp.asarray(x)))
    in_order, alone = (np.stack(penalties(jnp.asarray(part))) for part in (x[order], x[:2]))
    np.testing.assert_allclose(together[:, order], in_order, rtol=1e-6)
    np.testing.assert_allclose(together[:, :2], alone, rtol=1e-6)


def test_the_best_linear_critic_overestimates_the_distance():
    """Loss -⟨w, Δ⟩ + λ(‖w‖ - 1)²: the optimum has ‖w‖ = 1 + ‖Δ‖/2λ and the value -‖Δ‖ - ‖Δ‖²/4λ."""
    shift, weight = jnp.array([0.6, 0.8]), 10.0
    real = points(5)

    def loss(w):
        def critic(x):
            return x @ w

        moved = real + shift[None]
        squares = losses.gradient_penalty(critic, moved, real, KEY)
        return jnp.mean(critic(real) - critic(moved)) + weight * jnp.mean(squares)

    value, slope = jax.jit(jax.value_and_grad(loss))(shift * (1 + 1 / (2 * weight)))
    np.testing.assert_allclose(slope, 0, atol=1e-5)
    np.testing.assert_allclose(value, -1 - 1 / (4 * weight), rtol=1e-5)


def test_a_gradient_of_zero_gives_no_nan_in_two_derivatives():
    real, fake = points(3), points(3, 1)

    def loss(w):
        def critic(x):
            return w * jnp.sum(x, axis=1)

        return jnp.mean(losses.gradient_penalty(critic, real, fake, KEY))

    @jax.jit
    def derivatives(w):
        return loss(w), jax.grad(loss)(w), jax.grad(jax.grad(loss))(w)

    constant, slope, curvature = derivatives(0.0)
    assert (constant, slope) == (1, 0)
    assert np.isfinite(curvature)
    _, slope, curvature = derivatives(1.0)
    np.testing.assert_allclose(slope, 2 * (2**0.5 - 1) * 2**0.5, rtol=1e-5)
    np.testing.assert_allclose(curvature, 4, rtol=1e-5)


def test_dragan_looks_around_real_examples_only():
    x = jnp.zeros((50_000, 2))
    squares = jax.jit(partial(losses.dragan, quadratic, deviation=0.5, target=0.0))(x, KEY)
    assert abs(np.mean(squares) - 2 * 0.25) < 4 * 0.5 / 50_000**0.5
    penalties = jax.jit(partial(losses.dragan, linear))(points(3), KEY)
    np.testing.assert_allclose(penalties, [16.0] * 3, rtol=1e-5)


def test_maps_of_logits_are_summed_and_bfloat16_is_widened():
    def maps(x):
        return jnp.stack([linear(x), linear(x)], axis=1)

    x = points(3)
    np.testing.assert_allclose(jax.jit(partial(losses.r1, maps))(x), [100.0] * 3, rtol=1e-5)
    half = jax.jit(partial(losses.r1, lambda x: x @ W.astype(x.dtype)))(x.astype(jnp.bfloat16))
    assert half.dtype == jnp.float32
    np.testing.assert_array_equal(half, [25.0] * 3)


def scaled_rotation(scale, shape, num, seed=0):
    """Images that are c Q w, with `num` orthonormal columns Q."""
    columns = np.random.default_rng(seed).normal(size=(np.prod(shape), num))
    q = scale * np.linalg.qr(columns)[0]
    return lambda w: (w[:, 0] @ jnp.asarray(q, w.dtype).T).reshape(-1, *shape)


def least_penalty(scale, pixels, num):
    """Var ‖c y‖ of `num` numbers y ~ N(0, I)/√pixels: what stays where a is the mean length."""
    log_ratio = special.gammaln((num + 1) / 2) - special.gammaln(num / 2)
    return scale**2 / pixels * (num - 2 * np.exp(2 * log_ratio))


def test_path_lengths_of_an_orthogonal_jacobian_have_the_least_penalty():
    """In mean and variance within 4 standard errors; channels are no pixels."""
    images = scaled_rotation(3.0, (4, 3, 2), 5)
    styles = jnp.zeros((20_000, 1, 5))
    lengths = np.asarray(jax.jit(partial(losses.path_lengths, images))(styles, KEY), np.float64)
    variance = least_penalty(3.0, 12, 5)
    mean = np.sqrt(9 * 5 / 12 - variance)
    assert abs(lengths.mean() - mean) < 4 * np.sqrt(variance / 20_000)
    squares = (lengths - mean) ** 2
    assert abs(squares.mean() - variance) < 4 * squares.std() / np.sqrt(20_000)


def test_path_lengths_are_means_over_layers():
    def images(w):
        return (w[:, 0] + 2 * w[:, 1])[:, None, None]

    styles = jnp.zeros((3, 2, 4))
    one, both = (
        losses.path_lengths(made, styles, KEY)
        for made in (lambda w: w[:, 0][:, None, None], images)
    )
    np.testing.assert_allclose(both, np.sqrt(5) * one, rtol=1e-5)


def test_the_gradient_of_a_path_length_penalty():
    """In the scale c of an orthogonal Jacobian, where lengths are c times those of c = 1."""
    with jax.enable_x64(True):
        styles = jnp.zeros((7, 1, 5), jnp.float64)

        def penalty(scale):
            images = scaled_rotation(1.0, (4, 3, 2), 5)
            lengths = losses.path_lengths(lambda w: scale * images(w), styles, KEY)
            return jnp.mean((lengths - 0.7) ** 2), lengths

        slope, lengths = jax.jit(jax.grad(penalty, has_aux=True))(jnp.float64(3.0))
        expected = np.mean(2 * (lengths - 0.7) * lengths / 3)
        np.testing.assert_allclose(slope, expected, rtol=1e-12)


def test_path_lengths_need_an_image_for_each_style():
    with pytest.raises(ValueError, match=r"of shape \(3, 2, 4\) the shape \(3, 4\) is made"):
        losses.path_lengths(lambda w: w[:, 0], jnp.zeros((3, 2, 4)), KEY)
