"""CycleGAN's generator: the paper's layers, its borders, and the network written out by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.nets import ResidualGenerator
from gan_jax.nets.cyclegan import mirrored

KEY = jax.random.key(0)
quickly = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def images(*size, channels=3, num=1):
    return jax.ShapeDtypeStruct((num, *size, channels), jnp.float32)


def shapes(network, x):
    return jax.eval_shape(partial(network.init_with_output, KEY), x)


@pytest.mark.parametrize(
    ("num_blocks", "size", "num_weights"), [(9, 256, 11_378_179), (6, 128, 7_837_699)]
)
def test_the_papers_network_has_its_number_of_weights(num_blocks, size, num_weights):
    """The authors' layers have a bias each; these a gain and a bias in their normalisation."""
    made, variables = shapes(ResidualGenerator(3, num_blocks=num_blocks), images(size, size))
    assert (made.shape, made.dtype) == ((1, size, size, 3), jnp.float32)
    gains = 64 + 128 + 256 + 2 * num_blocks * 256 + 128 + 64
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == num_weights + gains
    kernels = {
        name: layer["kernel"].shape
        for name, layer in variables["params"].items()
        if "kernel" in layer
    }
    assert kernels.pop("Conv_0") == (7, 7, 3, 64)
    assert kernels.pop("Conv_1") == (3, 3, 64, 128)
    assert kernels.pop("Conv_2") == (3, 3, 128, 256)
    assert kernels.pop("ConvTranspose_0") == (3, 3, 256, 128)
    assert kernels.pop("ConvTranspose_1") == (3, 3, 128, 64)
    assert kernels.pop(f"Conv_{3 + 2 * num_blocks}") == (7, 7, 64, 3)
    assert set(kernels.values()) == {(3, 3, 256, 256)}
    assert len(kernels) == 2 * num_blocks


def by_hand(params, x):
    """One block, by NumPy's mirror and plain convolutions."""

    def normed(x, name):
        mean, var = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
        gain, bias = (params[name][leaf].reshape(1, 1, 1, -1) for leaf in ("scale", "bias"))
        return (x - mean) / np.sqrt(var + 1e-5) * gain + bias

    def conv(x, name, stride=1, pads=((0, 0), (0, 0)), **dilated):
        kernel = params[name]["kernel"]
        numbers = ("NHWC", "HWIO", "NHWC")
        arguments = {"dimension_numbers": numbers, **dilated}
        return np.asarray(lax.conv_general_dilated(x, kernel, (stride,) * 2, pads, **arguments))

    def mirror(x, margin):
        return np.pad(x, ((0, 0), (margin,) * 2, (margin,) * 2, (0, 0)), mode="reflect")

    relu = partial(np.maximum, 0)
    x = relu(normed(conv(mirror(x, 3), "Conv_0"), "InstanceNorm_0"))
    for i in (1, 2):
        x = relu(normed(conv(x, f"Conv_{i}", 2, ((1, 1), (1, 1))), f"InstanceNorm_{i}"))
    y = relu(normed(conv(mirror(x, 1), "Conv_3"), "InstanceNorm_3"))
    x = x + normed(conv(mirror(y, 1), "Conv_4"), "InstanceNorm_4")
    for i in (0, 1):
        x = conv(x, f"ConvTranspose_{i}", pads=((1, 2), (1, 2)), lhs_dilation=(2, 2))
        x = relu(normed(x, f"InstanceNorm_{5 + i}"))
    return np.tanh(conv(mirror(x, 3), "Conv_5") + params["Conv_5"]["bias"].reshape(1, 1, 1, -1))


def test_the_network_is_its_layers():
    network, x = ResidualGenerator(2, width=2, num_blocks=1), images(8, 12, num=2)
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        centre = 1.0 if path[-1].key == "scale" else 0.0
        return jnp.asarray(centre + rng.uniform(-0.4, 0.4, leaf.shape), leaf.dtype)

    variables = jax.tree_util.tree_map_with_path(draw, shapes(network, x)[1])
    x = rng.normal(size=x.shape).astype(np.float32)
    made = quickly(network.apply)(variables, x)
    np.testing.assert_allclose(made, by_hand(variables["params"], x), rtol=1e-4, atol=1e-5)
    assert np.std(made) > 0.1
    half = jax.eval_shape(network.clone(dtype=jnp.bfloat16).apply, variables, x)
    assert half.dtype == jnp.float32


def test_borders_are_mirrors_without_their_last_pixel():
    row = jnp.arange(4.0).reshape(1, 1, 4, 1)
    columns = mirrored(jnp.tile(row, (1, 4, 1, 1)), 1)[0, 0, :, 0]
    np.testing.assert_array_equal(columns, [1, 0, 1, 2, 3, 2])


@pytest.mark.parametrize(
    ("size", "near"), [((30, 28), "32x28"), ((28, 29), "28x28"), ((1, 4), "4x4")]
)
def test_sizes_that_it_cannot_halve_twice_are_named(size, near):
    words = rf"{size[0]}x{size[1]}: both sides must be multiples of 4; pad or .* such as to {near}"
    with pytest.raises(ValueError, match=words):
        shapes(ResidualGenerator(1, width=2), images(*size))


def test_blocks_are_counted_from_0():
    assert shapes(ResidualGenerator(1, 2, 0), images(4, 4))[0].shape == (1, 4, 4, 1)
    with pytest.raises(ValueError, match="num_blocks is -1; it must be an integer, at least 0"):
        ResidualGenerator(1, 2, -1)
