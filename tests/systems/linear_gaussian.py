"""A model where everything is known: z ~ N(0, I), x = Wz + b + √c ε."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from gan_jax import losses
from gan_jax.games import Weights
from gan_jax.nets import MLPEncoder, MLPGenerator
from gan_jax.systems import VAE

RNG = np.random.default_rng(0)
C, DIM, LATENTS = 0.3, 4, 2
W = np.linalg.qr(RNG.normal(size=(DIM, LATENTS)))[0] * np.array([[1.5, 0.6]])  # orthogonal columns
B = RNG.normal(size=DIM)
X = (RNG.normal(size=(8, DIM)) + B).astype(np.float32)
BATCH = {"point": jnp.asarray(X)}
LOG_P = stats.multivariate_normal(B, W @ W.T + C * np.eye(DIM)).logpdf(X)

PRECISION = 1 + np.sum(W**2, axis=0) / C  # the posterior's, diagonal since W'W is
POSTERIOR = W / C / PRECISION  # x - b -> its mean

build = partial(
    VAE,
    encoder=MLPEncoder(2 * LATENTS, widths=()),
    decoder=MLPGenerator((DIM,), widths=()),
    likelihood=losses.gaussian(C),
    latent_dim=LATENTS,
    field="point",
)


def exact_weights(shift: float = 0.0) -> Weights:
    """The decoder of the model, and the encoder of its posterior, with means moved by `shift`."""
    encoder = {
        "kernel": np.concatenate([POSTERIOR, np.zeros((DIM, LATENTS))], axis=1),
        "bias": np.concatenate([shift - B @ POSTERIOR, -np.log(PRECISION)]),
    }
    decoder = {"kernel": W.T, "bias": B}
    params = {"encoder": {"Dense_0": encoder}, "decoder": {"Dense_0": decoder}}
    return Weights(params=jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params))
