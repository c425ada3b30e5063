"""Blocks that three or more papers' networks share."""

from gan_jax.nets.layers.adjoints import conv_general_dilated
from gan_jax.nets.layers.conv import Conv, ConvTranspose
from gan_jax.nets.layers.minibatch import MinibatchDiscrimination

__all__ = ["Conv", "ConvTranspose", "MinibatchDiscrimination", "conv_general_dilated"]
