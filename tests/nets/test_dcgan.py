"""The DCGAN pair: shapes, the paper's initialisation, where batch normalisation stands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from gan_jax.nets import DCGANDiscriminator, DCGANGenerator

KEY = jax.random.key(0)


def shapes(network, x, **options):
    return jax.eval_shape(lambda: network.init_with_output(KEY, x, **options))


@pytest.mark.parametrize(
    ("size", "channels", "num_layers"), [(8, 1, 1), (14, 3, 1), (28, 1, 2), (32, 3, 3), (64, 3, 4)]
)
def test_sizes_and_depths(size, channels, num_layers):
    images, variables = shapes(DCGANGenerator(size, channels, width=8), jnp.zeros((2, 10)))
    assert (images.shape, images.dtype) == ((2, size, size, channels), jnp.float32)
    layers = [name for name in variables["params"] if name.startswith("ConvTranspose")]
    assert len(layers) == num_layers
    logits, variables = shapes(DCGANDiscriminator(width=8), jnp.zeros((2, size, size, channels)))
    assert (logits.shape, logits.dtype) == ((2,), jnp.float32)
    assert len([name for name in variables["params"] if name.startswith("Conv_")]) == num_layers


def test_the_papers_network_has_its_number_of_weights():
    generator = DCGANGenerator(64, 3, width=128)
    _, variables = shapes(generator, jnp.zeros((2, 100)))
    kernels = [
        leaf.size
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"])
        if jax.tree_util.DictKey("kernel") in path
    ]
    assert sum(kernels) == 18_851_200


def test_depth_and_kernel_size_can_be_given():
    generator = DCGANGenerator(24, 1, width=4, depth=3, kernel_size=4)
    images, variables = shapes(generator, jnp.zeros((2, 10)))
    assert images.shape == (2, 24, 24, 1)
    assert variables["params"]["ConvTranspose_0"]["kernel"].shape == (4, 4, 16, 8)
    logits, _ = shapes(DCGANDiscriminator(width=4, depth=3, kernel_size=4), jnp.zeros(images.shape))
    assert logits.shape == (2,)


@pytest.mark.parametrize("size", [30, 7, 4, 1])
def test_sizes_that_it_cannot_make_are_named(size):
    with pytest.raises(ValueError, match=f"no images of size {size}: the size must be 4 or 7 time"):
        shapes(DCGANGenerator(size, 1), jnp.zeros((2, 10)))


def test_images_that_it_cannot_take_are_named():
    with pytest.raises(ValueError, match="28x32; DCGAN takes square ones"):
        shapes(DCGANDiscriminator(), jnp.zeros((2, 28, 32, 1)))
    with pytest.raises(ValueError, match="no images of size 30"):
        shapes(DCGANDiscriminator(), jnp.zeros((2, 30, 30, 1)))
    with pytest.raises(ValueError, match="depth 3 has no images of size 28"):
        shapes(DCGANGenerator(28, 1, depth=3), jnp.zeros((2, 10)))


def test_the_initialisation_is_the_papers():
    for network, x in [
        (DCGANGenerator(32, 3), jnp.zeros((2, 100))),
        (DCGANDiscriminator(), jnp.zeros((2, 32, 32, 3))),
    ]:
        params = network.init(KEY, x)["params"]
        for path, leaf in jax.tree_util.tree_leaves_with_path(params):
            name, values = path[-1].key, np.asarray(leaf, np.float64)
            if name == "bias":
                np.testing.assert_array_equal(values, 0)
                continue
            mean = {"kernel": 0.0, "scale": 1.0}[name]
            assert abs(values.mean() - mean) < 4 * 0.02 / np.sqrt(values.size)
            assert abs(values.std() - 0.02) < 4 * 0.02 / np.sqrt(2 * values.size)


def test_batch_normalisation_stands_where_the_paper_has_it():
    _, generator = shapes(DCGANGenerator(32, 3, width=8), jnp.zeros((2, 10)))
    _, discriminator = shapes(DCGANDiscriminator(width=8), jnp.zeros((2, 32, 32, 3)))

    def normalised(variables):
        return sorted(
            leaf.shape[0]
            for path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"])
            if path[-1].key == "scale"
        )

    assert normalised(generator) == [8, 16, 32]  # not the output of 3 channels
    assert normalised(discriminator) == [16, 32]  # not the first layer of 8
    with_bias = {name for name, layer in discriminator["params"].items() if "bias" in layer}
    assert with_bias == {"Conv_0", "Dense_0", "BatchNorm_0", "BatchNorm_1"}


def test_training_uses_the_batch_and_sampling_the_running_statistics():
    network = DCGANDiscriminator(width=4)
    x = jax.random.normal(KEY, (8, 16, 16, 1))
    variables = network.init(KEY, x)
    trained, state = network.apply(variables, x, train=True, mutable=["batch_stats"])
    assert not np.allclose(trained, network.apply(variables, x))
    old, new = (v["batch_stats"]["BatchNorm_0"]["mean"] for v in (variables, state))
    features = network.apply(variables, x, train=True, capture_intermediates=True, mutable=True)[1][
        "intermediates"
    ]["Conv_1"]["__call__"][0]
    np.testing.assert_allclose(new, 0.9 * old + 0.1 * features.mean((0, 1, 2)), atol=1e-6)


def test_images_lie_between_minus_one_and_one():
    network = DCGANGenerator(8, 1, width=4)
    variables = jax.tree.map(lambda leaf: 50 * leaf, network.init(KEY, jnp.zeros((2, 3))))
    images = network.apply(variables, jax.random.normal(KEY, (16, 3)))
    assert -1 <= images.min() < -0.9
    assert 0.9 < images.max() <= 1


@pytest.mark.parametrize(
    ("network", "x"),
    [
        (DCGANGenerator(8, 1, width=4, dtype=jnp.bfloat16), jnp.ones((2, 5))),
        (DCGANDiscriminator(width=4, dtype=jnp.bfloat16), jnp.ones((2, 8, 8, 1))),
    ],
)
def test_bfloat16_computes_between_float32_ends(network, x):
    output, variables = network.init_with_output(KEY, x)
    assert output.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    exact = network.clone(dtype=None).apply(variables, x)
    assert not np.array_equal(output, exact)
    np.testing.assert_allclose(output, exact, atol=0.02)


def test_the_axis_name_makes_batch_statistics_global():
    x = jax.random.normal(KEY, (8, 8, 8, 1))
    whole = DCGANDiscriminator(width=4, depth=2)
    variables = whole.init(KEY, x)
    expected, _ = whole.apply(variables, x, train=True, mutable=["batch_stats"])

    def on_devices(network):
        mapped = jax.shard_map(
            lambda x: network.apply(variables, x, train=True, mutable=["batch_stats"])[0],
            mesh=Mesh(np.array(jax.devices()[:2]), ("data",)),
            in_specs=PartitionSpec("data"),
            out_specs=PartitionSpec("data"),
            check_vma=False,
        )
        return jax.jit(mapped)(x)

    np.testing.assert_allclose(on_devices(whole.clone(axis_name="data")), expected, atol=1e-5)
    assert not np.allclose(on_devices(whole), expected, atol=1e-5)
