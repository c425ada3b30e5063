"""TFGAN's encoder of texts by hand, its filters, and what it takes for a sentence."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import TextEncoder

KEY = jax.random.key(0)
SMALL = TextEncoder(num_words=5, dim=3, width=4, word_dim=2, num_filters=2)


def convolved(x, layer):
    """Over three places of each row, ReLU behind."""
    kernel, length = layer["kernel"], x.shape[1]
    taps = (x[:, i : length - 2 + i] @ kernel[i] for i in range(3))
    return np.maximum(sum(taps) + layer["bias"], 0)


def larger(x):
    return np.stack([x[:, i : i + 2].max(axis=1) for i in range(0, x.shape[1] - 1, 2)], axis=1)


def tower(params, words, kernel):
    """In float64: the embedding, and the banks of both taps, filter by filter."""
    early = convolved(larger(convolved(words, params["Conv_0"])), params["Conv_1"])
    left = larger(early).reshape(len(words), -1)
    late = np.maximum(left @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"], 0)
    filters = [
        (x.reshape(len(x), -1) @ params[name]["kernel"] + params[name]["bias"]).reshape(
            -1, *kernel, 2, 2
        )
        for name, x in (("Dense_1", early), ("Dense_2", late))
    ]
    banks = [np.stack([made[..., i] for made in filters], axis=-1) for i in (0, 1)]
    return late, banks


def drawn(tokens):
    shapes = jax.eval_shape(SMALL.init, KEY, tokens)["params"]
    draw = lambda leaf: np.random.default_rng(leaf.size).normal(0, 0.5, leaf.shape)  # noqa: E731
    return jax.tree.map(draw, shapes)


@jax.jit
def encode(params, tokens):
    return SMALL.apply({"params": params}, tokens)


def test_two_towers_make_embeddings_and_filters():
    tokens = np.random.default_rng(0).integers(1, 6, (3, 13))
    tokens[0, 8:] = 0
    params = drawn(tokens)
    words = np.concatenate([np.zeros((1, 2)), params["words"]])[tokens]
    content, of_frames = tower(params["content"], words, (5, 5))
    motion, of_clips = tower(params["motion"], words, (3, 5, 5))
    expected = (content, motion, tuple(of_frames), tuple(of_clips))
    assert all((embedding > 0).any() for embedding in expected[:2])
    found = encode(jax.tree.map(jnp.float32, params), tokens)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), found, expected)


def test_a_number_that_is_no_word_makes_all_nan():
    tokens = np.ones((3, 13), int)
    tokens[:, 3] = 5, 6, -1
    content, motion, *_ = encode(jax.tree.map(jnp.float32, drawn(tokens)), tokens)
    for embedding in (content, motion):
        assert np.isfinite(embedding).all(axis=1).tolist() == [True, False, False]
        assert np.isnan(embedding[1:]).all()


def test_the_authors_encoder_has_292_million_parameters_nearly_all_in_filters():
    tokens = jax.ShapeDtypeStruct((2, 16), jnp.int32)
    params = jax.eval_shape(TextEncoder(1).init, KEY, tokens)["params"]
    millions = lambda tree: round(sum(leaf.size for leaf in jax.tree.leaves(tree)) / 1e6, 1)  # noqa: E731
    assert millions(params) == 291.6
    heads = [
        params[name][head] for name in ("content", "motion") for head in ("Dense_1", "Dense_2")
    ]
    assert millions(heads) == 288.6
    assert params["content"]["Dense_1"]["kernel"].shape == (2560, 32 * 32 * 25)


@pytest.mark.slow
def test_filters_start_of_the_scale_of_a_kernel():
    """Of variance 1/(fan · inputs) times what is read, as its weights say, and 0 at a bias."""
    encoder = TextEncoder(num_words=5, dim=8, width=8, word_dim=2, num_filters=4)
    params = jax.jit(encoder.init)(KEY, jnp.ones((1, 16), int))["params"]
    for tower, fan in (("content", 100), ("motion", 300)):
        for head, inputs in (("Dense_1", 40), ("Dense_2", 8)):
            kernel = np.asarray(params[tower][head]["kernel"])
            expected = (1 / (fan * inputs)) ** 0.5
            np.testing.assert_allclose(kernel.std(), expected, rtol=4 / (2 * kernel.size) ** 0.5)


def test_without_filters_there_are_embeddings_alone():
    tokens = jax.ShapeDtypeStruct((2, 16), jnp.int32)
    encoder = SMALL.clone(num_filters=0)
    made, variables = jax.eval_shape(partial(encoder.init_with_output, KEY), tokens)
    assert made[2:] == ((), ())
    assert set(variables["params"]["content"]) == {"Conv_0", "Conv_1", "Dense_0"}


def test_every_layer_computes_in_bfloat16():
    dtypes = set()

    def watch(method, args, kwargs, context):
        output = method(*args, **kwargs)
        if isinstance(context.module, nn.Conv | nn.Dense):
            dtypes.add(output.dtype)
        return output

    tokens = jax.ShapeDtypeStruct((2, 16), jnp.int32)
    with nn.intercept_methods(watch):
        network = SMALL.clone(dtype=jnp.bfloat16)
        made, _ = jax.eval_shape(partial(network.init_with_output, KEY), tokens)
    assert dtypes == {jnp.dtype(jnp.bfloat16)}
    assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype(jnp.float32)}


def test_what_is_no_encoder_or_sentence_is_refused():
    with pytest.raises(ValueError, match="num_filters is 3; it must be even, for two taps share"):
        TextEncoder(5, num_filters=3)
    with pytest.raises(ValueError, match="num_words is 0"):
        TextEncoder(0)
    embed = partial(SMALL.init_with_output, KEY)
    made, _ = jax.eval_shape(embed, jax.ShapeDtypeStruct((2, 10), jnp.int32))
    assert made[0].shape == (2, 3)
    with pytest.raises(ValueError, match=r"sentences have 9 places; .* need 10: pad them by 0"):
        jax.eval_shape(embed, jax.ShapeDtypeStruct((2, 9), jnp.int32))
