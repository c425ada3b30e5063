"""Transformations of images and sounds: arrays in, arrays out. They know no parameters."""

from gan_jax.signals.images import center_crop, flip, random_crop, resize

__all__ = ["center_crop", "flip", "random_crop", "resize"]
