"""Inception-v3 against torch-fidelity's network, its resizing against identities, its weights."""

import zlib
from functools import cache, partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from gan_jax.nets import inception
from gan_jax.nets.inception_graph import graph_names

# What torch-fidelity 0.4.0 (FeatureExtractorInceptionV3, made float64) computes of `weights()` and
# `random_bytes(height, width)`: the features' products with `WAVES`, and every 144th of its
# `logits_unbiased`.
WAVES = np.cos(np.outer(np.arange(2048), np.arange(1, 5)))
KNOWN = {
    (32, 24): (
        [-240.91879, 246.59272, 1.1062651, 229.47637],
        [9.4068594, -14.123382, -3.7581959, -4.7558765, 11.534597, 5.4615183, 1.3838891],
    ),
    (299, 299): (
        [-443.09353, 422.41966, 26.45472, 460.00403],
        [17.479836, -23.410631, -5.3972735, -10.559807, 18.341124, 8.4977856, -0.71596599],
    ),
    (32, 32): (
        [-254.5678, 254.13629, -3.4805564, 233.49486],
        [10.194069, -15.189752, -3.9551404, -5.1184478, 11.548529, 5.4968901, 1.3138967],
    ),
    (64, 64): (
        [-312.25395, 281.93467, 6.7313069, 298.89434],
        [12.482409, -17.036716, -4.4427314, -6.8741293, 12.79988, 6.3851233, 0.0094414884],
    ),
    (128, 96): (
        [-350.16296, 312.11981, 8.3781962, 316.76645],
        [12.921957, -17.754398, -4.412674, -7.9507618, 13.848057, 7.3388791, -0.39875862],
    ),
    (512, 320): (
        [-352.86248, 323.48369, 11.573996, 341.61597],
        [13.501122, -18.11697, -4.4607468, -8.4249411, 14.410974, 7.5360303, -0.33805284],
    ),
}
SMALL = (32, 24)
LAST_NORM = [
    f"Mixed_7c.branch_pool.bn.{of}" for of in ("bias", "running_mean", "running_var", "weight")
]


def random_bytes(height, width, channels=3):
    shape = (1, height, width, channels)
    return np.random.RandomState(height).randint(0, 256, shape).astype(np.uint8)


@cache
def weights():
    """By names in alphabetical order u ~ U[0, 1): all of one `RandomState(0).rand`, in float32."""
    uniform, arrays = np.random.RandomState(0), {}
    for name, shape in sorted(inception.state_dict_names().items()):
        u = uniform.rand(*shape).astype(np.float32)
        if name.endswith(("bn.weight", "bn.running_var")):
            arrays[name] = u + np.float32(0.5)
        elif name.endswith(("bn.bias", "bn.running_mean")):
            arrays[name] = u - np.float32(0.5)
        else:  # of variance 2 / fan-in
            arrays[name] = (u - np.float32(0.5)) * np.float32(np.sqrt(24 / np.prod(shape[1:])))
    return arrays


def blank():
    return {
        name: np.broadcast_to(np.float32(0), shape)
        for name, shape in inception.state_dict_names().items()
    }


def compiled():
    """A function of its own, for which nothing that was traced before is taken."""
    return jax.jit(lambda variables, x: inception.InceptionV3().apply(variables, x))


run = compiled()


def error(size, x, run=run):
    """How far features and logits are from what is known, relative to it."""
    features, logits = run(inception.from_state_dict(weights()), x)
    seen = np.asarray(features)[0] @ WAVES, np.asarray(logits)[0, ::144]
    pairs = zip(seen, KNOWN[size], strict=True)
    return max(np.linalg.norm(ours - known) / np.linalg.norm(known) for ours, known in pairs)


