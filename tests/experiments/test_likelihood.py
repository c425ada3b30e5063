"""How likely images are to a linear generator, of which it is known."""

from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from scipy import stats

from experiments import likelihood
from experiments.harness import runs
from gan_jax import data, metrics
from gan_jax.systems import networks

SIDE, STD = 3, 0.2
KERNEL = 0.2 * jax.random.normal(jax.random.key(0), (2, SIDE * SIDE))
PLACES = np.array([[[32], [96], [160]], [[64], [128], [224]], [[0], [255], [100]]])
IMAGES = np.stack([PLACES, PLACES[::-1]]).astype(np.uint8)
CHOSEN = likelihood.Options(run="here", num=2, std=STD, num_chains=64, num_samples=50_000)


def opened(latents) -> Any:
    """Its images are signed, around 0."""

    def generate(weights, z):
        return (z.reshape(len(z), -1) @ KERNEL).reshape(-1, SIDE, SIDE, 1)

    maker = SimpleNamespace(generate=generate, latents=latents)
    return SimpleNamespace(
        config=None, has_labels=False, maker=maker, weights=None, to_signed=lambda images: images
    )


def measured(latents):
    run = opened(latents)
    key_annealing, key_samples = jax.random.split(jax.random.key(1))
    samples = likelihood.samples_of(key_samples, run, CHOSEN.num_samples)
    return likelihood.likelihoods(key_annealing, run, IMAGES, samples, CHOSEN)


@pytest.mark.slow
def test_images_are_as_likely_as_they_are():
    """In [0, 1] they are ½ + zW/2, and so N(½, WᵀW/4 + σ²I) with the noise."""
    found = measured(networks.normal(1, 2))
    covariance = np.asarray(KERNEL.T @ KERNEL) / 4 + STD**2 * np.eye(SIDE * SIDE)
    exact = stats.multivariate_normal(np.full(SIDE * SIDE, 0.5), covariance)
    expected = exact.logpdf(IMAGES.reshape(2, -1) / 255)
    assert found["annealed (nats)"].mean == pytest.approx(expected.mean(), abs=0.1)
    assert found["annealed (nats)"].std == pytest.approx(expected.std(), abs=0.1)
    assert found["kernel estimate (nats)"].mean == pytest.approx(expected.mean(), abs=0.2)
    assert 1 < found["effective samples"].mean <= 64
    assert 0.5 < found["acceptance"].mean < 1


@pytest.mark.slow
def test_uniform_latents_are_annealed_as_what_they_are_made_of():
    """Two of them, in [-1, 1): the mean over both, by quadrature."""
    found = measured(networks.uniform(2))
    middles = (np.arange(200) + 0.5) / 100 - 1
    z = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    made = (z @ np.asarray(KERNEL) + 1) / 2
    x = IMAGES.reshape(2, 1, -1) / 255
    logs = stats.norm(made, STD).logpdf(x).sum(axis=-1)
    expected = np.log(np.mean(np.exp(logs), axis=1))
    assert found["annealed (nats)"].mean == pytest.approx(expected.mean(), abs=0.1)


def test_what_is_said_of_images_seen_and_unseen(monkeypatch):
    """Each column is of its split, in the centre; latents may have any shape."""
    asked = []

    def images(config, split, *, crop):
        asked.append((split, crop))
        return data.ArrayDataset({"image": np.full_like(IMAGES, 255 if split == "test" else 0)})

    def found(key, run, images, samples, chosen):
        assert samples.shape == (CHOSEN.num_samples, SIDE * SIDE)
        return {"annealed (nats)": metrics.spread(images.reshape(2, -1).mean(axis=1))}

    monkeypatch.setattr(runs, "opened", lambda _: opened(networks.normal(1, 2)))
    monkeypatch.setattr(likelihood.PictureOptions, "images", images)
    monkeypatch.setattr(likelihood, "likelihoods", found)
    head, row = likelihood.run(CHOSEN).splitlines()
    assert asked == [("test", "center"), ("train", "center")]
    assert head.split()[-2:] == ["unseen", "seen"]
    assert row.split()[2:] == ["255.00", "±", "0.00", "0.00", "±", "0.00"]


def test_latents_of_another_kind_are_refused(monkeypatch):
    run = SimpleNamespace(has_labels=False, maker=SimpleNamespace(latents=lambda key, num: None))
    monkeypatch.setattr(runs, "opened", lambda _: run)
    with pytest.raises(ValueError, match="here draws latents of several kinds"):
        likelihood.run(CHOSEN)
