"""The DCGAN pair: shapes, the paper's initialisation, and the networks written out by hand."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.nets import DCGANDiscriminator, DCGANGenerator

KEY = jax.random.key(0)
LABELS = jnp.arange(8) % 3
LATENTS = jax.ShapeDtypeStruct((8, 10), jnp.float32)
# The programs run once, so the compiler need not optimise them.
quickly = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def images(size, channels=1, num=8):
    return jax.ShapeDtypeStruct((num, size, size, channels), jnp.float32)


def shapes(network, *inputs):
    return jax.eval_shape(partial(network.init_with_output, KEY), *inputs)


def filled(network, x, *labels):
    """Draw every variable near a fresh network's, so that none goes unseen, and an input."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        centre = 1.0 if path[-1].key in ("scale", "var") else 0.0
        return jnp.asarray(centre + rng.uniform(-0.4, 0.4, leaf.shape), leaf.dtype)

    variables = jax.tree_util.tree_map_with_path(draw, shapes(network, x, *labels)[1])
    return variables, jnp.asarray(rng.normal(0, 1, x.shape), x.dtype)


def leaves(tree, name):
    """The leaves called `name`, by the layer that has them."""
    return {layer: values[name] for layer, values in tree.items() if name in values}


@pytest.mark.parametrize(
    ("size", "channels", "num_layers"), [(8, 1, 1), (14, 3, 1), (28, 1, 2), (32, 3, 3), (64, 3, 4)]
)
def test_sizes_and_depths(size, channels, num_layers):
    made, variables = shapes(DCGANGenerator(size, channels, width=8), LATENTS)
    assert (made.shape, made.dtype) == ((8, size, size, channels), jnp.float32)
    base = size >> num_layers
    assert variables["params"]["Dense_0"]["kernel"].shape == (10, base**2 * 4 * 2**num_layers)
    layers = [name for name in variables["params"] if name.startswith("ConvTranspose_")]
    assert len(layers) == num_layers
    logits, variables = shapes(DCGANDiscriminator(width=8), images(size, channels))
    assert (logits.shape, logits.dtype) == ((8,), jnp.float32)
    assert len([name for name in variables["params"] if name.startswith("Conv_")]) == num_layers


def test_the_papers_networks_have_their_numbers_of_weights():
    def count(network, x):
        return sum(leaf.size for leaf in jax.tree.leaves(shapes(network, x)[1]["params"]))

    features = [1024, 512, 256, 128]
    kernels = 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    latents = jax.ShapeDtypeStruct((1, 100), jnp.float32)
    projection = 100 * 4 * 4 * 1024
    generator = projection + kernels + 2 * sum(features) + 3
    assert count(DCGANGenerator(64, 3, width=128), latents) == generator
    discriminator = kernels + 128 + 2 * (256 + 512 + 1024) + 4 * 4 * 1024 + 1
    assert count(DCGANDiscriminator(width=128), images(64, 3)) == discriminator


def test_depth_and_kernel_size_can_be_given():
    made, variables = shapes(DCGANGenerator(24, 1, width=4, depth=3, kernel_size=4), LATENTS)
    assert made.shape == (8, 24, 24, 1)
    kernels = {name: leaf.shape for name, leaf in leaves(variables["params"], "kernel").items()}
    assert kernels == {
        "Dense_0": (10, 3 * 3 * 16),
        "ConvTranspose_0": (4, 4, 16, 8),
        "ConvTranspose_1": (4, 4, 8, 4),
        "ConvTranspose_2": (4, 4, 4, 1),
    }
    logits, variables = shapes(DCGANDiscriminator(width=4, depth=3, kernel_size=4), images(24))
    assert logits.shape == (8,)
    kernels = {name: leaf.shape for name, leaf in leaves(variables["params"], "kernel").items()}
    assert kernels == {
        "Conv_0": (4, 4, 1, 4),
        "Conv_1": (4, 4, 4, 8),
        "Conv_2": (4, 4, 8, 16),
        "Dense_0": (3 * 3 * 16, 1),
    }


