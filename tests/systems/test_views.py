"""What a VAE has learned, as images: reconstructions and the manifold of two latents."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from gan_jax import losses
from gan_jax.games import Weights
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import VAE, views

ENCODE = np.array([[1.0, 0.0, 9.0, 9.0], [0.0, 2.0, 9.0, 9.0]], np.float32)
DECODE = np.array([[1.0, 3.0], [0.0, 1.0]], np.float32)
X = np.array([[1.0, 2.0], [0.5, -1.0]], np.float32)
MODEL = VAE(
    encoder=MLPEncoder(4, ()),
    decoder=MLPGenerator((2,), ()),
    likelihood=losses.bernoulli(),
    latent_dim=2,
    field="point",
)


def linear(kernel):
    return {"Dense_0": {"kernel": jnp.asarray(kernel), "bias": jnp.zeros(kernel.shape[1])}}


WEIGHTS = Weights(params={"encoder": linear(ENCODE), "decoder": linear(DECODE)})


def probabilities(latents):
    return 1 / (1 + np.exp(-latents @ DECODE))


def test_a_reconstruction_is_the_mean_of_what_the_mean_latents_decode_to():
    found = jax.jit(lambda x: views.reconstructed(MODEL, WEIGHTS, {"point": x}))(X)
    np.testing.assert_allclose(found, probabilities(X @ ENCODE[:, :2]), rtol=1e-5)


def test_the_manifold_is_decoded_from_a_grid_of_quantiles_from_the_top_left():
    low = stats.norm.ppf(1 / 6)
    expected = [[x, y] for y in (-low, 0, low) for x in (low, 0, -low)]
    found = jax.jit(lambda: views.manifold(MODEL, WEIGHTS, 3))()
    np.testing.assert_allclose(found, probabilities(np.array(expected)), rtol=1e-5)
