"""How regular a latent space is, where that is known."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import regularity
from gan_jax.systems import Gaussian

KEY = jax.random.key(0)
NORMAL = jax.random.normal(jax.random.key(1), (500, 2))
LINE = jnp.stack([jnp.arange(40.0), jnp.zeros(40)], axis=1)


@pytest.mark.slow
def test_latents_of_the_prior_are_its_own_and_others_are_not():
    found = regularity.of_prior(KEY, NORMAL)
    assert abs(found["mmd2 to the prior"]) < 0.005
    assert abs(found["in the prior's circle"] - 0.865) < 4 * (0.865 * 0.135 / 500) ** 0.5
    wide = regularity.of_prior(KEY, 5 * NORMAL)
    assert wide["mmd2 to the prior"] > 0.1
    assert wide["in the prior's circle"] < 0.2


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_step_is_a_tenth_of_the_codes_deviation(scale):
    """Of a linear decoder: E ‖δ‖ over E ‖z - z'‖ = √2 ‖δ‖ · 10."""
    model = SimpleNamespace(decode=lambda weights, z: z @ weights)
    found = regularity.change(KEY, model, 3 * jnp.eye(2), scale * NORMAL)
    np.testing.assert_allclose(found, 0.1 / 2**0.5, rtol=0.1)


def test_neighbours_are_compared_by_their_images_and_classes():
    """Images that lie as their codes do, on a line, and two classes, half of it each."""
    labels = np.arange(40) // 20
    found = regularity.of_neighbours(LINE, 7 * LINE, labels)
    order = np.argsort(np.abs(np.subtract.outer(np.arange(40), np.arange(40))), kind="stable")
    nearest = order[:, 1:11]
    apart = np.abs(nearest - np.arange(40)[:, None])
    np.testing.assert_allclose(found["distance of neighbours"], apart.mean() / (78 / 40), rtol=1e-5)
    same = np.mean(labels[nearest] == labels[:, None])
    np.testing.assert_allclose(found["class of neighbours"], same, rtol=1e-5)


def test_of_two_equal_points_the_other_is_a_neighbour():
    twice = jnp.repeat(LINE, 2, axis=0)
    found = regularity.overlaps(Gaussian(twice, jnp.zeros_like(twice)))
    np.testing.assert_allclose(found["overlap with the nearest"], 1, rtol=1e-5)
    images = 1e3 * jnp.stack([jnp.arange(80.0), jnp.zeros(80)], axis=1)
    apart = regularity.of_neighbours(100 * twice, images, np.arange(80))
    assert apart["class of neighbours"] == 0


def test_overlaps_are_of_the_nearest_and_of_any_two():
    """Means a deviation apart: exp(-1/8)."""
    found = regularity.overlaps(Gaussian(LINE, jnp.zeros_like(LINE)))
    np.testing.assert_allclose(found["overlap with the nearest"], np.exp(-1 / 8), rtol=1e-5)
    any_two = (39 * np.exp(-1 / 8) + np.exp(-(39**2) / 8)) / 40
    np.testing.assert_allclose(found["overlap of any two"], any_two, rtol=1e-5)


def test_live_weights_are_refused():
    with pytest.raises(ValueError, match="--live is on"):
        regularity.run(regularity.RunAgain(run="here", live=True))


def test_a_run_of_another_experiment_is_refused(monkeypatch):
    restored = SimpleNamespace(experiment="dcgan")
    monkeypatch.setattr(
        regularity, "built", lambda _: SimpleNamespace(module=None, restored=restored)
    )
    with pytest.raises(ValueError, match="is a run of dcgan; name one of experiments"):
        regularity.run(regularity.RunAgain(run="here"))