@pytest.mark.parametrize(
    ("size", "base"),
    [((48, 64), (6, 8)), ((96, 96), (6, 6)), ((4, 6), (2, 3)), ((30, 64), (15, 32))],
)
def test_both_sides_are_halved_as_often_as_neither_falls_below_4(size, base):
    made, variables = shapes(DCGANGenerator(size, 2, width=2), LATENTS)
    assert made.shape == (8, *size, 2)
    depth = len([name for name in variables["params"] if name.startswith("ConvTranspose_")])
    assert (size[0] >> depth, size[1] >> depth) == base
    pictures = jax.ShapeDtypeStruct((8, *size, 2), jnp.float32)
    logits, variables = shapes(DCGANDiscriminator(width=2), pictures)
    assert logits.shape == (8,)
    num = base[0] * base[1] * 2 ** (depth - 1) * 2
    assert variables["params"]["Dense_0"]["kernel"].shape == (num, 1)
    flat, variables = shapes(DCGANDiscriminator(width=2, head=False), pictures)
    assert flat.shape == (8, num)
    assert "Dense_0" not in variables["params"]


@pytest.mark.parametrize(
    ("size", "depth", "words"),
    [
        (7, None, "depth 1 has no images of 7x7: both sides must be multiples of 2"),
        ((31, 28), None, "images of 31x28: both sides .* of 2; resize them, such as to 32x28"),
        (28, 3, "depth 3 has no images of 28x28: both sides must be multiples of 8"),
        (1, None, "such as to 2x2"),
        (28, 0, "depth is 0; it must be at least 1"),
        (28, -1, "depth is -1; it must be at least 1"),
    ],
)
def test_sizes_that_it_cannot_halve_are_named(size, depth, words):
    with pytest.raises(ValueError, match=words):
        shapes(DCGANGenerator(size, 1, depth=depth), LATENTS)
    shape = (2, *((size, size) if isinstance(size, int) else size), 1)
    with pytest.raises(ValueError, match=words):
        shapes(DCGANDiscriminator(depth=depth), jax.ShapeDtypeStruct(shape, jnp.float32))


def test_a_size_is_one_number_or_two():
    with pytest.raises(ValueError, match=r"size is \(8, 8, 1\); it must be the side of squares"):
        DCGANGenerator((8, 8, 1), 1)
    with pytest.raises(ValueError, match=r"size\[1\] is 0; it must be an integer, at least 1"):
        DCGANGenerator((8, 0), 1)


@pytest.mark.parametrize("which", [0, 1])
def test_labels_go_with_num_classes(which):
    network, x = PAIR[which]
    with pytest.raises(ValueError, match="num_classes 3 is given no labels: give it both, or nei"):
        shapes(network.clone(num_classes=3), x)
    with pytest.raises(ValueError, match="num_classes None is given labels: give it both"):
        shapes(network, x, LABELS)


@pytest.mark.parametrize(
    ("network", "x"),
    [
        (DCGANGenerator(16, 3), jax.ShapeDtypeStruct((1, 100), jnp.float32)),
        (DCGANDiscriminator(), images(16, 3, num=1)),
    ],
)
def test_the_initialisation_is_the_papers(network, x):
    variables = quickly(network.init)(KEY, np.zeros(x.shape, x.dtype))
    for path, leaf in jax.tree.leaves_with_path(variables["params"]):
        name, values = path[-1].key, np.asarray(leaf, np.float64).ravel()
        mean = {"kernel": 0.0, "scale": 1.0, "bias": 0.0}[name]
        if name == "bias":
            np.testing.assert_array_equal(values, mean)
            continue
        assert abs(values.mean() - mean) < 4 * 0.02 / np.sqrt(values.size)
        assert abs(values.std() - 0.02) < 4 * 0.02 / np.sqrt(2 * values.size)
        # A truncated or uniform distribution of the same deviation has other fourth moments.
        kurtosis = np.mean((values - mean) ** 4) / 0.02**4
        assert abs(kurtosis - 3) < 4 * np.sqrt(96 / values.size)
    for layer in variables["batch_stats"].values():
        np.testing.assert_array_equal(layer["mean"], 0)
        np.testing.assert_array_equal(layer["var"], 1)


