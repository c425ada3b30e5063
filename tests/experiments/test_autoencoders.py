"""What the experiments on autoencoders look at, where codes are two pixels of an image."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import autoencoder, vae
from gan_jax import data, games, losses, plots
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import VAE, Autoencoder, views

SIDE = 3
IMAGES = np.random.default_rng(0).uniform(size=(12, SIDE, SIDE, 1)).astype(np.float32)
LABELS = np.arange(12) % 2
CORNER = np.eye(2, SIDE * SIDE, dtype=np.float32)
"""Codes are the first two pixels less 1/2."""


def encode(images):
    return np.asarray(images).reshape(-1, SIDE * SIDE)[:, :2] - 0.5


def decode(codes):
    return ((np.asarray(codes) + 0.5) @ CORNER).reshape(-1, SIDE, SIDE, 1)


def state_of(num_numbers):
    pixels, half = np.zeros((SIDE * SIDE, num_numbers)), np.zeros(num_numbers)
    pixels[:, :2], half[:2] = CORNER.T, 0.5
    encoder = {"Dense_0": {"kernel": pixels, "bias": -half}}
    decoder = {"Dense_0": {"kernel": CORNER, "bias": 0.5 * CORNER.sum(axis=0)}}
    params = jax.tree.map(jnp.float32, {"encoder": encoder, "decoder": decoder})
    return games.init_descent(weights=games.Weights(params=params), optimizer=optax.sgd(0.1))


DECODER = MLPGenerator((SIDE, SIDE, 1), ())
PLAIN = Autoencoder(encoder=MLPEncoder(2, ()), decoder=DECODER, latent_dim=2)
VARIATIONAL = VAE(
    encoder=MLPEncoder(4, ()), decoder=DECODER, likelihood=losses.gaussian(0.02), latent_dim=2
)
MODELS = {"autoencoder": PLAIN, "vae": VARIATIONAL}
STATES = {"autoencoder": state_of(2), "vae": state_of(4)}
DATASET = data.ArrayDataset({"image": np.zeros((500, SIDE, SIDE, 1), np.uint8)})


@pytest.fixture
def drawn(monkeypatch):
    """What is given to the plots, in place of pictures of it."""
    shown: dict[str, Any] = {"grids": []}

    def grid(images, *, columns=None):
        shown["grids"].append(np.asarray(images))
        return images

    monkeypatch.setattr(plots, "brightness_grid", grid)
    monkeypatch.setattr(plots, "latents", lambda *given: shown.update(latents=given))
    for module in (autoencoder, vae):
        monkeypatch.setattr(module.Config, "unseen", lambda config: (jnp.asarray(IMAGES), LABELS))
    return shown


def test_both_models_decode_the_prior_and_reconstruct_their_own_codes(drawn):
    evaluate = autoencoder.evaluator(autoencoder.Config(evaluate=()), MODELS, DATASET)
    metrics = evaluate(jax.random.key(0), STATES).metrics
    missing = IMAGES - decode(encode(IMAGES))
    error = np.mean(np.sum(missing**2, axis=(1, 2, 3)))
    for name in MODELS:
        np.testing.assert_allclose(metrics[f"{name}/unseen_error"], error, rtol=1e-5)
    codes, labels = drawn["latents"]
    for found in codes.values():
        np.testing.assert_allclose(found, encode(IMAGES), atol=1e-6)
    np.testing.assert_array_equal(labels, LABELS)
    (shown,) = drawn["grids"]
    by_one, by_other = np.split(encode(shown), 2)
    np.testing.assert_allclose(by_one, by_other, atol=1e-6)
    num = 2 * autoencoder.NUM_SHOWN
    assert abs(np.mean(by_one)) < 4 / num**0.5
    assert abs(np.mean(by_one**2) - 1) < 4 * (2 / num) ** 0.5


@pytest.mark.slow
def test_unseen_images_stand_above_their_reconstructions_and_beside_a_manifold(drawn):
    evaluate = vae.evaluator(vae.Config(), VARIATIONAL, DATASET)
    found = evaluate(jax.random.key(0), STATES["vae"]).metrics
    missing = IMAGES - decode(encode(IMAGES))
    error = np.mean(np.sum(missing**2, axis=(1, 2, 3)))
    np.testing.assert_allclose(found["unseen/error"], error, rtol=1e-5)
    rows, manifold = drawn["grids"]
    some, made, samples = np.split(rows, [vae.COLUMNS, 2 * vae.COLUMNS])
    np.testing.assert_array_equal(some, IMAGES[: vae.COLUMNS])
    np.testing.assert_allclose(made, decode(encode(some)), atol=1e-6)
    assert len(samples) == vae.NUM_DRAWN
    assert abs(np.mean(encode(samples) ** 2) - 1) < 4 * (2 / (2 * vae.NUM_DRAWN)) ** 0.5
    grid = views.quantile_grid(vae.MANIFOLD_SIDE)
    np.testing.assert_allclose(encode(manifold), grid, atol=1e-6)
