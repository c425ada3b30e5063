"""Inception-v3 of published FIDs: its graph, how it sees images, and the names of its weights.

The classifier of Szegedy et al. 2016, as TensorFlow's graph of December 2015 has it, on which
Heusel et al. 2017 defined the FID. It differs from torchvision's: average pools do not count the
padding; the last block's pool is a maximum, where the paper has an average; there are 1,008
classes and no auxiliary head; and images are resized by TensorFlow 1's rule.

No weights come with the library. These files hold the same ones:

* `inception-2015-12-05.tgz`, whose `classify_image_graph_def.pb` is read as it is;
* `pt_inception-2015-12-05-6726825d.pth` of pytorch-fid, and torch-fidelity's
  `weights-inception-2015-12-05-6726825d.pth`, one file under two names, whose SHA-256 begins as the
  names end: a pickle, to be converted once (`gan_jax.data.read_weights` says how).

NVIDIA's `inception-2015-12-05.pt` is TorchScript, which is code, and is not read. Of what
`read_weights` gives, `from_state_dict` makes the network's variables.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, UInt8

from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv
from gan_jax.typing import PyTree

SIDE = 299

Layer = tuple[int, int, int] | tuple[int, int, int, int, str]
"""Features, height and width of the kernel; strides (1) and padding ("SAME")."""
Branch = tuple[Layer | tuple[Layer, Layer], ...]
"""Layers in a row; a pair of them reads the same maps, side by side."""

_STEM: dict[str, Layer] = {
    "Conv2d_1a_3x3": (32, 3, 3, 2, "VALID"),
    "Conv2d_2a_3x3": (32, 3, 3, 1, "VALID"),
    "Conv2d_2b_3x3": (64, 3, 3),
    "Conv2d_3b_1x1": (80, 1, 1),
    "Conv2d_4a_3x3": (192, 3, 3, 1, "VALID"),
}
_POOLED = ("Conv2d_2b_3x3", "Conv2d_4a_3x3")
"""What a maximum over 3x3 with stride 2 follows in the stem."""


def _block_35(pooled: int) -> dict[str, Branch]:
    return {
        "branch1x1": ((64, 1, 1),),
        "branch5x5": ((48, 1, 1), (64, 5, 5)),
        "branch3x3dbl": ((64, 1, 1), (96, 3, 3), (96, 3, 3)),
        "branch_pool": ((pooled, 1, 1),),
    }


def _block_17(n: int) -> dict[str, Branch]:
    return {
        "branch1x1": ((192, 1, 1),),
        "branch7x7": ((n, 1, 1), (n, 1, 7), (192, 7, 1)),
        "branch7x7dbl": ((n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)),
        "branch_pool": ((192, 1, 1),),
    }


_TO_17: dict[str, Branch] = {
    "branch3x3": ((384, 3, 3, 2, "VALID"),),
    "branch3x3dbl": ((64, 1, 1), (96, 3, 3), (96, 3, 3, 2, "VALID")),
}
_TO_8: dict[str, Branch] = {
    "branch3x3": ((192, 1, 1), (320, 3, 3, 2, "VALID")),
    "branch7x7x3": ((192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3, 2, "VALID")),
}
_FORK = ((384, 1, 3), (384, 3, 1))
_BLOCK_8: dict[str, Branch] = {
    "branch1x1": ((320, 1, 1),),
    "branch3x3": ((384, 1, 1), _FORK),
    "branch3x3dbl": ((448, 1, 1), (384, 3, 3), _FORK),
    "branch_pool": ((192, 1, 1),),
}
_BLOCKS = {
    "Mixed_5b": _block_35(32),
    "Mixed_5c": _block_35(64),
    "Mixed_5d": _block_35(64),
    "Mixed_6a": _TO_17,
    "Mixed_6b": _block_17(128),
    "Mixed_6c": _block_17(160),
    "Mixed_6d": _block_17(160),
    "Mixed_6e": _block_17(192),
    "Mixed_7a": _TO_8,
    "Mixed_7b": _BLOCK_8,
    "Mixed_7c": _BLOCK_8,
}

_average = partial(
    nn.avg_pool, window_shape=(3, 3), strides=(1, 1), padding="SAME", count_include_pad=False
)
_highest = partial(nn.max_pool, window_shape=(3, 3), strides=(1, 1), padding="SAME")
_halved = partial(nn.max_pool, window_shape=(3, 3), strides=(2, 2), padding="VALID")


_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
"""PyTorch's names of what Flax calls so."""
_CONSTANTS = {
    "conv.weight": "conv2d_params",
    "bn.weight": "batchnorm/gamma",
    "bn.bias": "batchnorm/beta",
    "bn.running_mean": "batchnorm/moving_mean",
    "bn.running_var": "batchnorm/moving_variance",
}
"""TensorFlow's names of what PyTorch calls so."""
_TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
_TO_FLAX = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
_UNUSED = ("fc.bias", "AuxLogits.", "num_batches_tracked")


