"""The char-CNN-RNN against its layers written out, and the sentences that it takes."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import CharCNNRNN, Conv

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
