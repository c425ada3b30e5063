"""Path lengths of maps whose lengths are known, and the mean without the extremes."""

import math
import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax.metrics import path_length_lerp, path_length_slerp, trimmed_mean

RNG = np.random.default_rng(0)
Z0, Z1 = jnp.float32(RNG.normal(size=(2, 50, 5)))
T = jnp.float32(RNG.uniform(size=50))


lerp = jax.jit(path_length_lerp, static_argnums=0, static_argnames="epsilon")
slerp = jax.jit(path_length_slerp, static_argnums=0, static_argnames="epsilon")
mean_within = jax.jit(trimmed_mean)


def same(latents):
    return latents


@pytest.mark.parametrize("epsilon", [1e-4, 0])
def test_a_linear_map_on_known_latents(epsilon):
    """torchmetrics 1.9.0 and the closed form ‖Wᵀ(z₁ - z₀)‖²."""
    with jax.enable_x64(True):
        matrix = jnp.asarray(np.random.RandomState(4).randn(4, 6))
        z0, z1 = jnp.asarray(np.random.RandomState(5).randn(2, 1_000, 4))
        lengths = lerp(lambda z: z @ matrix, z0, z1, jnp.zeros(1_000), epsilon=epsilon)
        np.testing.assert_allclose(lengths, np.sum(((z1 - z0) @ matrix) ** 2, axis=1), rtol=1e-8)
        assert f"{lengths.mean():.10f}" == "28.5056717629"
        assert f"{mean_within(lengths):.9f}" == "27.551981102"
    z0, z1, matrix = map(jnp.float32, (z0, z1, matrix))
    lengths = lerp(lambda z: z @ matrix, z0, z1, jnp.zeros(1_000), epsilon=epsilon)
    np.testing.assert_allclose(
        jnp.mean(lengths), 28.5056717629, rtol=1e-6 if epsilon == 0 else 1e-4
    )


def test_the_expected_length_of_a_linear_map():
    """2 ‖W‖²_F for latents from N(0, I)."""
    matrix = jnp.float32(RNG.normal(size=(5, 3)))
    z0, z1 = jax.random.normal(jax.random.key(0), (2, 4_000, 5))
    lengths = lerp(lambda z: z @ matrix, z0, z1, jnp.zeros(4_000), epsilon=0)
    error = lengths.std() / math.sqrt(4_000)
    assert abs(lengths.mean() - 2 * jnp.sum(matrix**2)) < 4 * error


def angles(z0, z1):
    a, b = (np.float64(z) / np.linalg.norm(z, axis=1, keepdims=True) for z in (z0, z1))
    return np.arccos(np.sum(a * b, axis=1))


@pytest.mark.parametrize(("epsilon", "rtol"), [(1e-2, 1e-3), (0, 1e-5)])
def test_on_the_arc_the_identity_moves_by_the_angle(epsilon, rtol):
    """Chords of ε ω are 2 sin(ε ω/2) long. The norms of the ends do not matter."""
    omega = angles(Z0, Z1)
    expected = omega**2 if epsilon == 0 else (2 * np.sin(epsilon * omega / 2) / epsilon) ** 2
    for scale in (1.0, 7.0):
        lengths = slerp(same, scale * Z0, Z1, T, epsilon=epsilon)
        np.testing.assert_allclose(lengths, expected, rtol=rtol)


@pytest.mark.parametrize(("dim", "expected"), [(2, np.pi**2 / 3), (3, (np.pi**2 - 4) / 2)])
def test_the_expected_length_of_the_identity_on_the_arc(dim, expected):
    """Angles as those of directions: even in the plane, with density sin/2 in space."""
    share = (np.arange(2_000) + 0.5) / 2_000
    omega = np.pi * share if dim == 2 else np.arccos(1 - 2 * share)
    rest = np.zeros((2_000, dim - 2))
    z1 = np.concatenate([np.cos(omega)[:, None], np.sin(omega)[:, None], rest], axis=1)
    z0 = np.tile(np.eye(dim)[:1], (2_000, 1))
    lengths = slerp(same, jnp.float32(z0), jnp.float32(z1), jnp.full(2_000, 0.3), epsilon=0)
    np.testing.assert_allclose(jnp.mean(lengths), expected, rtol=1e-5)


