"""The gist's networks: the text's filter against NumPy, every layer, and what sampling reads."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import (
    GistDecoder,
    GistEncoder,
    GistGenerator,
    Text2Filter,
    TextToVideoDiscriminator,
)
from tests.nets.test_stackgan import check_layers
from tests.nets.test_text_to_image import KEY, TEXT, filled, leaky_relu, relu, shapes
from tests.nets.test_vgan import CLIPS, FRAMES, ClipLayers, streams

RNG = np.random.default_rng(0)
LATENTS = RNG.normal(size=(3, 4)).astype(np.float32)
SMALL = GistGenerator(4, 16, 2, 3, gist_dim=3, text_dim=2, kernel_size=3)
FILTER = Text2Filter(3)
CRITIC = TextToVideoDiscriminator(3, 2)
apply = jax.jit(SMALL.apply)


@cache
def weights():
    """Of `SMALL`, with numbers drawn for all of them."""
    return filled(SMALL, LATENTS, TEXT)[1]


def without_encoder():
    params = {name: kept for name, kept in weights()["params"].items() if name != "encoder"}
    assert len(params) == len(weights()["params"]) - 1
    return {**weights(), "params": params}


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5)


def with_kernel(kernel):
    """The weights of `FILTER` by which every text means this kernel."""
    dense = {"kernel": jnp.zeros((5, kernel.size)), "bias": jnp.ravel(kernel)}
    return {"params": {"Dense_0": dense}}


@pytest.mark.parametrize("shift", [(0, 0), (1, -1)])
def test_a_filter_that_is_a_delta_leaves_the_gist_and_one_elsewhere_moves_it(shift):
    delta = np.zeros((3, 3, 2, 2), np.float32)
    delta[1 + shift[0], 1 + shift[1]] = np.eye(2)
    found = jax.jit(FILTER.apply)(with_kernel(delta), FRAMES[:, :12], TEXT)
    moved = np.zeros_like(FRAMES[:, :12])
    rows, columns = shift
    moved[:, : 12 - rows, -columns:] = FRAMES[:, rows:12, : 16 + columns]
    np.testing.assert_array_equal(found, moved)


def test_a_filter_starts_as_the_identity_that_a_text_moves_by_little():
    start = jax.jit(FILTER.init_with_output)
    found, variables = start(KEY, FRAMES, np.zeros_like(TEXT))
    np.testing.assert_array_equal(found, FRAMES)
    drawn = variables["params"]["Dense_0"]["kernel"]
    np.testing.assert_allclose(drawn.std(), 0.01, rtol=4 / (2 * drawn.size) ** 0.5)


def test_each_gist_is_correlated_with_the_kernel_of_its_own_text():
    found, variables = filled(FILTER, FRAMES, TEXT)
    kernels = ClipLayers(variables).dense(TEXT).reshape(3, 3, 3, 2, 2)
    close(found, filtered(FRAMES, kernels))


def filtered(images, kernels):
    """Σ over rows, columns and channels of a window, in zeros as far as it stands out."""
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,nijcd->nhwd", windows, kernels)


def part(name, network, *inputs):
    """What one of the generator's networks makes, by its share of the weights."""
    params = weights()["params"][name]
    return np.asarray(jax.jit(network.apply)({"params": params}, *inputs))


def clips_by_hand(latents):
    """The clips, masks and gist of a z_g and a noise."""
    of = ClipLayers(weights())
    told = leaky_relu(of.dense(TEXT)).astype(np.float32)
    gist = part("decoder", GistDecoder(16, 2, 3), latents[:, :3], told)
    to_filter = ClipLayers({"params": weights()["params"]["text_to_filter"]})
    other = filtered(gist, to_filter.dense(told).reshape(3, 3, 3, 2, 2))
    both = relu(of.conv(np.concatenate([gist, other]), 2, 2))
    still, moving = np.split(relu(of.norm(of.conv(both, 2, 2), 1e-3)), 2)
    noise = np.tile(latents[:, None, None, 3:], (1, 4, 4, 1))
    kernel = of.params[of.next("ConvTranspose")]["kernel"][:, 0, 0]
    seeds = np.concatenate([moving, noise], axis=-1)
    spread = np.stack([seeds @ kernel[1], seeds @ kernel[0]], axis=1)
    return *streams(of, relu(of.norm(spread)), still)[:2], gist, told


def test_without_a_frame_the_generator_is_its_layers_and_reads_no_encoder():
    clips, gist = apply(without_encoder(), LATENTS, TEXT)
    expected, masks, image, _ = clips_by_hand(LATENTS)
    close(clips, expected)
    close(gist.masks, masks)
    close(gist.image, image)
    assert gist.posterior is None
    assert np.ptp(masks) > 0.1


