"""The first GAN's pair: the authors' sizes and initial ranges, and when dropout acts."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import GoodfellowDiscriminator, goodfellow_generator

KEY = jax.random.key(0)


def count(network, *inputs):
    variables = jax.eval_shape(partial(network.init, KEY), *inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


def test_the_papers_networks_have_their_numbers_of_weights():
    latents, x = jnp.zeros((1, 100)), jnp.zeros((1, 28, 28, 1))
    generator = 101 * 1200 + 1201 * 1200 + 1201 * 784
    assert count(goodfellow_generator((28, 28, 1)), latents) == generator
    discriminator = 785 * 240 * 5 + 241 * 240 * 5 + 241
    assert count(GoodfellowDiscriminator(), x) == discriminator


@pytest.mark.parametrize(
    ("network", "limit"),
    [(goodfellow_generator((2, 3, 1), (50,)), 0.05), (GoodfellowDiscriminator((50, 10)), 0.005)],
)
def test_weights_start_in_the_authors_range_and_biases_at_zero(network, limit):
    for path, leaf in jax.tree.leaves_with_path(network.init(KEY, jnp.ones((1, 40)))["params"]):
        values = np.asarray(leaf).ravel()
        if path[-1].key == "bias":
            assert not values.any()
        else:
            assert np.abs(values).max() <= limit
            error = limit / np.sqrt(3 * values.size)
            assert abs(values.mean()) < 4 * error
            assert abs(values.std() - limit / np.sqrt(3)) < 4 * error


def test_dropout_acts_in_training_alone_and_keeps_the_mean():
    network = GoodfellowDiscriminator((), input_dropout=0.2)  # linear: a known mean and variance
    x = jnp.ones((4_000, 50))
    variables = {"params": {"Dense_0": {"kernel": jnp.ones((50, 1)), "bias": jnp.ones(1)}}}
    asked = network.apply(variables, x)
    np.testing.assert_allclose(asked, 51, rtol=1e-6)
    trained = network.apply(variables, x, train=True, rngs={"dropout": KEY})
    deviation = np.sqrt(50 * 0.2 / 0.8)
    assert abs(trained.mean() - 51) < 4 * deviation / np.sqrt(len(x))
    np.testing.assert_allclose(trained.std(), deviation, rtol=0.05)


def test_hidden_units_are_dropped_before_the_next_layer_reads_them():
    network = GoodfellowDiscriminator((60,), 2, input_dropout=0.0)
    x = jnp.zeros((2_000, 1))
    ones = {
        "Maxout_0": {"Dense_0": {"kernel": jnp.zeros((1, 120)), "bias": jnp.ones(120)}},
        "Dense_0": {"kernel": jnp.ones((60, 1)), "bias": jnp.zeros(1)},
    }
    trained = network.apply({"params": ones}, x, train=True, rngs={"dropout": KEY})
    np.testing.assert_allclose(trained.std(), np.sqrt(60), rtol=0.07)  # keep 1/2: variance 1 each


def test_the_discriminators_weights_start_as_they_are_told_to():
    network = GoodfellowDiscriminator((3,), kernel_init=nn.initializers.constant(0.5))
    params = network.init(KEY, jnp.ones((1, 4)))["params"]
    for path, leaf in jax.tree.leaves_with_path(params):
        np.testing.assert_array_equal(leaf, 0.0 if path[-1].key == "bias" else 0.5)