@pytest.mark.parametrize(
    "size", [SMALL, *(pytest.param(size, marks=pytest.mark.slow) for size in [*KNOWN][1:])]
)
def test_it_is_the_network_of_torch_fidelity(size):
    assert error(size, inception.preprocess(random_bytes(*size))) < 3e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    "mistake",
    [
        {"_average": partial(inception._average, count_include_pad=True)},
        {"_highest": inception._average},
        dict.fromkeys(
            ("_average", "_highest"), partial(inception._average, count_include_pad=True)
        ),
    ],
    ids=["padding counted", "no maximum at the end", "torchvision's graph"],
)
def test_another_graph_is_told_apart(mistake, monkeypatch):
    for name, function in mistake.items():
        monkeypatch.setattr(inception, name, function)
    assert error(SMALL, inception.preprocess(random_bytes(*SMALL)), compiled()) > 1e-2


def resized(images, method):
    """With half pixels, as `jax.image` has them."""
    shape = (len(images), 299, 299, 3)
    return jax.image.resize(jnp.float32(images), shape, method, antialias=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "prepare",
    [
        lambda images: (resized(images, "linear") - 128) / 128,
        lambda images: (resized(images, "cubic") - 128) / 128,
        lambda images: (inception.preprocess(images) * 128 + 128) * (2 / 255) - 1,
    ],
    ids=["half pixels", "bicubic", "another range"],
)
def test_images_seen_otherwise_are_told_apart(prepare):
    assert error(SMALL, prepare(random_bytes(*SMALL))) > 1e-3


@pytest.mark.parametrize("num_columns", [1, 2, 30, 299, 400])
def test_a_ramp_is_read_at_multiples_of_its_size_by_299_up_to_its_last_pixel(num_columns):
    """No half pixel, no antialiasing, and nothing beyond the last pixel."""
    ramp = (np.arange(num_columns) % 200).astype(np.uint8)
    (rows,) = inception.preprocess(np.tile(ramp[None, :, None], (1, 2, 1, 3)))
    places = np.minimum(np.arange(299) * num_columns / 299, num_columns - 1)
    known = np.interp(places, np.arange(num_columns), ramp)
    np.testing.assert_allclose(
        rows, np.tile(known[None, :, None] / 128 - 1, (299, 1, 3)), atol=4e-5
    )


def test_of_images_at_whole_multiples_of_its_size_single_pixels_stay():
    images = random_bytes(598, 897)
    np.testing.assert_array_equal(
        inception.preprocess(images), (np.float32(images[:, ::2, ::3]) - 128) / 128
    )
    images = random_bytes(299, 299)
    np.testing.assert_array_equal(inception.preprocess(images), (np.float32(images) - 128) / 128)


def test_height_and_width_are_resized_alike():
    images = random_bytes(20, 400)
    turned = inception.preprocess(images.swapaxes(1, 2)).swapaxes(1, 2)
    np.testing.assert_allclose(inception.preprocess(images), turned, atol=1e-6)


