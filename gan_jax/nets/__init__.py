"""Networks as pure Flax modules: arrays in, arrays out. They know no loss and no game.

Every network is called as `network(x, train=...)`; `train` decides what batch normalisation uses.
"""

from gan_jax.nets.conv_vae import ConvDecoder, ConvEncoder
from gan_jax.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_jax.nets.fgan import LocationScale
from gan_jax.nets.layers import Conv, ConvTranspose, MinibatchDiscrimination
from gan_jax.nets.mlp import MLPDiscriminator, MLPEncoder, MLPGenerator

__all__ = [
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvTranspose",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "LocationScale",
    "MLPDiscriminator",
    "MLPEncoder",
    "MLPGenerator",
    "MinibatchDiscrimination",
]
