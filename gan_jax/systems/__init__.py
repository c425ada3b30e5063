"""Networks and losses become games and objectives: the only place where they meet."""

from gan_jax.systems.autoencoder import Autoencoder, autoencoder
from gan_jax.systems.cvae import CVAE, cvae
from gan_jax.systems.gan import GAN, gan
from gan_jax.systems.gmmn import GMMN, gmmn
from gan_jax.systems.hierarchical_vae import HierarchicalVAE, hierarchical_vae
from gan_jax.systems.iwae import iwae
from gan_jax.systems.latents import Gaussian
from gan_jax.systems.svi import SVI, svi
from gan_jax.systems.vae import VAE, Bound, vae

__all__ = [
    "CVAE",
    "GAN",
    "GMMN",
    "SVI",
    "VAE",
    "Autoencoder",
    "Bound",
    "Gaussian",
    "HierarchicalVAE",
    "autoencoder",
    "cvae",
    "gan",
    "gmmn",
    "hierarchical_vae",
    "iwae",
    "svi",
    "vae",
]
