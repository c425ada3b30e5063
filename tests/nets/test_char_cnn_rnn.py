"""The char-CNN-RNN and its encoder of images, against their layers written out; what they take."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import CharCNNRNN, Conv, ImageEncoder
from gan_jax.signals import resize

KEY = jax.random.key(0)
SMALL = {"widths": (3, 5, 4), "pools": (3, 2, 1), "kernel_size": 2, "num_characters": 6}
OF_GANS = {"widths": (384, 512, 512), "pools": (3, 3, 1), "hidden": 512, "cell": "gru"}


def watched(network, length):
    """What each convolution and the recurrent network read and make, and the embedding."""
    seen = {}

    def watch(call, args, kwargs, context):
        made = call(*args, **kwargs)
        if context.method_name == "__call__" and isinstance(context.module, Conv | nn.RNN):
            seen[context.module.path] = args[0], made[1] if isinstance(made, tuple) else made
        return made

    tokens = jax.ShapeDtypeStruct((2, length), jnp.int32)
    with nn.intercept_methods(watch):
        made, _ = jax.eval_shape(partial(network.init_with_output, KEY), tokens)
    assert (made.shape, made.dtype) == ((2, network.num_outputs), jnp.float32)
    return [x for pair in seen.values() for x in pair]


def places(network, length):
    """How many characters there are, then places, up to those that the recurrent net reads."""
    return [x.shape[1] for x in watched(network, length)[:-1]]


@pytest.mark.parametrize(("given", "last", "shortest"), [({}, 8, 66), (OF_GANS, 18, 48)])
def test_a_sentence_becomes_as_many_places_as_the_authors_say(given, last, shortest):
    network = CharCNNRNN(**given)
    assert places(network, 201) == [201, 198, 66, 63, 21, 18, last]
    assert network.shortest == shortest
    assert places(network, shortest)[-1] == 1
    words = f"sentences have {shortest - 1} characters; .* they need {shortest}: pad them"
    with pytest.raises(ValueError, match=words):
        places(network, shortest - 1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain(p, x, h):
    return np.maximum(x @ p["i"]["kernel"] + p["i"]["bias"] + h @ p["h"]["kernel"], 0)


def gated(p, x, h):
    of_x = {name: x @ p[f"i{name}"]["kernel"] + p[f"i{name}"]["bias"] for name in "rzn"}
    of_h = {name: h @ p[f"h{name}"]["kernel"] for name in "rzn"}
    r, z = (sigmoid(of_x[name] + of_h[name]) for name in "rz")
    return (1 - z) * np.tanh(of_x["n"] + r * (of_h["n"] + p["hn"]["bias"])) + z * h


def by_hand(params, tokens, step):
    """In float64: rows of an identity, sums over the kernel's places, the largest of windows."""
    x = np.concatenate([np.zeros((1, 6)), np.eye(6)])[tokens]
    for name, pool in zip(("Conv_0", "Conv_1", "Conv_2"), SMALL["pools"], strict=True):
        kernel, length = params[name]["kernel"], x.shape[1]
        x = sum(x[:, i : length - 1 + i] @ kernel[i] for i in range(2)) + params[name]["bias"]
        x = np.maximum(x, 0)
        if pool > 1:
            starts = range(0, x.shape[1] - 2, pool)
            x = np.stack([x[:, start : start + 3].max(axis=1) for start in starts], axis=1)
    assert x.shape[1] == 3
    states = [np.zeros((len(x), 5))]
    for t in range(x.shape[1]):
        states.append(step(params["cell"], x[:, t], states[-1]))
    mean = np.mean(states[1:], axis=0)
    return mean @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]


