"""The small convolutional encoder and decoder."""

from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import ConvDecoder, ConvEncoder

KEY = jax.random.key(0)


@pytest.mark.parametrize(("depth", "size"), [(1, (6, 4)), (2, (28, 28)), (3, (16, 8))])
def test_channels_double_and_images_halve_on_the_way_down_and_back(depth, size):
    down, up = ConvEncoder(5, width=3, depth=depth), ConvDecoder((*size, 2), width=3, depth=depth)
    x = jnp.zeros((1, *size, 2))
    shapes = jax.tree.map(lambda a: a.shape, jax.eval_shape(down.init, KEY, x)["params"])
    channels = [2, *(3 << i for i in range(depth))]
    kernels = [shapes[f"Conv_{i}"]["kernel"] for i in range(depth)]
    assert kernels == [(5, 5, a, b) for a, b in pairwise(channels)]
    features = (size[0] >> depth) * (size[1] >> depth) * channels[-1]
    assert shapes["Dense_0"]["kernel"] == (features, 5)
    latents = jnp.zeros((4, 7))
    variables = jax.eval_shape(up.init, KEY, latents)
    shapes = jax.tree.map(lambda a: a.shape, variables["params"])
    assert shapes["Dense_0"]["kernel"] == (7, features)
    kernels = [shapes[f"ConvTranspose_{i}"]["kernel"] for i in range(depth)]
    back = [*channels[:0:-1], 2]
    assert kernels == [(5, 5, a, b) for a, b in pairwise(back)]
    assert jax.eval_shape(up.apply, variables, latents).shape == (4, *size, 2)


class Down(nn.Module):
    @nn.compact
    def __call__(self, x):
        for width in (3, 6):
            x = nn.relu(nn.Conv(width, (5, 5), strides=(2, 2))(x))
        return nn.Dense(5)(x.reshape(len(x), -1))


class Up(nn.Module):
    @nn.compact
    def __call__(self, z):
        x = nn.relu(nn.Dense(2 * 3 * 6)(z)).reshape(-1, 2, 3, 6)
        x = nn.relu(nn.ConvTranspose(3, (5, 5), strides=(2, 2))(x))
        return nn.ConvTranspose(2, (5, 5), strides=(2, 2))(x)


@pytest.mark.parametrize(
    ("ours", "written_out", "shape"),
    [(ConvEncoder(5, width=3), Down(), (8, 12, 2)), (ConvDecoder((8, 12, 2), 3), Up(), (7,))],
)
def test_all_layers_but_the_last_are_followed_by_a_relu(ours, written_out, shape):
    x = jax.random.normal(KEY, (4, *shape))
    made, variables = jax.jit(ours.init_with_output)(KEY, x)
    np.testing.assert_allclose(made, jax.jit(written_out.apply)(variables, x), atol=1e-5)


@pytest.mark.slow
def test_computing_in_bfloat16_ends_in_float32():
    down, up = (
        ConvEncoder(4, width=2, dtype=jnp.bfloat16),
        ConvDecoder((8, 8, 1), 2, dtype=jnp.bfloat16),
    )
    x = jax.random.uniform(KEY, (2, 8, 8, 1))
    numbers, variables = down.init_with_output(KEY, x)
    assert numbers.dtype == jnp.float32
    exact = jax.jit(ConvEncoder(4, width=2).apply)(variables, x)
    np.testing.assert_allclose(numbers, exact, atol=0.05)
    images, _ = up.init_with_output(KEY, numbers)
    assert (images.shape, images.dtype) == ((2, 8, 8, 1), jnp.float32)


def test_images_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="depth is 0; it must be an integer, at least 1"):
        ConvDecoder((8, 8, 1), depth=0)
    with pytest.raises(ValueError, match="depth is 0; it must be an integer, at least 1"):
        ConvEncoder(2, depth=0)
    with pytest.raises(
        ValueError, match="depth 2 has no images of 10x8: both must be multiples of 4"
    ):
        ConvDecoder((10, 8, 1)).init(KEY, jnp.zeros((1, 2)))