def test_batch_normalisation_stands_where_the_paper_has_it():
    """The layers that it follows have no bias of their own."""
    _, generator = shapes(DCGANGenerator(32, 3, width=8), LATENTS)
    _, discriminator = shapes(DCGANDiscriminator(width=8), images(32, 3))
    widths = [scale.shape for scale in leaves(generator["params"], "scale").values()]
    assert sorted(widths) == [(8,), (16,), (32,)]  # not the output of 3 channels
    assert not {"Dense_0", "ConvTranspose_0", "ConvTranspose_1"} & set(
        leaves(generator["params"], "bias")
    )
    assert "ConvTranspose_2" in leaves(generator["params"], "bias")
    widths = [scale.shape for scale in leaves(discriminator["params"], "scale").values()]
    assert sorted(widths) == [(16,), (32,)]  # not the first layer of 8
    assert not {"Conv_1", "Conv_2"} & set(leaves(discriminator["params"], "bias"))
    assert {"Conv_0", "Dense_0"} <= set(leaves(discriminator["params"], "bias"))


def by_hand(variables, train, labels):
    """Make the two networks of depth 2 from their equations, and what their statistics become.

    With labels each layer reads a plane of ones for the example's class, of zeros for others.
    """
    params, stats = variables["params"], variables["batch_stats"]
    following, layers = {}, []

    def norm(x, name):
        now = {"mean": x.mean((0, 1, 2)), "var": x.var((0, 1, 2))}
        following[name] = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, stats[name], now)
        used = now if train else stats[name]
        mean, var, scale, bias = (
            value.reshape(1, 1, 1, -1)
            for value in (used["mean"], used["var"], params[name]["scale"], params[name]["bias"])
        )
        return (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias

    def joined(x):
        if labels is None:
            return x
        planes = [jnp.full(x.shape[1:-1], 1.0 * (label == c)) for label in labels for c in range(3)]
        planes = jnp.stack(planes, axis=-1).reshape(*x.shape[1:-1], -1, 3)
        return jnp.concatenate([x, jnp.moveaxis(planes, -2, 0)], axis=-1)

    def biased(x, layer):
        return x + layer["bias"].reshape(1, 1, 1, -1)

    def up(x, layer):
        return lax.conv_transpose(joined(x), layer["kernel"], (2, 2), "SAME")

    def down(x, layer):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            joined(x), layer["kernel"], (2, 2), "SAME", dimension_numbers=numbers
        )

    def leaky(x):
        return jnp.where(x > 0, x, 0.2 * x)

    def generate(z):
        x = (joined(z) @ params["Dense_0"]["kernel"]).reshape(-1, 4, 4, 6)
        x = jnp.maximum(norm(x, "BatchNorm_0"), 0)
        x = jnp.maximum(norm(up(x, params["ConvTranspose_0"]), "BatchNorm_1"), 0)
        return jnp.tanh(biased(up(x, params["ConvTranspose_1"]), params["ConvTranspose_1"]))

    def discriminate(x):
        x = leaky(biased(down(x, params["Conv_0"]), params["Conv_0"]))
        layers.append(x)
        x = leaky(norm(down(x, params["Conv_1"]), "BatchNorm_0"))
        layers.append(x)
        last = params["Dense_0"]
        return (joined(x.reshape(x.shape[0], -1)) @ last["kernel"])[:, 0] + last["bias"]

    return generate, discriminate, following, layers


PAIR = [(DCGANGenerator(16, 2, width=3), LATENTS), (DCGANDiscriminator(width=3), images(16, 2))]


@pytest.mark.parametrize(("train", "labels"), [(True, []), (False, [LABELS])])
@pytest.mark.parametrize("which", [0, 1])
def test_the_networks_are_their_equations(which, train, labels):
    """In training with the batch's statistics, otherwise with the running ones."""
    network, x = PAIR[which]
    network = network.clone(num_classes=3 if labels else None)
    variables, x = filled(network, x, *labels)

    @quickly
    def by_network(variables, x):
        kept = ["batch_stats", "intermediates"]
        return network.apply(variables, x, *labels, train=train, mutable=kept)

    @quickly
    def by_equations(variables, x):
        *networks, following, layers = by_hand(variables, train, *labels or [None])
        return networks[which](x), following, layers

    output, state = by_network(variables, x)
    known, following, layers = by_equations(variables, x)
    np.testing.assert_allclose(output, known, rtol=1e-4, atol=1e-5)
    assert np.std(output) > 0.1
    sown = state.get("intermediates", {"layers": ()})["layers"]
    for given, layer in zip(sown, layers, strict=True):
        np.testing.assert_allclose(given, layer, rtol=1e-4, atol=1e-5)
    if train:
        for old, new in zip(*map(jax.tree.leaves, (following, state["batch_stats"])), strict=True):
            np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5)
    else:
        jax.tree.map(np.testing.assert_array_equal, state["batch_stats"], variables["batch_stats"])