@pytest.mark.parametrize(("cell", "step", "name"), [("rnn", plain, "S"), ("gru", gated, "G")])
def test_it_is_its_layers(cell, step, name):
    network = CharCNNRNN(4, **SMALL, hidden=5, cell=cell)
    tokens = np.random.default_rng(1).integers(0, 7, (3, 31))
    tokens[0, 20:] = 0
    shapes = jax.eval_shape(network.init, KEY, jnp.asarray(tokens))["params"]
    draw = lambda leaf: np.random.default_rng(leaf.size).normal(0, 0.5, leaf.shape)  # noqa: E731
    params = jax.tree.map(draw, shapes)
    (of_cell,) = (params[key] for key in params if key.startswith(name))
    variables = {"params": jax.tree.map(jnp.float32, params)}
    found = jax.jit(network.apply)(variables, jnp.asarray(tokens))
    expected = by_hand(params | {"cell": of_cell}, tokens, step)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_weights_are_drawn_as_the_authors_draw_them():
    """U[-0.08, 0.08) has the deviation 0.08/√3, biases too; and no number is none."""
    network = CharCNNRNN(40, **SMALL, hidden=40)
    tokens = jnp.arange(31).reshape(1, 31) % 7
    params = jax.jit(network.init)(KEY, tokens)
    embed = jax.jit(network.apply)
    drawn = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)])
    assert drawn.size > 3_000
    assert 0.079 < np.abs(drawn).max() <= 0.08
    np.testing.assert_allclose(drawn.std(), 0.08 / 3**0.5, rtol=4 / (2 * drawn.size) ** 0.5)
    assert all(np.abs(leaf).min() > 0 for leaf in jax.tree.leaves(params))
    for token, fine in ((6, True), (7, False), (-1, False)):
        found = embed(params, tokens.at[0, 3].set(token))
        assert np.isfinite(found).all() == np.isfinite(found).any() == fine


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_all_kernels_and_no_biases_may_start_from_others(cell):
    asked = set()

    def kernel_init(key, shape, dtype):
        asked.add(shape)
        return jnp.zeros(shape, dtype)

    network = CharCNNRNN(4, **SMALL, hidden=5, cell=cell, kernel_init=kernel_init)
    params = jax.eval_shape(network.init, KEY, jnp.zeros((1, 31), int))["params"]
    leaves = jax.tree_util.tree_leaves_with_path(params)
    assert asked == {leaf.shape for path, leaf in leaves if path[-1].key == "kernel"}
    assert (5, 5) in asked


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_it_computes_in_bfloat16(cell):
    network = CharCNNRNN(4, **SMALL, hidden=5, cell=cell, dtype=jnp.bfloat16)
    assert {x.dtype for x in watched(network, 31)} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pools": (3, 3)}, "There are 3 widths and 2 pools; give each convolution its pool"),
        ({"cell": "lstm"}, "cell is 'lstm'; it must be one of 'rnn', 'gru'"),
    ],
)
def test_what_is_no_such_network_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        CharCNNRNN(**given)


