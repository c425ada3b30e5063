"""LeNet against its layers written out, and the images and clips that it takes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import LeNet

KEY = jax.random.key(0)


def convolved(x, layer):
    """By a sum over the kernel's places: at every other pixel, with as few zeros as reach all."""
    kernel, borders, lengths = layer["kernel"], [], [-(-length // 2) for length in x.shape[1:-1]]
    for size, half, length in zip(kernel.shape, lengths, x.shape[1:-1], strict=False):
        missing = 2 * (half - 1) + size - length
        borders.append((missing // 2, missing - missing // 2))
    padded = np.pad(x, ((0, 0), *borders, (0, 0)))
    y = layer["bias"]
    for place in np.ndindex(kernel.shape[:-2]):
        every_other = [
            slice(i, i + 2 * half - 1, 2) for i, half in zip(place, lengths, strict=True)
        ]
        y = y + padded[:, *every_other] @ kernel[place]
    return y


@pytest.mark.parametrize(("frames", "kernel"), [((), (5, 5)), ((6,), (3, 5, 5))])
def test_it_is_its_layers(frames, kernel):
    network = LeNet(3, num_features=6)
    x = jax.random.normal(KEY, (2, *frames, 9, 11, 2))
    draw = lambda leaf: np.random.default_rng(leaf.size).normal(0, 0.3, leaf.shape)  # noqa: E731
    params = jax.tree.map(draw, jax.eval_shape(network.init, KEY, x)["params"])
    hidden = np.asarray(x)
    for name in ("Conv_0", "Conv_1"):
        assert params[name]["kernel"].shape[:-2] == kernel
        hidden = np.maximum(convolved(hidden, params[name]), 0)
    first, last = params["Dense_0"], params["Dense_1"]
    features = np.maximum(hidden.reshape(2, -1) @ first["kernel"] + first["bias"], 0)
    logits = features @ last["kernel"] + last["bias"]
    found = jax.jit(network.apply)({"params": jax.tree.map(jnp.float32, params)}, x)
    for network_has, known in zip(found, (logits, features), strict=True):
        np.testing.assert_allclose(network_has, known, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("height", "width", "channels"), [(28, 28, 1), (8, 8, 3), (9, 30, 4)])
def test_it_takes_images_of_any_size_from_8_on(height, width, channels):
    x = jax.ShapeDtypeStruct((5, height, width, channels), jnp.float32)
    (logits, features), variables = jax.eval_shape(partial(LeNet(7).init_with_output, KEY), x)
    assert (logits.shape, features.shape) == ((5, 7), (5, 84))
    count = sum(leaf.size for leaf in jax.tree.leaves(variables))
    convolutions = 25 * (channels * 16 + 16 * 32) + 16 + 32
    dense = -(-height // 4) * -(-width // 4) * 32 * 84 + 84 + 84 * 7 + 7
    assert count == convolutions + dense


@pytest.mark.parametrize("frames", [(), (4,)])
def test_images_that_are_too_small_are_refused(frames):
    x = jax.ShapeDtypeStruct((5, *frames, 28, 7, 1), jnp.float32)
    with pytest.raises(ValueError, match="images are 28x7; LeNet takes them from 8x8 on"):
        jax.eval_shape(partial(LeNet(7).init, KEY), x)
