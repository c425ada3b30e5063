"""What networks refuse when they are made, and the range of what they make."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from gan_jax import nets
from gan_jax.checks import SIGNED, UNIT

CLIPS = {"num_frames": 8, "size": 8, "channels": 1}
FEATURES = {"features": nets.MLPEncoder(2)}
SIZES = [
    (nets.MLPGenerator, {"shape": (2, 1)}, ["shape", "widths"]),
    (nets.MLPEncoder, {"num_outputs": 2}, ["num_outputs", "widths"]),
    (nets.MLPDiscriminator, {}, ["widths"]),
    (nets.ConvEncoder, {"num_outputs": 2}, ["num_outputs", "width", "depth", "kernel_size"]),
    (nets.ConvDecoder, {"shape": (8, 8, 1)}, ["shape", "width", "depth", "kernel_size"]),
    (
        nets.DCGANGenerator,
        {"size": 8, "channels": 1},
        ["size", "channels", "width", "kernel_size", "num_classes"],
    ),
    (nets.DCGANDiscriminator, {}, ["width", "kernel_size", "num_classes"]),
    (nets.ADDAEncoder, {}, ["num_features", "widths"]),
    (
        nets.CharCNNRNN,
        {"pools": (1, 1), "widths": (4, 4)},
        ["num_outputs", "widths", "pools", "kernel_size", "hidden", "num_characters"],
    ),
    (nets.ImageEncoder, {"num_outputs": 2}, ["num_outputs", "width", "depth", "hidden", "size"]),
    (nets.LeNet, {"num_classes": 2}, ["num_classes", "num_features"]),
    (nets.goodfellow_generator, {"shape": (2, 1)}, ["shape", "widths"]),
    (nets.GoodfellowDiscriminator, {}, ["widths", "num_pieces"]),
    (
        nets.ConditionalGenerator,
        {"shape": (2, 1), "num_classes": 2},
        ["shape", "num_classes", "widths"],
    ),
    (nets.ConditionalDiscriminator, {"num_classes": 2}, ["num_classes", "widths"]),
    (nets.ProjectionDiscriminator, {**FEATURES, "num_classes": 2}, ["num_classes"]),
    (nets.UNet, {"channels": 1}, ["channels", "width", "depth"]),
    (nets.PatchDiscriminator, {}, ["width"]),
    (nets.Unconditional, {"network": nets.PatchDiscriminator()}, []),
    (nets.ACGANDiscriminator, {**FEATURES, "num_classes": 2}, ["num_classes"]),
    (nets.LAPGANGenerator, {"channels": 1}, ["channels", "width", "num_classes"]),
    (nets.LAPGANDiscriminator, {}, ["width", "kernel_size", "num_classes"]),
    (nets.LAPGANBaseGenerator, {"shape": (2, 1)}, ["shape", "widths", "num_classes"]),
    (nets.LAPGANBaseDiscriminator, {}, ["widths", "num_classes"]),
    (nets.LocationScale, {}, ["dim"]),
    (
        nets.TextToImageGenerator,
        {"size": 8, "channels": 1},
        ["size", "channels", "width", "text_dim"],
    ),
    (nets.TextToImageDiscriminator, {}, ["width", "text_dim"]),
    (nets.ConditioningAugmentation, {"dim": 2}, ["dim"]),
    (
        nets.StageOneGenerator,
        {"size": 8, "channels": 1},
        ["size", "channels", "width", "text_dim"],
    ),
    (
        nets.StageTwoGenerator,
        {"stage_one": nets.StageOneGenerator(8, 1)},
        ["num_doublings", "width", "text_dim"],
    ),
    (nets.Text2Filter, {}, ["kernel_size"]),
    (nets.GistEncoder, {"dim": 2}, ["dim", "width"]),
    (nets.GistDecoder, {"size": 8, "channels": 1}, ["size", "channels", "width"]),
    (nets.GistGenerator, CLIPS, [*CLIPS, "width", "gist_dim", "text_dim", "kernel_size"]),
    (nets.TextToVideoDiscriminator, {}, ["width", "text_dim"]),
    (
        nets.Reading,
        {"network": nets.PatchDiscriminator(), "encoder": nets.TextEncoder(num_words=2)},
        [],
    ),
    (nets.ResidualGenerator, {"channels": 1}, ["channels", "width"]),
    (nets.TwoStreamGenerator, CLIPS, [*CLIPS, "width"]),
    (nets.OneStreamGenerator, CLIPS, [*CLIPS, "width"]),
    (nets.ConditionalTwoStreamGenerator, {"num_frames": 8}, ["num_frames", "width"]),
    (nets.VideoDiscriminator, {}, ["width"]),
    (nets.TFGANGenerator, CLIPS, [*CLIPS, "width", "dim"]),
    (nets.FilterCritic, {}, ["width"]),
    (nets.TextEncoder, {"num_words": 2}, ["num_words", "dim", "width", "word_dim"]),
    (nets.stylegan2_widths, {"size": 8}, ["base", "most"]),
    (
        nets.StyleGAN2Generator,
        {"size": 8, "channels": 1, "widths": (2, 2)},
        ["channels", "widths", "dim", "depth"],
    ),
    (nets.StyleGAN2Discriminator, {"widths": (2, 2)}, ["widths", "group"]),
    (nets.Augmented, {"network": nets.PatchDiscriminator(), "augment": jnp.add}, []),
    (nets.gansynth_widths, {"num": 2}, ["num", "base", "most"]),
    (nets.GANSynthGenerator, {"widths": (2, 2), "num_pitches": 3}, ["widths", "num_pitches"]),
    (
        nets.GANSynthDiscriminator,
        {"widths": (2, 2), "num_pitches": 3},
        ["widths", "num_pitches", "last_width"],
    ),
    (
        nets.GrowingGANSynthGenerator,
        {"widths": (2, 2), "num_pitches": 3},
        ["widths", "num_pitches", "num_levels"],
    ),
    (
        nets.GrowingGANSynthDiscriminator,
        {"widths": (2, 2), "num_pitches": 3},
        ["widths", "num_pitches", "last_width", "num_levels"],
    ),
    (nets.Maxout, {"features": 2, "num_pieces": 2}, ["features", "num_pieces"]),
    (nets.MinibatchDiscrimination, {}, ["num_kernels", "dim"]),
    (nets.Conv, {"features": 2, "kernel_size": (3, 3)}, ["features"]),
    (nets.ConvTranspose, {"features": 2, "kernel_size": (3, 3)}, ["features"]),
]


@pytest.mark.parametrize(("network", "given", "names"), SIZES)
def test_every_size_is_at_least_1(network, given, names):
    network(**given)
    for name in names:
        several = name in ("shape", "widths", "pools")
        said = rf"{name}\[1\] is 0" if several else f"{name} is 0"
        with pytest.raises(ValueError, match=f"{said}; it must be an integer, at least 1"):
            network(**given | {name: (2, 0) if several else 0})


def test_every_network_has_a_row():
    assert {network.__name__ for network, _, _ in SIZES} == set(nets.__all__)


@pytest.mark.parametrize(
    ("network", "bound"),
    [
        (nets.DCGANGenerator(8, 1, 2), SIGNED),
        (nets.UNet(1), SIGNED),
        (nets.ResidualGenerator(1, 2), SIGNED),
        (nets.TextToImageGenerator(8, 1), SIGNED),
        (nets.StageOneGenerator(8, 1), SIGNED),
        (nets.StageTwoGenerator(nets.StageOneGenerator(8, 1)), SIGNED),
        (nets.TwoStreamGenerator(**CLIPS), SIGNED),
        (nets.OneStreamGenerator(**CLIPS), SIGNED),
        (nets.ConditionalTwoStreamGenerator(8), SIGNED),
        (nets.TFGANGenerator(**CLIPS), SIGNED),
        (nets.GistDecoder(8, 1), SIGNED),
        (nets.GistGenerator(**CLIPS), SIGNED),
        (nets.StyleGAN2Generator(8, 1, (2, 2)), SIGNED),
        (nets.ConditionalGenerator((3,), 2), UNIT),
        (nets.goodfellow_generator((3,)), UNIT),
        (nets.MLPGenerator((3,), (), output=nn.tanh), SIGNED),
        (nets.LAPGANBaseGenerator((3,), (), output=nn.tanh), SIGNED),
        (nets.LAPGANBaseGenerator((3,), ()), None),
        (nets.MLPGenerator((3,), (), output=jnp.tanh), SIGNED),
        (nets.MLPGenerator((3,), (), output=nn.sigmoid), UNIT),
        (nets.MLPGenerator((3,), ()), None),
        (nets.MLPGenerator((3,), (), output=nn.relu), None),
    ],
)
def test_a_network_knows_the_range_of_what_it_makes(network, bound):
    assert network.output_bound is bound


def test_what_is_made_lies_in_the_range():
    latents = 1e3 * jax.random.normal(jax.random.key(0), (20, 4))
    for network in (nets.MLPGenerator((3,), (), output=f) for f in (nn.tanh, nn.sigmoid)):
        made, _ = network.init_with_output(jax.random.key(1), latents)
        assert network.output_bound.holds(made).all()