def test_grey_images_are_seen_in_three_channels():
    images = random_bytes(20, 30, 1)
    seen = inception.preprocess(jnp.asarray(images))
    np.testing.assert_array_equal(seen, inception.preprocess(images.repeat(3, axis=-1)))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (jnp.zeros((2, 8, 8, 3)), "are float32; Inception-v3 sees bytes"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"shape \(0, 8, 8, 3\); .* at least one image"),
        (np.zeros((2, 8, 0, 3), np.uint8), r"shape \(2, 8, 0, 3\)"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"shape \(2, 8, 8, 4\); .* with 1 or 3 channels"),
        (np.zeros((8, 8, 3), np.uint8), r"shape \(8, 8, 3\); .* \(num, height, width, channels\)"),
    ],
)
def test_what_it_cannot_see_is_refused(images, said, monkeypatch):
    """Outside of these tests nothing checks the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=said):
        inception.preprocess(images)


def test_images_that_were_not_preprocessed_are_refused():
    x = jax.ShapeDtypeStruct((2, 300, 299, 3), jnp.float32)
    with pytest.raises(
        ValueError, match=r"shape \(300, 299, 3\); Inception-v3 takes \(299, 299, 3"
    ):
        jax.eval_shape(inception.InceptionV3().init, jax.random.key(0), x)


def test_its_arrays_are_those_of_the_published_file():
    """472 of 94 convolutions, 23,850,960 parameters, of which it leaves out the last bias."""
    shapes = inception.state_dict_names()
    num = sum(np.prod(shape) for name, shape in shapes.items() if "running" not in name)
    assert (len(shapes) + 1, num + 1008) == (472, 23_850_960)
    assert sum(name.endswith("conv.weight") for name in shapes) == 94
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_6c.branch7x7_2.conv.weight"] == (160, 160, 1, 7)
    assert shapes["Mixed_7c.branch3x3dbl_3b.bn.running_var"] == (384,)
    assert shapes["fc.weight"] == (1008, 2048)


def test_tensorflows_names_are_those_of_torch_fidelitys_table():
    """The checksum is of the table in its util_convert_inception_weights.py, array by array."""
    names = graph_names()
    assert names["Mixed_6a.branch3x3.conv.weight"] == "mixed_3/conv/conv2d_params"
    assert names["Mixed_7b.branch3x3_2b.bn.bias"] == "mixed_9/tower/mixed/conv_1/batchnorm/beta"
    table = "\n".join(sorted(f"{ours} {theirs}" for ours, theirs in names.items()))
    assert zlib.crc32(table.encode()) == 3464606332


def test_weights_under_tensorflows_names_are_the_same():
    graph = {graph_names()[name]: to_graph(array) for name, array in weights().items()}
    graph |= {"Sub/y": np.float32(128), "softmax/biases": np.ones(1008, np.float32)}
    found, known = map(inception.from_state_dict, (graph, weights()))
    jax.tree.map(np.testing.assert_array_equal, found, known)


def to_graph(array):
    """Kernels are (height, width, in, out) there, and here (out, in, height, width)."""
    if array.ndim == 4:
        return np.einsum("oihw->hwio", array)
    return array.T


def test_what_it_does_not_use_may_be_there():
    unused = ("fc.bias", "Mixed_5b.branch1x1.bn.num_batches_tracked", "AuxLogits.fc.weight")
    variables = inception.from_state_dict(blank() | dict.fromkeys(unused, np.zeros(1)))
    assert len(jax.tree.leaves(variables)) == 471


@pytest.mark.parametrize(
    ("lost", "given", "said"),
    [
        (["fc.weight"], {}, r"weights lack fc.weight \(1 in all\): give what"),
        (LAST_NORM, {}, r"weights lack Mixed_7c.branch_pool.bn.\w+, .*, .* \(4 in all\)"),
        ([], {"fc.scale": 0}, r"weights hold what is not the network's: fc.scale \(1 in all\)"),
        ([], {"fc.weight": np.zeros((1000, 2048))}, r"fc.weight is of shape \(1000, 2048\) and"),
        ([], {"fc.weight": np.zeros((2048, 1008))}, r"shape \(2048, 1008\) and must be \(1008, 20"),
    ],
)
def test_other_weights_are_refused(lost, given, said):
    kept = {name: array for name, array in blank().items() if name not in lost}
    with pytest.raises(ValueError, match=said):
        inception.from_state_dict(kept | given)


def test_another_graph_is_refused():
    graph = {graph_names()[name]: to_graph(array) for name, array in blank().items()}
    del graph["mixed_9/tower/mixed/conv_1/conv2d_params"]
    with pytest.raises(
        ValueError, match=r"graph lacks mixed_9/tower/mixed/conv_1/conv2d_params \(1"
    ):
        inception.from_state_dict(graph)
    graph["mixed_9/tower/mixed/conv_1/conv2d_params"] = np.zeros(384)
    with pytest.raises(ValueError, match=r"Mixed_7b.branch3x3_2b.conv.weight is of shape \(384,\)"):
        inception.from_state_dict(graph)
