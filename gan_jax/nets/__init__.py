"""Networks as pure Flax modules: arrays in, arrays out. They know no loss and no game.

Every network is called as `network(x, *conditions, train=...)`; `train` decides what batch
normalisation uses and whether dropout acts. Classes are int32, one number for each example.

`nets.inception` is imported by itself: its `InceptionV3` is never trained, and is called on images
alone, as `inception.preprocess` makes them.
"""

from gan_jax.nets.acgan import ACGANDiscriminator
from gan_jax.nets.adda import ADDAEncoder
from gan_jax.nets.augmented import Augmented
from gan_jax.nets.char_cnn_rnn import CharCNNRNN, ImageEncoder
from gan_jax.nets.conditional import ConditionalDiscriminator, ConditionalGenerator
from gan_jax.nets.conv_vae import ConvDecoder, ConvEncoder
from gan_jax.nets.cyclegan import ResidualGenerator
from gan_jax.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_jax.nets.fgan import LocationScale
from gan_jax.nets.gansynth import GANSynthDiscriminator, GANSynthGenerator, gansynth_widths
from gan_jax.nets.gist import (
    GistDecoder,
    GistEncoder,
    GistGenerator,
    Text2Filter,
    TextToVideoDiscriminator,
)
from gan_jax.nets.goodfellow import GoodfellowDiscriminator, goodfellow_generator
from gan_jax.nets.growing import GrowingGANSynthDiscriminator, GrowingGANSynthGenerator
from gan_jax.nets.lapgan import (
    LAPGANBaseDiscriminator,
    LAPGANBaseGenerator,
    LAPGANDiscriminator,
    LAPGANGenerator,
)
from gan_jax.nets.layers import Conv, ConvTranspose, Maxout, MinibatchDiscrimination
from gan_jax.nets.lenet import LeNet
from gan_jax.nets.mlp import MLPDiscriminator, MLPEncoder, MLPGenerator
from gan_jax.nets.pix2pix import PatchDiscriminator, Unconditional, UNet
from gan_jax.nets.projection import ProjectionDiscriminator
from gan_jax.nets.reading import Reading
from gan_jax.nets.stackgan import ConditioningAugmentation, StageOneGenerator, StageTwoGenerator
from gan_jax.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, stylegan2_widths
from gan_jax.nets.text_to_image import TextToImageDiscriminator, TextToImageGenerator
from gan_jax.nets.tfgan import TFGANGenerator
from gan_jax.nets.tfgan_critic import FilterCritic
from gan_jax.nets.tfgan_text import TextEncoder
from gan_jax.nets.vgan import (
    ConditionalTwoStreamGenerator,
    OneStreamGenerator,
    TwoStreamGenerator,
    VideoDiscriminator,
)

__all__ = [
    "ACGANDiscriminator",
    "ADDAEncoder",
    "Augmented",
    "CharCNNRNN",
    "ConditionalDiscriminator",
    "ConditionalGenerator",
    "ConditionalTwoStreamGenerator",
    "ConditioningAugmentation",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvTranspose",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "FilterCritic",
    "GANSynthDiscriminator",
    "GANSynthGenerator",
    "GistDecoder",
    "GistEncoder",
    "GistGenerator",
    "GoodfellowDiscriminator",
    "GrowingGANSynthDiscriminator",
    "GrowingGANSynthGenerator",
    "ImageEncoder",
    "LAPGANBaseDiscriminator",
    "LAPGANBaseGenerator",
    "LAPGANDiscriminator",
    "LAPGANGenerator",
    "LeNet",
    "LocationScale",
    "MLPDiscriminator",
    "MLPEncoder",
    "MLPGenerator",
    "Maxout",
    "MinibatchDiscrimination",
    "OneStreamGenerator",
    "PatchDiscriminator",
    "ProjectionDiscriminator",
    "Reading",
    "ResidualGenerator",
    "StageOneGenerator",
    "StageTwoGenerator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "TFGANGenerator",
    "Text2Filter",
    "TextEncoder",
    "TextToImageDiscriminator",
    "TextToImageGenerator",
    "TextToVideoDiscriminator",
    "TwoStreamGenerator",
    "UNet",
    "Unconditional",
    "VideoDiscriminator",
    "gansynth_widths",
    "goodfellow_generator",
    "stylegan2_widths",
]
