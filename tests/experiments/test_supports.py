"""How thin a surface is, where that is known."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import supports, vae
from experiments.harness import runs
from gan_jax import data, metrics

SIDE = 4
KERNEL = jax.random.normal(jax.random.key(0), (2, SIDE * SIDE))


def generate(weights, latents):
    """Of three latents the last has no effect."""
    return (jnp.tanh(latents[:, :2]) @ KERNEL).reshape(-1, SIDE, SIDE, 1)


def drawn(key, num):
    return jax.random.normal(key, (num, 3))


RUN: Any = SimpleNamespace(
    weights=None,
    maker=SimpleNamespace(generate=generate, latents=drawn),
    has_labels=False,
    to_signed=np.asarray,
    config=vae.Config(binarization="static", image_size=SIDE),
)


@pytest.mark.slow
def test_a_surface_of_two_dimensions_is_found_among_three_latents(monkeypatch):
    monkeypatch.setattr(supports, "NUM_COMPARED", 300)
    found = supports.measured(RUN, jax.random.key(1), 20)
    assert (found["latents"], found["pixels"], found["rank"]) == (3, SIDE * SIDE, 2)
    some = np.float64(drawn(jax.random.key(1), 300))[:20, :2]
    jacobians = (1 - np.tanh(some) ** 2)[:, :, None] * np.float64(KERNEL)
    squares = np.linalg.svd(jacobians)[1] ** 2
    ratios = squares.sum(axis=1) ** 2 / (squares**2).sum(axis=1)
    assert found["moving"] == pytest.approx(ratios.mean(), rel=1e-4)
    assert abs(found["dimension of samples"] - 2) < 0.3
    stored = data.load("digits", image_size=SIDE)[np.arange(300)]["image"]
    expected = metrics.intrinsic_dimension(stored.reshape(300, -1).astype(np.float32))
    assert found["dimension of real images"] == pytest.approx(float(expected), rel=1e-4)


def test_several_latents_have_one_image_where_it_does_not_tell_them_apart():
    """Images of |z| are alike for z and -z, which are far apart, unless both are near 0."""
    rng = np.random.default_rng(0)
    latents, real = rng.normal(size=(400, 1)), 50 * rng.normal(size=(400, 1))
    assert supports.several_to_one(latents, latents, real) == 0
    folded = supports.several_to_one(latents, np.abs(latents), real)
    pairs = np.abs(latents - latents.T)
    far = np.mean(2 * np.abs(latents) > np.median(pairs[np.triu_indices(400, 1)]))
    assert abs(folded - far / 2) < 4 * (0.3 * 0.7 / 400) ** 0.5
    assert supports.several_to_one(latents, 5_000 * np.abs(latents), real) < folded / 5


def test_images_of_labels_are_refused(monkeypatch):
    monkeypatch.setattr(runs, "opened", lambda _: SimpleNamespace(has_labels=True))
    with pytest.raises(ValueError, match="its images are no function of latents"):
        supports.run(supports.Options(run="here"))


def test_completions_of_images_are_refused(monkeypatch):
    maker = SimpleNamespace(unseen={"condition": 0})
    run = SimpleNamespace(has_labels=False, maker=maker)
    monkeypatch.setattr(runs, "opened", lambda _: run)
    with pytest.raises(ValueError, match="completes images"):
        supports.run(supports.Options(run="here"))