class InceptionV3(nn.Module):
    """Map images, as `preprocess` makes them, to 2,048 features and 1,008 logits.

    The features are the mean over places of the last block: those of the FID and the KID. The
    logits are W · features, without the bias that the classifier has: those of published Inception
    scores. Batch normalisation uses the statistics among the weights, always: the network is not
    trained here. Products are in full float32 on every platform.

    Szegedy et al. 2016, table 1, as the graph of 2015 has it (see the module).

    Raises:
        ValueError: the images are not 299x299 in 3 channels.
    """

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width channels"]
    ) -> tuple[Float[Array, "num 2048"], Float[Array, "num 1008"]]:
        if x.shape[1:] != (SIDE, SIDE, 3):
            raise Refusal(
                f"The images are of shape {x.shape[1:]}; Inception-v3 takes (299, 299, 3): give it "
                "what inception.preprocess makes of bytes."
            )
        for name, layer in _STEM.items():
            x = _convolved(x, name, *layer)
            x = _halved(x) if name in _POOLED else x
        for name, branches in _BLOCKS.items():
            x = _mixed(x, name, branches)
        features = jnp.mean(x, axis=(1, 2))
        logits = nn.Dense(1008, use_bias=False, precision="highest", name="fc")
        return features, logits(features)


def _mixed(x: jax.Array, block: str, branches: Mapping[str, Branch]) -> jax.Array:
    pooled = _highest if block == "Mixed_7c" else _average
    outputs = []
    for branch, row in branches.items():
        y = pooled(x) if branch == "branch_pool" else x
        for side_by_side in _named(branch, row):
            maps = [_convolved(y, f"{block}.{name}", *layer) for name, layer in side_by_side]
            y = jnp.concatenate(maps, axis=-1)
        outputs.append(y)
    if "branch_pool" not in branches:
        outputs.append(_halved(x))
    return jnp.concatenate(outputs, axis=-1)


def _convolved(
    x: jax.Array,
    name: str,
    features: int,
    height: int,
    width: int,
    strides: int = 1,
    padding: str = "SAME",
) -> jax.Array:
    """ReLU of a convolution and its batch normalisation."""
    x = Conv(
        features,
        (height, width),
        strides=(strides, strides),
        padding=padding,
        use_bias=False,
        precision="highest",
        name=f"{name}.conv",
    )(x)
    return nn.relu(nn.BatchNorm(True, epsilon=1e-3, name=f"{name}.bn")(x))


def _named(branch: str, row: Branch) -> Iterator[list[tuple[str, Layer]]]:
    """Name the layers of a branch: numbered where there are several, `a` and `b` in a pair."""
    for number, layer in enumerate(row, 1):
        name = branch if len(row) == 1 else f"{branch}_{number}"
        if isinstance(layer[0], int):
            yield [(name, layer)]
        else:
            yield [(f"{name}{letter}", one) for letter, one in zip("ab", layer, strict=True)]


def preprocess(
    images: UInt8[Array, "num height width channels"]
    | UInt8[np.ndarray, "num height width channels"],
) -> Float[Array, "num 299 299 3"]:
    """Bring bytes to the network's size and range: (x - 128) / 128, after resizing in 0..255.

    Pixel i of 299 lies at i · size / 299 between two old pixels, and is their mean by distance;
    beyond the last one it is the last. This is bilinear resizing as TensorFlow 1 has it: corners
    aligned at the origin alone, no half pixels, no antialiasing where images shrink. Grey images
    are repeated in three channels. Do not resize images before, nor scale them.

    Raises:
        ValueError: the images are not of bytes, there are none, or their channels are neither 1
            nor 3.
    """
    if images.dtype != jnp.uint8:
        raise Refusal(
            f"The images are {images.dtype}; Inception-v3 sees bytes (uint8): bring images in "
            "[-1, 1] there with gan_jax.data.to_uint8."
        )
    if images.ndim != 4 or images.size == 0 or images.shape[-1] not in (1, 3):
        raise Refusal(
            f"The images are of shape {images.shape}; Inception-v3 sees at least one image, as "
            "(num, height, width, channels) with 1 or 3 channels."
        )
    x = jnp.asarray(images, jnp.float32)
    x = _resized(_resized(x, axis=2), axis=1)
    return jnp.broadcast_to((x - 128) / 128, (*x.shape[:3], 3))


def _resized(x: jax.Array, axis: int) -> jax.Array:
    size = x.shape[axis]
    places = np.arange(SIDE, dtype=np.float32) * np.float32(size / SIDE)
    low = places.astype(np.int32)
    share = np.expand_dims(places - low.astype(np.float32), [n for n in range(4) if n != axis])
    below, above = (x.take(at, axis) for at in (low, np.minimum(low + 1, size - 1)))
    return below + (above - below) * share


