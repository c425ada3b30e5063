"""Blocks that three or more papers' networks share."""

from gan_jax.nets.layers.adjoints import conv_general_dilated
from gan_jax.nets.layers.conv import Conv, ConvTranspose, convolve_each
from gan_jax.nets.layers.equalised import EqualisedConv, EqualisedDense
from gan_jax.nets.layers.labels import check_num_classes, one_hot, told_classes
from gan_jax.nets.layers.maxout import Maxout
from gan_jax.nets.layers.minibatch import MinibatchDiscrimination
from gan_jax.nets.layers.modulated import ModulatedConv

__all__ = [
    "Conv",
    "ConvTranspose",
    "EqualisedConv",
    "EqualisedDense",
    "Maxout",
    "MinibatchDiscrimination",
    "ModulatedConv",
    "check_num_classes",
    "conv_general_dilated",
    "convolve_each",
    "one_hot",
    "told_classes",
]
