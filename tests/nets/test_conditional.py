"""The conditional GAN's pair: the paper's sizes, and what the class does."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import ConditionalDiscriminator, ConditionalGenerator

KEY = jax.random.key(0)
LABELS = jnp.arange(6) % 3
GENERATOR = ConditionalGenerator((2, 3, 1), 3, (4, 5, 6))
DISCRIMINATOR = ConditionalDiscriminator(3, (4, 5, 6), (2, 3, 4))
PAIR = [(GENERATOR, jnp.ones((6, 7))), (DISCRIMINATOR, jnp.ones((6, 2, 3, 1)))]


def filled(network, x, labels):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, KEY, x, labels)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.7, leaf.shape)), shapes)


def test_the_papers_networks_have_their_numbers_of_weights():
    def count(network, x):
        variables = jax.eval_shape(network.init, KEY, x, jnp.zeros(1, int))
        return sum(leaf.size for leaf in jax.tree.leaves(variables))

    generator = 101 * 200 + 11 * 1000 + 1201 * 1200 + 1201 * 784
    assert count(ConditionalGenerator((28, 28, 1), 10), jnp.zeros((1, 100))) == generator
    discriminator = 785 * 240 * 5 + 11 * 50 * 5 + 291 * 240 * 4 + 241
    assert count(ConditionalDiscriminator(10), jnp.zeros((1, 28, 28, 1))) == discriminator


def test_the_generator_is_its_layers():
    network, z = GENERATOR, jax.random.normal(KEY, (6, 7))
    variables = filled(network, z, LABELS)
    params = jax.tree.map(np.asarray, variables["params"])
    of_z, of_y, of_both, last = (params[f"Dense_{i}"] for i in range(4))

    def layer(x, weights):
        return np.asarray(x) @ weights["kernel"] + np.asarray(weights["bias"])

    def relu(x):
        return np.maximum(x, 0)

    joined = np.concatenate([relu(layer(z, of_z)), relu(layer(np.eye(3)[LABELS], of_y))], axis=-1)
    logits = layer(relu(layer(joined, of_both)), last)
    expected = 1 / (1 + np.exp(-logits.reshape(6, 2, 3, 1)))
    np.testing.assert_allclose(jax.jit(network.apply)(variables, z, LABELS), expected, rtol=1e-4)


@pytest.mark.parametrize(("network", "x"), PAIR)
def test_each_class_has_an_answer_of_its_own_and_dropout_acts_in_training_alone(network, x):
    variables = filled(network, x, LABELS)
    asked = np.asarray(network.apply(variables, x, LABELS)).reshape(6, -1)
    np.testing.assert_allclose(asked[:3], asked[3:], rtol=1e-6)
    assert len(np.unique(asked[:, 0].round(5))) == 3
    trained = network.apply(variables, x, LABELS, train=True, rngs={"dropout": KEY})
    trained = np.asarray(trained).reshape(6, -1)
    assert not np.any(np.isclose(trained[:3], trained[3:]).all(axis=1))
    still = network.clone(dropout=0.0).apply(variables, x, LABELS, train=True)
    np.testing.assert_array_equal(np.asarray(still).reshape(6, -1), asked)


PAPERS = [
    (ConditionalGenerator((4, 4, 1), 3), (4, 7), 0.05),
    (ConditionalDiscriminator(3), (4, 6, 6, 1), 0.005),
]


@pytest.mark.parametrize(("network", "shape", "limit"), PAPERS)
def test_weights_start_in_the_range_and_biases_at_0(network, shape, limit):
    x, labels = jnp.zeros(shape), jnp.zeros(shape[0], jnp.int32)
    params = jax.jit(network.init)(jax.random.key(0), x, labels)["params"]
    for layer in jax.tree.leaves(params, is_leaf=lambda node: "kernel" in node):
        size = np.abs(layer["kernel"]).max()
        assert 0.9 * limit < size <= limit
        assert not layer["bias"].any()


@pytest.mark.parametrize(("network", "x"), PAIR)
def test_every_hidden_layer_is_dropped_in_training(network, x):
    variables = jax.eval_shape(network.init, KEY, x, LABELS)

    def masks(train):
        run = partial(network.apply, train=train, rngs={"dropout": jax.random.key(1)})
        traced = str(jax.make_jaxpr(run)(variables, x, LABELS))
        return re.findall(r"random_bits\[[^\]]*shape=\(6, (\d+)\)", traced)

    assert not masks(train=False)
    assert sorted(masks(train=True)) == [str(width) for width in network.widths]