def test_with_a_frame_the_latents_are_the_noise_of_its_posterior():
    clips, gist = apply(weights(), LATENTS, TEXT, FRAMES)
    *_, told = clips_by_hand(LATENTS)
    mean, log_variance = part("encoder", GistEncoder(3, 3), FRAMES, told)
    close(gist.posterior, np.stack([mean, log_variance]))
    z_g = mean + np.exp(log_variance / 2) * LATENTS[:, :3]
    expected, masks, image, _ = clips_by_hand(np.concatenate([z_g, LATENTS[:, 3:]], axis=1))
    close(clips, expected)
    close(gist.masks, masks)
    close(gist.image, image)


def test_the_posterior_hears_the_frame_and_the_text():
    encoder = GistEncoder(3, 2)
    (mean, log_variance), variables = filled(encoder, FRAMES, TEXT)
    assert mean.shape == log_variance.shape == (3, 3)
    found = jax.jit(encoder.apply)
    for changed in (found(variables, FRAMES[::-1], TEXT), found(variables, FRAMES, TEXT[::-1])):
        assert not np.isclose(changed[0][0], mean[0]).any()
        assert not np.isclose(changed[1][0], log_variance[0]).any()


def test_gists_and_clips_lie_between_minus_one_and_one():
    clips, gist = apply(jax.tree.map(lambda leaf: 5 * leaf, without_encoder()), LATENTS, TEXT)
    for made in (clips, gist.image):
        assert -1 <= made.min() < -0.9
        assert 0.9 < made.max() <= 1
    assert 0 <= gist.masks.min() < 0.1
    assert 0.9 < gist.masks.max() <= 1


def test_the_critic_is_its_layers():
    found, variables = filled(CRITIC, CLIPS, TEXT)
    of = ClipLayers(variables)
    x = leaky_relu(of.conv(CLIPS, 2, 2, 2))
    x = leaky_relu(of.norm(of.conv(x, 1, 2, 2), 1e-3))
    told = np.tile(leaky_relu(of.dense(TEXT))[:, None, None, None], (1, 2, 4, 4, 1))
    x = leaky_relu(of.norm(of.conv(np.concatenate([x, told], axis=-1), 1, 1, 1), 1e-3))
    assert x.shape == (3, 2, 4, 4, 6)
    np.testing.assert_allclose(found, of.dense(x.reshape(3, -1))[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("num_frames", "size"), [(8, 32), (32, 64)])
def test_every_length_and_size_is_made_and_judged(num_frames, size):
    generator = GistGenerator(num_frames, size, 3, 4, gist_dim=10)
    latents = jax.ShapeDtypeStruct((5, 16), jnp.float32)
    (clips, gist), variables = shapes(generator, latents, TEXT[[0, 1, 2, 0, 1]])
    assert clips.shape == (5, num_frames, size, size, 3)
    assert gist.image.shape == (5, size, size, 3)
    assert gist.masks.shape == (5, num_frames, size, size, 1)
    assert {"encoder", "decoder", "text_to_filter"} <= set(variables["params"])
    logits, _ = shapes(TextToVideoDiscriminator(4), clips, TEXT[[0, 1, 2, 0, 1]])
    assert logits.shape == (5,)


@pytest.mark.parametrize(("network", "given"), [(SMALL, (LATENTS, TEXT)), (CRITIC, (CLIPS, TEXT))])
@pytest.mark.parametrize("train", [True, False])
def test_every_layer_knows_its_type_and_its_axis_and_those_of_vgan_how_they_start(
    network, given, train
):
    for layer in check_layers(network, *given, train=train):
        if "encoder" in layer.path or "decoder" in layer.path or layer.name == "Dense_0":
            continue  # of the CVAE, and the text's: Flax's
        gains = isinstance(layer, nn.BatchNorm)
        drawn = (layer.scale_init if gains else layer.kernel_init)(KEY, (40, 50))
        np.testing.assert_allclose(drawn.std(), 0.02 if gains else 0.01, rtol=4 / 4_000**0.5)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Text2Filter(4), "kernel_size is 4; a kernel .* must be odd, such as 5"),
        (lambda: GistGenerator(8, 8, 1, kernel_size=2), "kernel_size is 2; .* it must be odd"),
        (lambda: shapes(SMALL, LATENTS[:, :2], TEXT), "There are 2 latents, and the gist takes 3"),
        (lambda: shapes(GistGenerator(7, 8, 1, gist_dim=1), LATENTS, TEXT), "no clips of 7 frames"),
        (lambda: shapes(CRITIC, CLIPS[:, 1:], TEXT), "no clips of 3 frames here"),
        (lambda: shapes(CRITIC, CLIPS[:, :, 1:], TEXT), "no images of 15x16: both sides must"),
    ],
)
def test_what_makes_no_gist_is_refused(build, said):
    with pytest.raises(ValueError, match=said) as refusal:
        build()
    assert "\n" not in str(refusal.value)