def test_the_arc_goes_from_end_to_end_on_the_sphere():
    """A map that reads one coordinate moves as that coordinate of the arc does."""
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (Z0, Z1))
    omega = angles(Z0, Z1)[:, None]
    t = np.asarray(T)[:, None]
    speed = omega * (np.cos(t * omega) * b - np.cos((1 - t) * omega) * a) / np.sin(omega)
    lengths = slerp(lambda z: z[:, 0], Z0, Z1, T, epsilon=0)
    np.testing.assert_allclose(lengths, speed[:, 0] ** 2, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("length", [lerp, slerp])
def test_the_limit_is_what_small_steps_come_near(length):
    """Of a map that bends, on latents of two axes, to features of two axes."""
    with jax.enable_x64(True):
        z0, z1, t = (jnp.asarray(z, jnp.float64) for z in (Z0, Z1, T))
        z0, z1 = (z[:48].reshape(16, 3, 5) for z in (z0, z1))

        def generate(z):
            return jnp.tanh(jnp.stack([z[:, 0] * z[:, 1], jnp.sin(z[:, 2])], axis=1))

        exact = length(generate, z0, z1, t[:16], epsilon=0)
        near = length(generate, z0, z1, t[:16], epsilon=1e-6)
        assert exact.shape == (16,)
        np.testing.assert_allclose(near, exact, rtol=1e-3)
        assert np.all(exact > 0)


def test_where_there_is_no_one_arc():
    """The same direction: no way to go. Opposite ones, or no direction: none is defined."""
    z0 = jnp.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [0.0, 0.0], [1.0, 0.0]])
    z1 = jnp.array([[1.0, 2.0], [3.0, 6.0], [-2.0, -4.0], [1.0, 2.0], [0.0, 1.0]])
    t = jnp.full(5, 0.3)
    for epsilon in (0, 1e-4):
        lengths = slerp(same, z0, z1, t, epsilon=epsilon)
        np.testing.assert_allclose(lengths[:2], 0, atol=1e-6)
        assert np.isnan(lengths[2:4]).all()
        assert np.isfinite(lengths[4])
    assert lerp(same, z0[:1], z0[:1], t[:1]).tolist() == [0]


def test_rows_over_devices_give_the_same():
    rows = NamedSharding(jax.make_mesh((2,), ("data",), (AxisType.Auto,)), P("data"))
    split = (jax.device_put(z, rows) for z in (Z0, Z1, T))
    found = slerp(same, *split, epsilon=0)
    np.testing.assert_allclose(found, slerp(same, Z0, Z1, T, epsilon=0), rtol=1e-5)
    assert len(found.sharding.device_set) == 2


def test_half_precision_is_widened_and_what_is_not_finite_is_nan():
    z0, z1, t = (z.astype(jnp.bfloat16) for z in (Z0, Z1, T))
    found = jax.eval_shape(
        lambda: path_length_lerp(lambda z: z.astype(jnp.bfloat16), z0, z1, t, epsilon=0)
    )
    assert found.dtype == jnp.float32

    @jax.jit
    def of_constant(z0, t):
        return path_length_lerp(lambda z: 0 * jnp.nan_to_num(z), z0, Z1, t)

    np.testing.assert_array_equal(of_constant(Z0, T), 0)
    assert np.isnan(of_constant(Z0.at[3, 2].set(jnp.nan), T)).nonzero()[0].tolist() == [3]
    assert np.isnan(of_constant(Z0, T.at[4].set(jnp.inf))).nonzero()[0].tolist() == [4]


@pytest.mark.parametrize("num", [1, 101, 250])
def test_the_trimmed_mean_keeps_what_numpys_percentiles_enclose(num):
    values = np.round(RNG.normal(size=num), 2)  # with ties
    low = np.percentile(values, 1, method="lower")
    high = np.percentile(values, 99, method="higher")
    expected = values[(values >= low) & (values <= high)].mean()
    np.testing.assert_allclose(mean_within(jnp.float32(values)), expected, atol=1e-6)


def test_the_trimmed_mean_leaves_out_extremes_but_not_nan():
    values = jnp.concatenate([jnp.ones(299), jnp.array([1e9, -jnp.inf])])
    assert trimmed_mean(values) == 1
    assert np.isnan(trimmed_mean(values.at[0].set(jnp.nan)))
    assert trimmed_mean(jnp.full(5, 2.5)) == 2.5


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: path_length_lerp(same, Z0, Z1[:1], T),
            "z0 has the shape (50, 5), z1 has (1, 5); give both the same shape.",
        ),
        (
            lambda: path_length_slerp(same, Z0, Z1, T[:1]),
            "t has the shape (1,) for latents of shape (50, 5); give one number for each pair.",
        ),
        (
            lambda: path_length_slerp(jnp.sum, Z0, Z1, T),
            "generate gives the shape () for 50 latents; it must give one row of features for "
            "each.",
        ),
        (
            lambda: path_length_lerp(same, Z0 * jnp.nan, Z1, T),
            "z0 holds nan; every number in it must be finite.",
        ),
        (
            lambda: path_length_lerp(same, Z0, Z1, T, epsilon=-1e-4),
            "epsilon is -0.0001; it must be finite, and not below 0.",
        ),
        (
            lambda: trimmed_mean(jnp.ones(0)),
            "The values have the shape (0,); give at least one, along one axis.",
        ),
        (lambda: trimmed_mean(Z0), "The values have the shape (50, 5); give at least one, along "),
    ],
)
def test_bad_input_is_refused(call, sentence, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        call()