def halved(x, layer):
    """A convolution of stride 2, by a sum over the kernel's places, zeros around the image."""
    sides = [-(-side // 2) for side in x.shape[1:3]]
    around = [2 * half + 3 - side for half, side in zip(sides, x.shape[1:3], strict=True)]
    pads = [(total // 2, total - total // 2) for total in around]
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    return layer["bias"] + sum(
        x[:, i : i + 2 * sides[0] : 2, j : j + 2 * sides[1] : 2][:, : sides[0], : sides[1]]
        @ layer["kernel"][i, j]
        for i in range(5)
        for j in range(5)
    )


def test_an_image_encoder_is_its_layers():
    network = ImageEncoder(6, width=2, hidden=7)
    x = jax.random.normal(KEY, (3, 13, 10, 2))  # 7 x 5, then 4 x 3 of which 1 column is the left
    draw = lambda leaf: np.random.default_rng(leaf.size).normal(0, 0.3, leaf.shape)  # noqa: E731
    params = jax.tree.map(draw, jax.eval_shape(network.init, KEY, x)["params"])
    assert params["Conv_1"]["kernel"].shape == (5, 5, 2, 4)
    maps = np.asarray(x)
    for name in ("Conv_0", "Conv_1"):
        maps = np.maximum(halved(maps, params[name]), 0)
    assert maps.shape == (3, 4, 3, 4)
    quarters = [maps[:, rows, columns].mean((1, 2)) for rows, columns in QUARTERS]
    seen = np.concatenate([maps.max((1, 2)), *quarters], axis=1)
    first, last = params["Dense_0"], params["Dense_1"]
    hidden = np.maximum(seen @ first["kernel"] + first["bias"], 0)
    found = jax.jit(network.apply)({"params": jax.tree.map(jnp.float32, params)}, x)
    np.testing.assert_allclose(found, hidden @ last["kernel"] + last["bias"], rtol=1e-4, atol=1e-4)
    assert (hidden > 0).any()


UPPER, LOWER, LEFT, RIGHT = slice(0, 2), slice(2, 4), slice(0, 1), slice(1, 3)
QUARTERS = [(UPPER, LEFT), (UPPER, RIGHT), (LOWER, LEFT), (LOWER, RIGHT)]


def test_an_image_encoder_sees_a_figure_alike_anywhere_in_a_quarter_of_the_image():
    """Moved by whole places of the maps, where no kernel reaches from it over an edge."""
    images = np.full((6, 64, 64, 3), -1, np.float32)
    figure = np.random.default_rng(0).uniform(-1, 1, (6, 6, 3))
    alike, others = [(12, 12), (12, 16), (16, 12)], [(13, 12), (12, 44), (44, 12)]
    for image, (row, column) in zip(images, alike + others, strict=True):
        image[row : row + 6, column : column + 6] = figure
    network = ImageEncoder(4, width=4)
    found = np.asarray(jax.jit(partial(network.init_with_output, KEY))(images)[0])
    np.testing.assert_allclose(found[1:3], found[[0, 0]], rtol=1e-4, atol=1e-6)
    assert np.abs(found[3:] - found[0]).max(axis=1).min() > 1e-3


@pytest.mark.slow
def test_an_image_encoder_brings_images_of_other_sizes_to_its_own():
    large = jax.random.uniform(KEY, (2, 24, 20, 3), minval=-1.0)
    network = ImageEncoder(5, width=4, size=12)
    found, variables = network.init_with_output(KEY, large)
    assert np.abs(found - ImageEncoder(5, width=4).apply(variables, large)).max() > 1e-3
    of_small = ImageEncoder(5, width=4).apply(variables, resize(large, (12, 12)))
    np.testing.assert_allclose(found, of_small, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="size is 0"):
        ImageEncoder(5, size=0)


def test_an_image_encoder_takes_images_that_leave_quarters():
    encode = partial(ImageEncoder(4, depth=3).init_with_output, KEY)
    shape = lambda *sides: jax.ShapeDtypeStruct((2, *sides, 1), jnp.float32)  # noqa: E731
    found, _ = jax.eval_shape(encode, shape(9, 16))
    assert found.shape == (2, 4)
    with pytest.raises(ValueError, match="Images of 9x8 leave no quarters after 3 halvings: give"):
        jax.eval_shape(encode, shape(9, 8))


def test_an_image_encoder_computes_in_bfloat16():
    made = {}

    def watch(call, args, kwargs, context):
        found = call(*args, **kwargs)
        if context.method_name == "__call__":
            made["/".join(context.module.path)] = found.dtype
        return found

    x = jax.ShapeDtypeStruct((2, 16, 16, 1), jnp.float32)
    with nn.intercept_methods(watch):
        jax.eval_shape(partial(ImageEncoder(4, dtype=jnp.bfloat16).init, KEY), x)
    assert made.pop("") == jnp.float32
    assert len(made) == 4
    assert set(made.values()) == {jnp.dtype(jnp.bfloat16)}
