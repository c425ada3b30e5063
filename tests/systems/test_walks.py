"""Walks between latents: their ends, their angles, their norms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.systems import walks


def along(way, start, end):
    return jax.vmap(way, (None, None, 0))(start, end, jnp.linspace(0, 1, 5))


@pytest.mark.parametrize("way", [walks.straight, walks.spherical])
def test_a_walk_of_any_shape_begins_and_ends_where_it_should(way):
    a, b = jax.random.normal(jax.random.key(0), (2, 3, 2, 1))
    went = along(way, a, b)
    assert went.shape == (5, 3, 2, 1)
    np.testing.assert_allclose(went[0], a, atol=1e-6)
    np.testing.assert_allclose(went[-1], b, atol=1e-6)


def test_straight_is_the_chord_and_spherical_the_arc():
    a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    np.testing.assert_allclose(along(walks.straight, a, b)[1], [1.5, 0.5])
    angles = np.linspace(0, np.pi / 2, 5)
    arc = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(along(walks.spherical, a, b), arc, atol=1e-6)


def test_an_arc_between_norms_is_shoemakes_formula():
    a, b = np.random.default_rng(0).normal(size=(2, 10))
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    expected = (np.sin(0.75 * angle) * a + np.sin(0.25 * angle) * b) / np.sin(angle)
    went = along(walks.spherical, jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32))
    np.testing.assert_allclose(went[1], expected, rtol=1e-4)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, 0.0])
def test_where_there_is_no_arc_the_walk_is_straight(factor):
    a = jnp.array([0.3, -0.4, 1.2])
    went = along(walks.spherical, a, factor * a)
    np.testing.assert_allclose(went, along(walks.straight, a, factor * a), atol=1e-6)


def test_a_walk_visits_the_stations_in_order_and_comes_home():
    stations = jnp.arange(6.0).reshape(3, 2)
    legs = walks.walk(stations, 4)
    assert legs.shape == (3, 4, 2)
    np.testing.assert_allclose(legs[:, 0], stations)
    np.testing.assert_allclose(legs[:, -1], stations[jnp.array([1, 2, 0])], rtol=1e-6)


def test_a_walk_that_goes_nowhere_is_refused():
    with pytest.raises(ValueError, match="There are 1 stations; a walk needs at least two"):
        walks.walk(jnp.zeros((1, 2)), 4)
    with pytest.raises(ValueError, match="num_frames is 1; it must be an integer, at least 2"):
        walks.walk(jnp.zeros((2, 2)), 1)
