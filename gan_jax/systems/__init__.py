"""Networks and losses become games: the only place where they meet. One file per paper."""

from gan_jax.systems.gan import GAN, gan
from gan_jax.systems.gmmn import GMMN, gmmn

__all__ = ["GAN", "GMMN", "gan", "gmmn"]
