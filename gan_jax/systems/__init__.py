"""Networks and losses become games and objectives: the only place where they meet."""

from gan_jax.systems import networks, views, walks
from gan_jax.systems.acgan import acgan
from gan_jax.systems.adda import ADDA
from gan_jax.systems.autoencoder import Autoencoder
from gan_jax.systems.cvae import CVAE
from gan_jax.systems.cyclegan import CycleGAN
from gan_jax.systems.gan import GAN, Round
from gan_jax.systems.gan_cls import gan_cls, interpolated
from gan_jax.systems.gansynth import gansynth
from gan_jax.systems.gist import text_to_video
from gan_jax.systems.gmmn import GMMN
from gan_jax.systems.growing import growing
from gan_jax.systems.hierarchical_vae import HierarchicalVAE
from gan_jax.systems.iwae import iwae
from gan_jax.systems.joint_embedding import JointEmbedding
from gan_jax.systems.lapgan import LAPGAN
from gan_jax.systems.latents import Gaussian
from gan_jax.systems.pix2pix import pix2pix
from gan_jax.systems.relativistic import relativistic_gan
from gan_jax.systems.stackgan import stackgan
from gan_jax.systems.style_projection import StyleProjection
from gan_jax.systems.stylegan2 import StyleGAN2, lazy_adam
from gan_jax.systems.svi import SVI
from gan_jax.systems.tfgan import TFGAN
from gan_jax.systems.vae import VAE, Bound
from gan_jax.systems.vgan import conditional_vgan, vgan

__all__ = [
    "ADDA",
    "CVAE",
    "GAN",
    "GMMN",
    "LAPGAN",
    "SVI",
    "TFGAN",
    "VAE",
    "Autoencoder",
    "Bound",
    "CycleGAN",
    "Gaussian",
    "HierarchicalVAE",
    "JointEmbedding",
    "Round",
    "StyleGAN2",
    "StyleProjection",
    "acgan",
    "conditional_vgan",
    "gan_cls",
    "gansynth",
    "growing",
    "interpolated",
    "iwae",
    "lazy_adam",
    "networks",
    "pix2pix",
    "relativistic_gan",
    "stackgan",
    "text_to_video",
    "vgan",
    "views",
    "walks",
]
