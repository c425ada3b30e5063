"""VGAN's networks: what a mask of 0 or 1 leaves, every layer in NumPy, the paper's sizes."""

from functools import cache
from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import (
    ConditionalTwoStreamGenerator,
    OneStreamGenerator,
    TwoStreamGenerator,
    VideoDiscriminator,
)
from tests.nets.test_stackgan import check_layers
from tests.nets.test_text_to_image import KEY, Layers, filled, kernels, leaky_relu, relu, shapes

RNG = np.random.default_rng(0)
LATENTS = RNG.normal(size=(3, 4)).astype(np.float32)
FRAMES = RNG.uniform(-1, 1, (3, 16, 16, 2)).astype(np.float32)
CLIPS = RNG.uniform(-1, 1, (3, 4, 16, 16, 2)).astype(np.float32)
TWO = TwoStreamGenerator(4, 16, 2, 3)
apply = jax.jit(TWO.apply)
HEAD = "ConvTranspose_1"
"""Of `TWO`, the last layer of what moves; the last of its channels is the mask."""


class ClipLayers(Layers):
    """A network's layers in NumPy, of any number of axes, in the order of their use."""

    def conv(self, x, *strides, kind="Conv"):
        """Divide sides by the strides, or multiply them, borders being padded alike."""
        layer = self.params[self.next(kind)]
        sizes = layer["kernel"].shape[:-2]
        pads = [((size - step) // 2,) * 2 for size, step in zip(sizes, strides, strict=True)]
        if kind == "ConvTranspose":
            spread = [side * step for side, step in zip(x.shape[1:-1], strides, strict=True)]
            holes = np.zeros((len(x), *spread, x.shape[-1]))
            holes[:, *(slice(None, None, step) for step in strides)] = x
            lows = [size - 1 - low for size, (low, _) in zip(sizes, pads, strict=True)]
            pads = [(low, size - 1 - low) for size, low in zip(sizes, lows, strict=True)]
            x, strides = holes, (1,) * len(strides)
        x = np.pad(x, [(0, 0), *pads, (0, 0)])
        axes = tuple(range(1, len(sizes) + 1))
        windows = np.lib.stride_tricks.sliding_window_view(x, sizes, axes)
        windows = windows[:, *(slice(None, None, step) for step in strides)]
        kernel = np.moveaxis(layer["kernel"], -2, 0)
        over = tuple(range(len(sizes) + 1, windows.ndim))
        found = np.tensordot(windows, kernel, (over, tuple(range(kernel.ndim - 1))))
        return found + layer.get("bias", 0)

    def up(self, x, *strides):
        return self.conv(x, *strides, kind="ConvTranspose")

    def norm(self, x, epsilon=1e-5):
        name = self.next("BatchNorm")
        layer, stats = self.params[name], self.stats[name]
        deviation = np.sqrt(stats["var"] + epsilon)
        return (x - stats["mean"]) / deviation * layer["scale"] + layer["bias"]


def streams(of, moving, still):
    """What both streams of two layers each make of their first maps."""
    moving = of.up(relu(of.norm(of.up(moving, 1, 2, 2))), 2, 2, 2)
    still = np.tanh(of.up(relu(of.norm(of.up(still, 2, 2))), 2, 2))
    mask = 1 / (1 + np.exp(-moving[..., -1:]))
    return mask * np.tanh(moving[..., :-1]) + (1 - mask) * still[:, None], mask, still


def two_by_hand(variables):
    of = ClipLayers(variables)
    moving = relu(of.norm(of.dense(LATENTS).reshape(3, 2, 4, 4, 6)))
    still = relu(of.norm(of.dense(LATENTS).reshape(3, 4, 4, 6)))
    return streams(of, moving, still)


@cache
def weights():
    """Of `TWO`, with numbers drawn for all of them."""
    return filled(TWO, LATENTS)[1]


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_two_streams_are_their_layers():
    clips, masks = apply(weights(), LATENTS)
    expected, mask, _ = two_by_hand(weights())
    close(clips, expected)
    close(masks, mask)
    assert np.ptp(mask) > 0.2


def with_mask(variables, logit):
    """The same weights, but for the mask's, whose logit is this one wherever it can be."""
    head = variables["params"][HEAD]
    bias = np.concatenate([head["bias"][:-1], np.float32([logit])])
    return {**variables, "params": {**variables["params"], HEAD: {**head, "bias": bias}}}


def alone(variables):
    """The weights of the one-stream generator inside of the two-stream one."""
    head = variables["params"][HEAD]
    names = {"Dense_0": "Dense_0", "BatchNorm_0": "BatchNorm_0", "BatchNorm_1": "BatchNorm_2"}
    names |= {"ConvTranspose_0": "ConvTranspose_0"}
    params = {own: variables["params"][name] for own, name in names.items()}
    params[HEAD] = {"kernel": head["kernel"][..., :-1], "bias": head["bias"][:-1]}
    stats = {own: variables["batch_stats"][names[own]] for own in ("BatchNorm_0", "BatchNorm_1")}
    return {"params": params, "batch_stats": stats}


def test_a_mask_of_0_leaves_the_background_and_one_of_1_the_foreground():
    variables = weights()
    still, nothing = apply(with_mask(variables, -200.0), LATENTS)
    np.testing.assert_array_equal(nothing, 0)
    np.testing.assert_array_equal(still, np.repeat(still[:, :1], 4, axis=1))
    close(still[:, 0], two_by_hand(variables)[2])
    moving, all_ = apply(with_mask(variables, 200.0), LATENTS)
    np.testing.assert_array_equal(all_, 1)
    one = jax.jit(OneStreamGenerator(4, 16, 2, 3).apply)(alone(variables), LATENTS)
    np.testing.assert_allclose(moving, one, atol=1e-6)
    assert np.abs(np.diff(one, axis=1)).max() > 0.1


def test_clips_lie_between_minus_one_and_one():
    clips, masks = apply(jax.tree.map(lambda leaf: 5 * leaf, weights()), LATENTS)
    assert -1 <= clips.min() < -0.9
    assert 0.9 < clips.max() <= 1
    assert 0 <= masks.min() < 0.1
    assert 0.9 < masks.max() <= 1


def test_what_continues_an_image_is_its_layers():
    (clips, masks), variables = filled(ConditionalTwoStreamGenerator(4, 3), FRAMES)
    of = ClipLayers(variables)
    still = relu(of.conv(FRAMES, 2, 2))
    still = relu(of.norm(of.conv(still, 2, 2), 1e-3))
    spread = of.params[of.next("ConvTranspose")]["kernel"][:, 0, 0]
    moving = np.stack([still @ spread[1], still @ spread[0]], axis=1)
    expected, mask, _ = streams(of, relu(of.norm(moving)), still)
    close(clips, expected)
    close(masks, mask)


def test_the_critic_is_its_layers():
    found, variables = filled(VideoDiscriminator(3), CLIPS)
    of = ClipLayers(variables)
    x = leaky_relu(of.conv(CLIPS, 2, 2, 2))
    x = leaky_relu(of.norm(of.conv(x, 1, 2, 2), 1e-3))
    assert x.shape == (3, 2, 4, 4, 6)
    np.testing.assert_allclose(found, of.dense(x.reshape(3, -1))[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("num_frames", "size", "first"),
    [
        (8, 16, 2),
        (16, 16, 4),
        (32, 16, 8),
        (8, 32, 2),
        (16, 32, 2),
        (32, 32, 4),
        (8, 64, 2),
        (16, 64, 2),
        (32, 64, 2),
        (6, 24, 3),
        (2, 16, 2),
    ],
)
def test_frames_are_doubled_from_2_or_as_often_as_sides(num_frames, size, first):
    generator = TwoStreamGenerator(num_frames, size, 3, 4)
    (clips, masks), variables = shapes(generator, jnp.zeros((5, 100)))
    assert clips.shape == (5, num_frames, size, size, 3)
    assert masks.shape == (5, num_frames, size, size, 1)
    widest, places = kernels(variables, "ConvTranspose")[0][-2], (size, size)
    while places[0] % 2 == 0 and places[0] >= 8:
        places = (places[0] // 2, places[1] // 2)
    num = np.prod(places) * widest
    assert kernels(variables, "Dense") == [(100, first * num), (100, num)]
    clips, _ = shapes(OneStreamGenerator(num_frames, size, 3, 4), jnp.zeros((5, 100)))
    assert clips.shape == (5, num_frames, size, size, 3)
    logits, variables = shapes(VideoDiscriminator(4), clips)
    assert logits.shape == (5,)
    assert kernels(variables, "Dense") == [(first * num, 1)]
    images = jax.ShapeDtypeStruct((5, size, size, 3), jnp.float32)
    continued, _ = shapes(ConditionalTwoStreamGenerator(num_frames, 4), images)
    assert [made.shape[:4] for made in continued] == [(5, num_frames, size, size)] * 2


def test_the_papers_networks_have_the_authors_sizes():
    _, variables = shapes(TwoStreamGenerator(32, 64, 3), jnp.zeros((1, 100)))
    assert kernels(variables, "Dense") == [(100, 2 * 4 * 4 * 512), (100, 4 * 4 * 512)]
    up = [512, 256, 128, 64]
    moving = [(4, 4, 4, *pair) for pair in pairwise([*up, 3 + 1])]
    still = [(4, 4, *pair) for pair in pairwise([*up, 3])]
    assert kernels(variables, "ConvTranspose") == [*moving, *still]
    _, variables = shapes(OneStreamGenerator(32, 64, 3), jnp.zeros((1, 100)))
    moving = [(4, 4, 4, *pair) for pair in pairwise([*up, 3])]
    assert kernels(variables, "ConvTranspose") == moving
    _, variables = shapes(ConditionalTwoStreamGenerator(32), jnp.zeros((1, 64, 64, 3)))
    down, up = [3, 128, 256, 512, 1024], [1024, 512, 256, 128]
    assert kernels(variables, "Conv") == [(4, 4, *pair) for pair in pairwise(down)]
    moving = [(4, 4, 4, *pair) for pair in pairwise([*up, 3 + 1])]
    still = [(4, 4, *pair) for pair in pairwise([*up, 3])]
    assert kernels(variables, "ConvTranspose") == [(2, 1, 1, 1024, 1024), *moving, *still]
    _, variables = shapes(VideoDiscriminator(), jnp.zeros((1, 32, 64, 64, 3)))
    down = [3, 64, 128, 256, 512]
    assert kernels(variables, "Conv") == [(4, 4, 4, *pair) for pair in pairwise(down)]
    assert kernels(variables, "Dense") == [(2 * 4 * 4 * 512, 1)]


PAIRS = [
    (TWO, LATENTS),
    (OneStreamGenerator(4, 16, 2, 3), LATENTS),
    (ConditionalTwoStreamGenerator(4, 3), FRAMES),
    (VideoDiscriminator(3), np.zeros((3, 4, 32, 32, 2), np.float32)),
]


@pytest.mark.parametrize(("network", "given"), PAIRS)
@pytest.mark.parametrize("train", [True, False])
def test_every_layer_knows_its_type_its_axis_and_how_it_starts(network, given, train):
    for layer in check_layers(network, given, train=train):
        gains = isinstance(layer, nn.BatchNorm)
        drawn = (layer.scale_init if gains else layer.kernel_init)(KEY, (40, 50))
        mean, deviation = (1, 0.02) if gains else (0, 0.01)  # the authors'
        np.testing.assert_allclose(drawn.mean(), mean, atol=4 * deviation / 2_000**0.5)
        np.testing.assert_allclose(drawn.std(), deviation, rtol=4 / 4_000**0.5)


@pytest.mark.parametrize(
    ("network", "given", "said"),
    [
        (TwoStreamGenerator(7, 16, 1), LATENTS, "no clips of 7 frames here: .*; give them 6, or 8"),
        (OneStreamGenerator(1, 16, 1), LATENTS, "no clips of 1 frames here: .* be even; give them"),
        (TwoStreamGenerator(8, 7, 1), LATENTS, "images of 7x7: both sides must be multiples of 2"),
        (ConditionalTwoStreamGenerator(3), FRAMES, "no clips of 3 frames here"),
        (ConditionalTwoStreamGenerator(4), FRAMES[:, 1:], "no images of 15x16: both sides must"),
        (VideoDiscriminator(), CLIPS[:, 1:], "no clips of 3 frames here"),
        (VideoDiscriminator(), CLIPS[:, :, 1:], "no images of 15x16: both sides must"),
    ],
)
def test_clips_that_cannot_be_halved_are_refused(network, given, said):
    with pytest.raises(ValueError, match=said) as refusal:
        shapes(network, given)
    assert "\n" not in str(refusal.value)
