"""LAPGAN's networks: the authors' sizes, and what each layer sees."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from gan_jax import nets

KEY = jax.random.key(0)
NOISE, COARSE = jax.random.normal(KEY, (2, 4, 9, 9, 2))
BAND = jax.random.normal(jax.random.key(1), (4, 9, 9, 2))
LABELS = jnp.array([0, 1, 2, 1])
FINE = {
    "generator": (nets.LAPGANGenerator(2, 3, (3, 5, 3)), NOISE),
    "discriminator": (nets.LAPGANDiscriminator(8), BAND),
}


def filled(network, *inputs):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, KEY, *inputs)
    return jax.tree.map(lambda leaf: np.float32(rng.normal(0, 0.4, leaf.shape)), shapes)


def count(network, *inputs):
    variables = jax.eval_shape(network.init, KEY, *inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


@pytest.mark.parametrize("num_classes", [None, 10])
def test_the_authors_networks_have_their_numbers_of_weights(num_classes):
    """For CIFAR-10: a plane of 32 x 32 numbers for each class, or a number for each."""
    labels = () if num_classes is None else (jnp.zeros(1, int),)
    told = {"num_classes": num_classes}
    plane, more = (11 * 32 * 32, 1) if num_classes else (0, 0)
    noise, images = jnp.zeros((1, 32, 32, 1)), jnp.zeros((1, 32, 32, 3))
    generator = (49 * (4 + more) + 1) * 64 + (49 * 64 + 1) * 64 + (25 * 64 + 1) * 3 + plane
    assert count(nets.LAPGANGenerator(3, **told), noise, images, *labels) == generator
    discriminator = (25 * (3 + more) + 1) * 64 + (25 * 64 + 1) * 64 + 12 * 12 * 64 + 1 + plane
    assert count(nets.LAPGANDiscriminator(**told), images, images, *labels) == discriminator
    joined = 10 * more
    base = (101 + joined) * 8000 + 8001 * 8000 + 8001 * 192
    network = nets.LAPGANBaseGenerator((8, 8, 3), **told)
    assert count(network, jnp.zeros((1, 100)), *labels) == base
    critic = (193 + joined) * 1600 + 1601 * 1600 + 1601
    network = nets.LAPGANBaseDiscriminator(**told)
    assert count(network, jnp.zeros((1, 8, 8, 3)), *labels) == critic


def convolved(x, layer, mode):
    """Each output channel a sum of SciPy's correlations."""
    kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
    maps = [
        sum(
            signal.correlate2d(image[..., i], kernel[:, :, i, o], mode)
            for i in range(image.shape[-1])
        )
        for image in np.asarray(x)
        for o in range(len(bias))
    ]
    return np.moveaxis(np.reshape(maps, (len(x), len(bias), *maps[0].shape)), 1, -1) + bias


def test_the_generator_is_its_layers():
    network, _ = FINE["generator"]
    variables = filled(network, NOISE, COARSE)
    first, second, last = (variables["params"][f"Conv_{i}"] for i in range(3))
    x = np.concatenate([NOISE, COARSE], axis=-1)
    x = np.maximum(convolved(x, first, "same"), 0)
    x = np.maximum(convolved(x, second, "same"), 0)
    expected = convolved(x, last, "same")
    np.testing.assert_allclose(
        jax.jit(network.apply)(variables, NOISE, COARSE), expected, rtol=1e-3
    )


def test_the_discriminator_judges_the_sum():
    """So moving a picture from the coarser image to the band leaves the logit as it is."""
    network, _ = FINE["discriminator"]
    variables = filled(network, BAND, COARSE)
    first, second = (variables["params"][f"Conv_{i}"] for i in range(2))
    x = np.maximum(convolved(BAND + COARSE, first, "valid"), 0)
    x = np.maximum(convolved(x, second, "valid")[:, ::2, ::2], 0)
    dense = variables["params"]["Dense_0"]
    expected = x.reshape(4, -1) @ dense["kernel"][:, 0] + dense["bias"]
    found = jax.jit(network.apply)(variables, BAND, COARSE)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    moved = jax.jit(network.apply)(variables, BAND + COARSE, 0 * COARSE)
    np.testing.assert_allclose(moved, found, rtol=1e-5)


@pytest.mark.parametrize("name", FINE)
def test_each_class_has_a_plane_of_its_own(name):
    network, x = FINE[name]
    network, first = network.clone(num_classes=3), x[:1].repeat(4, axis=0)
    coarse = COARSE[:1].repeat(4, axis=0)
    variables = filled(network, first, coarse, LABELS)
    found = np.asarray(jax.jit(network.apply)(variables, first, coarse, LABELS)).reshape(4, -1)
    np.testing.assert_allclose(found[1], found[3], rtol=1e-5)
    assert len(np.unique(found[:, 0].round(4))) == 3
    for told in (network, network.clone(num_classes=None)):
        labels = () if told.num_classes else (LABELS,)
        with pytest.raises(ValueError, match="give it both, or neither"):
            jax.eval_shape(told.apply, variables, first, coarse, *labels)


