"""The pair that makes images of a text, against NumPy, and in the sizes of the authors' code."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import TextToImageDiscriminator, TextToImageGenerator

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
LATENTS, TEXT = (RNG.normal(size=(3, num)).astype(np.float32) for num in (4, 5))
IMAGES = RNG.uniform(-1, 1, (3, 16, 16, 2)).astype(np.float32)


def shapes(network, *inputs):
    rngs = {"params": KEY, "noise": KEY}
    return jax.eval_shape(network.init_with_output, rngs, *inputs)


def filled(network, *inputs):
    """What it makes of the inputs, by numbers drawn for its variables; and these."""
    rng = np.random.default_rng(1)

    def drawn(path, leaf):
        if path[-1].key in ("var", "scale"):
            return np.float32(rng.uniform(0.5, 2, leaf.shape))
        fan_in = np.prod(leaf.shape[:-1]) if leaf.ndim > 1 else 20
        return np.float32(rng.normal(0, (2 / fan_in) ** 0.5, leaf.shape))

    variables = jax.tree_util.tree_map_with_path(drawn, shapes(network, *inputs)[1])
    found = jax.jit(network.apply)(variables, *inputs)
    made = jax.tree.leaves(found)[0]
    assert np.ptp(made, axis=0).max() > 0.1  # no ReLU has silenced what is to be compared
    return found, variables


class Layers:
    """A network's layers in NumPy, each kind in the order of its use, as they are asked."""

    def __init__(self, variables):
        variables = jax.tree.map(np.float64, variables)
        self.params, self.stats = variables["params"], variables.get("batch_stats", {})
        self.counts = {}

    def next(self, kind):
        self.counts[kind] = self.counts.get(kind, -1) + 1
        return f"{kind}_{self.counts[kind]}"

    def dense(self, x):
        layer = self.params[self.next("Dense")]
        return x @ layer["kernel"] + layer.get("bias", 0)

    def conv(self, x, stride=1, holes=1, kind="Conv"):
        """Padded so that sides are divided by the stride, or multiplied by the holes."""
        layer = self.params[self.next(kind)]
        kernel, size = layer["kernel"], len(layer["kernel"])
        spread = np.zeros((len(x), x.shape[1] * holes, x.shape[2] * holes, x.shape[3]))
        spread[:, ::holes, ::holes] = x
        low = (size - stride) // 2 if holes == 1 else size // 2
        high = size - stride - low
        padded = np.pad(spread, [(0, 0), (low, high), (low, high), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
        found = np.einsum("nhwcij,ijco->nhwo", windows[:, ::stride, ::stride], kernel)
        return found + layer.get("bias", 0)

    def norm(self, x):
        name = self.next("BatchNorm")
        layer, stats = self.params[name], self.stats[name]
        return (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * layer["scale"] + layer["bias"]

    def bottleneck(self, x, activation):
        name = self.next("Bottleneck")
        inner = Layers({"params": self.params[name], "batch_stats": self.stats[name]})
        y = activation(inner.norm(inner.conv(x)))
        y = activation(inner.norm(inner.conv(y)))
        return activation(x + inner.norm(inner.conv(y)))


def relu(x):
    return np.maximum(x, 0)


def leaky_relu(x):
    return np.maximum(x, 0.2 * x)


def beside(maps, vectors):
    tiled = np.tile(vectors[:, None, None], (1, *maps.shape[1:3], 1))
    return np.concatenate([maps, tiled], axis=-1)


def test_the_generator_is_its_layers():
    network = TextToImageGenerator(16, 2, 3, 2, 1)
    found, variables = filled(network, LATENTS, TEXT)
    of = Layers(variables)
    told = leaky_relu(of.dense(TEXT))
    x = of.dense(np.concatenate([LATENTS, told], axis=1)).reshape(3, 4, 4, 6)
    x = of.bottleneck(of.norm(x), relu)
    x = relu(of.norm(of.conv(x, holes=2, kind="ConvTranspose")))
    expected = np.tanh(of.conv(x, holes=2, kind="ConvTranspose"))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("num_residual", [0, 1])
def test_the_discriminator_is_its_layers(num_residual):
    network = TextToImageDiscriminator(3, 2, num_residual)
    found, variables = filled(network, IMAGES, TEXT)
    of = Layers(variables)
    x = leaky_relu(of.conv(IMAGES, 2))
    x = of.norm(of.conv(x, 2))
    x = of.bottleneck(x, leaky_relu) if num_residual else leaky_relu(x)
    x = beside(x, leaky_relu(of.dense(TEXT)))
    x = leaky_relu(of.norm(of.conv(x)))
    assert x.shape == (3, 4, 4, 6)
    np.testing.assert_allclose(found, of.dense(x.reshape(3, -1))[:, 0], rtol=1e-4, atol=1e-4)


def kernels(variables, kind):
    params, count = variables["params"], len(variables["params"])
    named = (params.get(f"{kind}_{i}") for i in range(count))
    return [layer["kernel"].shape for layer in named if layer is not None]


def test_the_generator_has_the_authors_sizes():
    made, variables = shapes(TextToImageGenerator(64, 3), jnp.zeros((2, 100)), jnp.zeros((2, 1024)))
    assert made.shape == (2, 64, 64, 3)
    assert kernels(variables, "Dense") == [(1024, 128), (228, 4 * 4 * 1024)]
    up = [(4, 4, *pair) for pair in pairwise([1024, 512, 256, 128, 3])]
    assert kernels(variables, "ConvTranspose") == up
    for i, width in ((0, 1024), (1, 512)):
        inner = {"params": variables["params"][f"Bottleneck_{i}"]}
        quarter = width // 4
        assert kernels(inner, "Conv") == [
            (1, 1, width, quarter),
            (3, 3, quarter, quarter),
            (3, 3, quarter, width),
        ]
    assert "Bottleneck_2" not in variables["params"]


@pytest.mark.parametrize("size", [64, 256])
def test_the_discriminator_has_the_authors_sizes(size):
    images = jnp.zeros((2, size, size, 3))
    logits, variables = shapes(TextToImageDiscriminator(), images, jnp.zeros((2, 1024)))
    assert logits.shape == (2,)
    more, here = ([], []) if size == 64 else ([1024, 2048], [2048, 1024, 512])
    down = [(4, 4, *pair) for pair in pairwise([3, 64, 128, 256, 512, *more])]
    here = [(1, 1, *pair) for pair in pairwise(here)]
    assert kernels(variables, "Conv") == [*down, *here, (1, 1, 512 + 128, 512)]
    assert kernels(variables, "Dense") == [(1024, 128), (4 * 4 * 512, 1)]
    assert "bias" in variables["params"]["Conv_0"]
    assert sum("BatchNorm" in name for name in variables["params"]) == len(down) + len(here)


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="images of 7x7: both sides must be multiples of 2"):
        shapes(TextToImageGenerator(7, 1, 1), LATENTS, TEXT)
    with pytest.raises(ValueError, match="num_residual is -1; it must be an integer, at least 0"):
        TextToImageGenerator(8, 1, num_residual=-1)
    with pytest.raises(ValueError, match="num_residual is -1; it must be an integer, at least 0"):
        TextToImageDiscriminator(num_residual=-1)