def from_state_dict(arrays: Mapping[str, np.ndarray]) -> PyTree:
    """Make the network's variables of its weights, under PyTorch's names or TensorFlow's.

    >>> from gan_jax import data
    >>> from gan_jax.nets import inception
    >>> variables = inception.from_state_dict(data.read_weights(path))  # doctest: +SKIP
    >>> network = inception.InceptionV3()
    >>> features, logits = network.apply(
    ...     variables, inception.preprocess(images)
    ... )  # doctest: +SKIP

    Names with a slash are those of TensorFlow's graph, as `graph_names` has them. What the
    network does not use is left out: the last bias (`fc.bias`), `num_batches_tracked`, and an
    auxiliary head (`AuxLogits`).

    Raises:
        ValueError: an array is missing, of another shape, or unknown.
    """
    if any("/" in name for name in arrays):
        arrays = _from_graph(arrays)
    shapes = state_dict_names()
    _check_names(arrays, shapes)
    variables = {}
    for path, name in _names().items():
        array = np.asarray(arrays[name])
        if array.shape != shapes[name]:
            raise Refusal(
                f"Of the weights {name} is of shape {array.shape}, but must be {shapes[name]}: "
                "give those of pytorch-fid or torch-fidelity; torchvision's are other ones."
            )
        variables[path] = jnp.asarray(array.transpose(_TO_FLAX[array.ndim]), jnp.float32)
    return unflatten_dict(variables)


def _check_names(arrays: Collection[str], expected: Collection[str]) -> None:
    missing = [name for name in expected if name not in arrays]
    unknown = [
        name
        for name in arrays
        if name not in expected and not any(part in name for part in _UNUSED)
    ]
    for names, what in ((missing, "missing"), (unknown, "not among those of Inception-v3")):
        if names:
            raise Refusal(
                f"Of the weights {names[0]} is {what}, and so are {len(names) - 1} more; give what "
                "inception.state_dict_names() names, as the files of pytorch-fid and "
                "torch-fidelity hold it."
            )


def state_dict_names() -> dict[str, tuple[int, ...]]:
    """Give the shape of every array that the network uses, by its name in PyTorch's state dict."""
    shapes = {name: _flat_shapes()[path] for path, name in _names().items()}
    return {name: tuple(s[axis] for axis in _TO_TORCH[len(s)]) for name, s in shapes.items()}


def graph_names() -> dict[str, str]:
    """Give the name in TensorFlow's graph of every array, by its name in PyTorch's state dict.

    Scopes are numbered as the graph was built: layers in a row, towers of a block, blocks.
    """
    scopes = {layer: _scope("conv", number) for number, layer in enumerate(_STEM)}
    for number, (block, branches) in enumerate(_BLOCKS.items()):
        towers = [name for name, row in branches.items() if name == "branch_pool" or len(row) > 1]
        for branch, row in branches.items():
            scope = _scope("mixed", number)
            if branch in towers:
                scope += "/" + _scope("tower", towers.index(branch))
            for place, layers in enumerate(_named(branch, row)):
                for letter, (name, _) in enumerate(layers):
                    is_pair = len(layers) > 1
                    inner = "mixed/" + _scope("conv", letter) if is_pair else _scope("conv", place)
                    scopes[f"{block}.{name}"] = f"{scope}/{inner}"
    return {"fc.weight": "softmax/weights"} | {
        f"{layer}.{ours}": f"{scope}/{theirs}"
        for layer, scope in scopes.items()
        for ours, theirs in _CONSTANTS.items()
    }


def _scope(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _from_graph(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name and turn the constants of TensorFlow's graph as PyTorch does; leave out the others."""
    state = {}
    for name, constant in graph_names().items():
        if constant not in arrays:
            raise Refusal(
                f"The graph has no constant {constant}; give classify_image_graph_def.pb out of "
                "inception-2015-12-05.tgz."
            )
        array = np.asarray(arrays[constant])
        state[name] = array.transpose(_TO_TORCH.get(array.ndim))
    return state


@cache
def _flat_shapes() -> dict[tuple[str, ...], tuple[int, ...]]:
    """The shape of every variable, by its path."""
    x = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    variables = jax.eval_shape(InceptionV3().init, jax.random.key(0), x)
    return {path: leaf.shape for path, leaf in flatten_dict(variables).items()}


def _names() -> dict[tuple[str, ...], str]:
    """PyTorch's name of every variable, by its path: its module's, and what it is."""
    return {path: f"{path[1]}.{_LEAVES[path[2]]}" for path in _flat_shapes()}