def test_who_asks_for_layers_finds_the_network_as_it_is():
    network, x = PAIR[1]
    variables = shapes(network, x)[1]
    assert set(variables) == {"params", "batch_stats"}
    asked = partial(network.apply, mutable="intermediates")
    plain, watched = (jax.make_jaxpr(apply)(variables, x) for apply in (network.apply, asked))
    assert str(plain.eqns) == str(watched.eqns)
    assert len(watched.jaxpr.outvars) == len(plain.jaxpr.outvars) + 2


def test_images_lie_between_minus_one_and_one():
    variables, z = filled(*PAIR[0])
    variables = jax.tree.map(lambda leaf: 5 * leaf, variables)
    made = quickly(PAIR[0][0].apply)(variables, z)
    assert -1 <= made.min() < -0.9
    assert 0.9 < made.max() <= 1


@pytest.mark.parametrize("which", [0, 1])
def test_bfloat16_computes_between_float32_ends(which):
    exact, x = PAIR[which]
    network = exact.clone(dtype=jnp.bfloat16)
    variables = shapes(network, x)[1]
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    watched = partial(network.apply, capture_intermediates=True, mutable=["intermediates"])
    output, state = jax.eval_shape(watched, variables, x)
    assert output.dtype == jnp.float32
    layers = {name for name in state["intermediates"] if name not in ("__call__", "layers")}
    assert len(layers) == 5 - which
    assert all(state["intermediates"][name]["__call__"][0].dtype == jnp.bfloat16 for name in layers)
    variables, x = filled(exact, x)
    output, known = quickly(network.apply)(variables, x), quickly(exact.apply)(variables, x)
    np.testing.assert_allclose(output, known, atol=0.05 * np.abs(known).max())
    if which == 0:  # tanh itself is not rounded to the 8 bits of bfloat16
        assert re.search(r"f32\[[\d,]+\] = tanh", str(jax.make_jaxpr(network.apply)(variables, x)))


@pytest.mark.parametrize("which", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_the_axis_name_makes_batch_statistics_global(which):
    network, x = PAIR[which]
    variables, x = filled(network, x)

    def on_devices(network):
        mapped = jax.pmap(
            lambda x: network.apply(variables, x, train=True, mutable=["batch_stats"]),
            axis_name="data",
            devices=jax.devices()[:2],
        )
        output, state = mapped(x.reshape(2, -1, *x.shape[1:]))
        return output.reshape(-1, *output.shape[2:]), jax.tree.map(lambda leaf: leaf[1], state)

    whole = quickly(partial(network.apply, train=True, mutable=["batch_stats"]))(variables, x)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5),
        on_devices(network.clone(axis_name="data")),
        whole,
    )
    assert not np.allclose(on_devices(network)[0], whole[0], atol=1e-3)


def test_a_plain_generator_has_biases_in_place_of_batch_normalisation_and_one_width():
    """As in figure 6 of WGAN's paper."""
    network = DCGANGenerator(16, 2, width=3, batch_norm=False, doubling=False)
    variables = shapes(network, LATENTS)[1]
    assert set(variables) == {"params"}
    params = variables["params"]
    assert params["Dense_0"]["bias"].shape == (3 * 4 * 4,)
    assert [params[f"ConvTranspose_{i}"]["kernel"].shape[2:] for i in range(2)] == [(3, 3), (3, 2)]
    assert params["ConvTranspose_0"]["bias"].shape == (3,)


def test_a_discriminator_without_batch_norm_judges_each_image_by_itself():
    network = DCGANDiscriminator(4, batch_norm=False)
    variables, x = filled(network, images(16, num=3))
    assert set(variables) == {"params"}
    assert all("bias" in variables["params"][f"Conv_{i}"] for i in range(2))
    judge = quickly(partial(network.apply, train=True))
    np.testing.assert_allclose(judge(variables, x[:1]), judge(variables, x)[:1], rtol=1e-5)
