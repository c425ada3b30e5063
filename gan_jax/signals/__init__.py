"""Transformations of images and sounds: arrays in, arrays out. They know no parameters."""

from gan_jax.signals.images import resize

__all__ = ["resize"]
