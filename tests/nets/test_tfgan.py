"""TFGAN's generator: its recurrent path by hand, what stays and what moves, and its sizes."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import TFGANGenerator
from gan_jax.nets.tfgan import ResidualBlock

KEY = jax.random.key(0)
SMALL = TFGANGenerator(num_frames=3, size=4, channels=1, width=1, dim=2)
KEYS = jax.random.split(KEY, 4)
LATENTS = jax.random.normal(KEYS[0], (2, *SMALL.latent_shape))
CONTENT, MOTION = jax.random.normal(KEYS[1], (2, 3)), jax.random.normal(KEYS[2], (2, 4))


@pytest.fixture(scope="module")
def params():
    shapes = jax.eval_shape(SMALL.init, KEY, LATENTS, CONTENT, MOTION)["params"]
    draw = lambda leaf: np.random.default_rng(leaf.size).normal(0, 0.4, leaf.shape)  # noqa: E731
    return jax.tree.map(lambda leaf: jnp.float32(draw(leaf)), shapes)


@jax.jit
def made(params, latents, content=CONTENT, motion=MOTION):
    """The clips, and what the first dense layer reads."""
    read = []

    def watch(method, args, kwargs, context):
        if context.module.path == ("Dense_0",):
            read.append(args[0])
        return method(*args, **kwargs)

    with nn.intercept_methods(watch):
        clips = SMALL.apply({"params": params}, latents, content, motion)
    return clips, read[0]


def states_by_hand(cell, latents, motion):
    """The gated network in float64, frame by frame."""
    cell, sigmoid = jax.tree.map(np.float64, cell), lambda x: 1 / (1 + np.exp(-x))
    h, states = np.float64(latents[:, 1]), []
    for noise in np.float64(latents[:, 2:]).swapaxes(0, 1):
        x = np.concatenate([noise, np.float64(motion)], axis=-1)
        of_x = {name: x @ cell[f"i{name}"]["kernel"] + cell[f"i{name}"]["bias"] for name in "rzn"}
        of_h = {name: h @ cell[f"h{name}"]["kernel"] for name in "rzn"}
        r, z = (sigmoid(of_x[name] + of_h[name]) for name in "rz")
        h = (1 - z) * np.tanh(of_x["n"] + r * (of_h["n"] + cell["hn"]["bias"])) + z * h
        states.append(h)
    return np.stack(states, axis=1)


def test_a_frame_is_made_of_what_stays_and_of_a_recurrent_state(params):
    clips, read = made(params, LATENTS)
    states = states_by_hand(params["GRUCell_0"], LATENTS, MOTION)
    still = np.concatenate([LATENTS[:, 0], CONTENT], axis=-1)
    expected = np.concatenate([np.repeat(still[:, None], 3, axis=1), states], axis=-1)
    np.testing.assert_allclose(read, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(np.diff(clips, axis=1)).max(axis=(1, 2, 3, 4)).min() > 1e-3


def test_frames_are_equal_where_the_recurrent_path_stands_still(params):
    """An update gate that keeps h_{t-1} whole, whatever the noise and the motion say."""
    gate = {**params["GRUCell_0"]["iz"], "bias": jnp.full(2, 100.0)}
    still = params | {"GRUCell_0": params["GRUCell_0"] | {"iz": gate}}
    clips, _ = made(still, LATENTS)
    np.testing.assert_array_equal(clips, np.repeat(clips[:, :1], 3, axis=1))
    others = LATENTS.at[:, 2:].add(1.0)
    np.testing.assert_array_equal(made(still, others, CONTENT, -MOTION)[0], clips)
    for row in (0, 1):
        assert np.abs(made(still, LATENTS.at[:, row].add(1.0))[0] - clips).max() > 1e-3


def test_noise_moves_its_own_frame_and_what_follows(params):
    before, after = made(params, LATENTS)[0], made(params, LATENTS.at[:, 3].add(1.0))[0]
    moved = np.abs(after - before).max(axis=(0, 2, 3, 4))
    assert moved[0] == 0
    assert moved[1:].min() > 1e-4


def test_a_residual_block_is_its_layers():
    x = jax.random.normal(KEY, (2, 3, 4, 5, 2))
    found, variables = jax.jit(ResidualBlock(3, 3).init_with_output)(KEY, x)
    params = variables["params"]
    inner = nn.Conv(3, (3, 3, 3)).apply({"params": params["Conv_0"]}, jnp.where(x > 0, x, 0.2 * x))
    expected = x @ params["Dense_0"]["kernel"] + inner
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    same = jax.eval_shape(ResidualBlock(2, 2).init, KEY, x)["params"]
    assert jax.tree.map(jnp.shape, same) == {"Conv_0": {"bias": (2,), "kernel": (3, 3, 2, 2)}}


def shapes(network, dim=256):
    text = jax.ShapeDtypeStruct((2, dim), jnp.float32)
    latents = jax.ShapeDtypeStruct((2, *network.latent_shape), jnp.float32)
    return jax.eval_shape(partial(network.init_with_output, KEY), latents, text, text)


@pytest.mark.parametrize(
    ("frames", "size", "factors"),
    [
        (16, 64, (8, 4, 4, 4, 2, 1)),  # the authors'
        (8, 32, (8, 4, 4, 2, 1)),
        (8, 16, (8, 4, 2, 1)),
        (5, 24, (8, 4, 2, 1)),
    ],
)
def test_maps_are_doubled_from_the_smallest_to_the_clip(frames, size, factors):
    clips, variables = shapes(TFGANGenerator(frames, size, 3))
    assert clips.shape == (2, frames, size, size, 3)
    params = variables["params"]
    blocks = [params[f"ResidualBlock_{i}"]["Conv_0"]["kernel"].shape for i in range(len(factors))]
    assert blocks == [
        (3, 3, 32 * into, 32 * out) for into, out in zip((8, *factors[:-1]), factors, strict=True)
    ]
    smallest = size >> (len(factors) - 1)
    assert params["Dense_0"]["kernel"].shape == (768, smallest**2 * 256)
    assert f"ResidualBlock_{len(factors)}" not in params


def test_the_authors_generator_has_2_7_million_parameters():
    _, variables = shapes(TFGANGenerator(16, 64, 3))
    assert round(sum(leaf.size for leaf in jax.tree.leaves(variables)) / 1e6, 1) == 2.7


def test_every_layer_computes_in_bfloat16():
    dtypes = set()

    def watch(method, args, kwargs, context):
        output = method(*args, **kwargs)
        if context.module.path:
            dtypes.update(leaf.dtype for leaf in jax.tree.leaves(output))
        return output

    with nn.intercept_methods(watch):
        clips, _ = shapes(SMALL.clone(dtype=jnp.bfloat16), dim=3)
    assert dtypes == {jnp.dtype(jnp.bfloat16)}
    assert clips.dtype == jnp.float32


def test_what_makes_no_clip_is_refused():
    with pytest.raises(ValueError, match="size is 7; it must be even, for smaller maps"):
        TFGANGenerator(8, 7, 3)
    with pytest.raises(ValueError, match="frames is 0"):
        TFGANGenerator(0, 8, 3)
    words = r"Latents are of shape \(4, 2\); 3 frames with dim 2 need \(5, 2\): draw them by"
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(SMALL.init, KEY, LATENTS[:, 1:], CONTENT, MOTION)
