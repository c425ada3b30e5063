"""Sums and walks of latents, in a space where the truth is known."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import latents

SIDE = 4


def generate(weights, z):
    """The sign of the first number chooses the half that is lit, the second how brightly."""
    half = (jnp.arange(SIDE) < SIDE // 2)[None, None, :, None]
    left = jnp.broadcast_to(half, (len(z), SIDE, SIDE, 1))
    lit = jnp.where(z[:, 0, None, None, None] < 0, left, ~left)
    return jnp.where(lit, jax.nn.sigmoid(z[:, 1, None, None, None]), 0.0)


def logits(images):
    halves = images.reshape(len(images), SIDE, 2, -1).mean(axis=(1, 3))
    return jnp.asarray(50 * (halves + 1))


def drawn(key, num):
    z = jax.random.normal(key, (num, 2))
    return z.at[:, 0].add(3 * jnp.sign(z[:, 0]))


RUN = SimpleNamespace(
    maker=SimpleNamespace(latents=drawn, generate=generate), weights=None, is_signed=False
)
JUDGE = SimpleNamespace(logits=logits)


@pytest.fixture(scope="module")
def space():
    return latents.explored(jax.random.key(0), RUN, JUDGE)


def test_images_are_sorted_by_class_and_by_thirds_of_its_ink(space):
    z = np.asarray(space.latents)
    np.testing.assert_array_equal(space.classes, z[:, 0] > 0)
    for name in (0, 1):
        brightness = z[space.classes == name, 1]
        low, high = np.quantile(brightness, (1 / 3, 2 / 3))
        assert set(space.thin) == set(space.thick) == {0, 1}
        assert (z[space.thin[name], 1] < low + 1e-3).all()
        assert (z[space.thick[name], 1] > high - 1e-3).all()
        assert (
            len(space.thin[name])
            == len(space.thick[name])
            == len(brightness) // 3 + (len(brightness) % 3 > 1)
        )


def test_where_latents_are_linear_sums_are_what_they_should_be(space):
    scores, rows = latents.arithmetic(space, np.random.default_rng(0), 200)
    assert scores["sum: class b"] == 1
    # Thick a - thin a + thin b is as thick as a mean of three in the upper third, but for the
    # spread of the two thin ones.
    assert scores["sum: thick b"] > 0.85
    assert scores["thin b alone: class b"] == 1
    assert scores["thin b alone: thick b"] == 0
    assert abs(scores["chance: class b"] - 1 / 2) < 0.15
    assert abs(scores["chance: thick b"] - 1 / 6) < 0.1
    assert rows.shape == (10, 13, SIDE, SIDE, 1)
    classes = latents.named(JUDGE, rows.reshape(-1, SIDE, SIDE, 1)).reshape(10, 13)
    assert (classes[:, :8] == classes[:, :1]).all()  # a, and its two means
    assert (classes[:, 8:] == 1 - classes[:, :1]).all()  # b, its mean, and the sum
    weights = rows.mean(axis=(2, 3, 4))
    assert (weights[:, :4].min(axis=1) > weights[:, 4:8].max(axis=1)).all()


def test_walks_are_measured_from_frame_to_frame(space):
    scores = latents.walked(space, np.random.default_rng(0), 50)
    assert scores["straight: confidence at the ends"] > 0.9
    assert scores["straight: unevenness"] > 5  # all of the change is where the sign does
    assert 0 < scores["straight: change"] < 0.5
    assert scores["spherical: change"] != scores["straight: change"]


def test_a_run_that_makes_one_class_is_refused():
    alone = SimpleNamespace(maker=SimpleNamespace(latents=drawn, generate=generate))
    alone.maker.latents = lambda key, num: jnp.abs(drawn(key, num))
    alone.weights, alone.is_signed = None, False
    with pytest.raises(ValueError, match="makes one class alone"):
        latents.explored(jax.random.key(0), alone, JUDGE)
