"""Networks and losses become games: the only place where they meet. One file per paper."""

from gan_jax.systems.gan import GAN, gan

__all__ = ["GAN", "gan"]