SIGMOID, RELU = (lambda x: 1 / (1 + np.exp(-x))), (lambda x: np.maximum(x, 0))


@pytest.mark.parametrize(
    ("given", "last", "output"),
    [
        ({}, SIGMOID, lambda x: x),
        ({"num_classes": 3, "activation": nn.relu, "output": nn.tanh}, RELU, np.tanh),
    ],
)
def test_the_base_generator_is_its_layers(given, last, output):
    z, shape = jax.random.normal(KEY, (4, 5)), (2, 3, 1)
    network = nets.LAPGANBaseGenerator(shape, (6, 7), **given)
    labels = (LABELS,) if "num_classes" in given else ()
    variables = filled(network, z, *labels)
    of = [variables["params"][f"Dense_{i}"] for i in range(3)]
    x = np.concatenate([z, np.eye(3)[LABELS]], axis=1) if labels else np.asarray(z)
    x = np.maximum(x @ of[0]["kernel"] + of[0]["bias"], 0)
    x = last(x @ of[1]["kernel"] + of[1]["bias"])
    expected = output((x @ of[2]["kernel"] + of[2]["bias"]).reshape(4, *shape))
    np.testing.assert_allclose(jax.jit(network.apply)(variables, z, *labels), expected, rtol=1e-4)


def test_the_base_critic_sees_the_class_and_what_is_alike_where_it_is_told_to():
    network = nets.LAPGANBaseDiscriminator((8,), 0.0, num_classes=3)
    alike = BAND[:1].repeat(4, axis=0)
    variables = filled(network, alike, LABELS)
    found = np.asarray(jax.jit(network.apply)(variables, alike, LABELS))
    np.testing.assert_allclose(found[1], found[3], rtol=1e-5)
    assert len(np.unique(found.round(4))) == 3
    network = nets.LAPGANBaseDiscriminator((8,), 0.0, num_minibatch_kernels=5)
    variables = filled(network, BAND)
    alone, others = (
        jax.jit(network.apply)(variables, BAND[:2]),
        jax.jit(network.apply)(variables, BAND),
    )
    assert (alone != others[:2]).all()


def test_the_base_starts_where_the_authors_code_has_it():
    z, images = jnp.zeros((4, 200)), jnp.zeros((4, 200, 1, 1))
    for network, x, deviation in (
        (nets.LAPGANBaseGenerator((2,), (300,)), z, 0.05),
        (nets.LAPGANBaseDiscriminator((300,)), images, 0.005),
    ):
        kernel = jax.jit(network.init)(KEY, x)["params"]["Dense_0"]["kernel"]
        np.testing.assert_allclose(jnp.std(kernel), deviation, rtol=0.02)


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (nets.LAPGANDiscriminator(2), (BAND, COARSE)),
        (nets.LAPGANBaseDiscriminator((20,)), (BAND,)),
    ],
)
def test_dropout_acts_in_training_alone_on_what_is_hidden(network, inputs):
    """With all kernels but the last 0 and biases 1, half of the hidden ones are 2, else 0."""
    shapes = jax.eval_shape(network.init, KEY, *inputs)
    variables = jax.tree.map(lambda leaf: jnp.full(leaf.shape, float(leaf.ndim == 1)), shapes)
    dense = variables["params"]
    name = sorted(name for name in dense if name.startswith("Dense"))[-1]
    dense[name]["kernel"] = jnp.ones_like(dense[name]["kernel"])
    num = len(dense[name]["kernel"])
    np.testing.assert_allclose(network.apply(variables, *inputs), num + 1)
    trained = network.apply(variables, *inputs, train=True, rngs={"dropout": KEY})
    np.testing.assert_allclose(trained, num + 1, atol=5 * num**0.5)
    assert len(set(trained.tolist())) > 1


def test_images_of_which_kernels_leave_nothing_and_kernels_that_are_not_three_are_refused():
    small = jnp.zeros((1, 12, 8, 1))
    sentence = (
        "^The images of a level are 12x8, of which two kernels of 5x5 leave nothing: a level above "
        "the coarsest needs at least 9x9; take fewer levels, or larger images."
    )
    with pytest.raises(ValueError, match=sentence):
        jax.eval_shape(nets.LAPGANDiscriminator(2).init, KEY, small, small)
    with pytest.raises(ValueError, match=r"kernel_sizes is \(3, 3\); give three"):
        nets.LAPGANGenerator(1, 2, (3, 3))
