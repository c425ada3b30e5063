"""Inception-v3 of published FIDs: the network, how it sees images, and whose weights it takes.

The classifier of Szegedy et al. 2016, as TensorFlow's graph of December 2015 has it, on which
Heusel et al. 2017 defined the FID. From torchvision's it differs in that average pools do not count
the padding, the last block's pool is a maximum, and there are 1,008 classes and no auxiliary head;
and images are resized by TensorFlow 1's rule.

No weights come with the library. These files hold them:

* `inception-2015-12-05.tgz`, of which `classify_image_graph_def.pb` is read as it is;
* `pt_inception-2015-12-05-6726825d.pth` of pytorch-fid, which torch-fidelity calls
  `weights-inception-2015-12-05-6726825d.pth`: its SHA-256 begins as its name ends. It is a pickle,
  to be converted once, and `gan_jax.data.read_weights` says how.

NVIDIA's `inception-2015-12-05.pt` is TorchScript, which is code: it is not read.
"""

from collections.abc import Collection, Mapping
from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, UInt8

from gan_jax.errors import Refusal
from gan_jax.nets.inception_graph import BLOCKS, STEM, Block, Layer, graph_names, named_layers
from gan_jax.nets.layers import Conv
from gan_jax.typing import PyTree

SIDE = 299

_halved = partial(nn.max_pool, window_shape=(3, 3), strides=(2, 2), padding="VALID")
_highest = partial(nn.max_pool, window_shape=(3, 3), strides=(1, 1), padding="SAME")
_average = partial(
    nn.avg_pool, window_shape=(3, 3), strides=(1, 1), padding="SAME", count_include_pad=False
)
_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
"""What Flax and PyTorch call the arrays of a layer."""
_TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
_TO_FLAX = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
_UNUSED = ("fc.bias", "num_batches_tracked", "AuxLogits.")


class InceptionV3(nn.Module):
    """Map images, as `preprocess` makes them, to 2,048 features and 1,008 logits.

    The features are the means of the last maps: those of published FIDs and KIDs. The logits are
    W · features, without the bias that the classifier has: those of published Inception scores.
    Batch normalisation always uses the statistics among the weights, for the network is not trained
    here. Products are in full float32 on every platform.

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
        for name, layer in STEM.items():
            x = _convolved(x, name, layer)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = _halved(x)
        for name, block in BLOCKS.items():
            x = _mixed(x, name, block)
        features = jnp.mean(x, axis=(1, 2))
        logits = nn.Dense(1008, use_bias=False, precision="highest", name="fc")
        return features, logits(features)


def _mixed(x: jax.Array, name: str, block: Block) -> jax.Array:
    """Join what the branches of a block make."""
    pooled = _highest if name == "Mixed_7c" else _average
    outputs = []
    for key, branch in block.items():
        y = pooled(x) if key == "branch_pool" else x
        for layers in named_layers(key, branch):
            maps = [_convolved(y, f"{name}.{place}", layer) for place, layer in layers.items()]
            y = jnp.concatenate(maps, axis=-1)
        outputs.append(y)
    if "branch_pool" not in block:
        outputs.append(_halved(x))
    return jnp.concatenate(outputs, axis=-1)


def _convolved(x: jax.Array, name: str, layer: Layer) -> jax.Array:
    x = Conv(
        layer.features,
        (layer.height, layer.width),
        strides=(layer.strides, layer.strides),
        padding=layer.padding,
        use_bias=False,
        precision="highest",
        name=f"{name}.conv",
    )(x)
    return nn.relu(nn.BatchNorm(use_running_average=True, epsilon=1e-3, name=f"{name}.bn")(x))


def preprocess(
    images: UInt8[Array, "num height width channels"]
    | UInt8[np.ndarray, "num height width channels"],
) -> Float[Array, "num 299 299 3"]:
    """Bring bytes to the network's size and range: (x - 128) / 128, after resizing in 0..255.

    Pixel i of 299 lies at i · size / 299 between two old pixels, and is their mean by distance;
    beyond the last one it is the last. This is bilinear resizing as TensorFlow 1 has it: corners
    aligned at the origin alone, no half pixels, no antialiasing where images shrink. Grey images
    are repeated in three channels. Do not resize images before, nor scale them; and take some
    hundred at a time, for each becomes a megabyte.

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


def state_dict_names() -> dict[str, tuple[int, ...]]:
    """Give the shape of every array that the network uses, by its name in PyTorch's state dict."""
    return {
        _name(path): tuple(shape[axis] for axis in _TO_TORCH[len(shape)])
        for path, shape in _shapes().items()
    }


def from_state_dict(arrays: Mapping[str, np.ndarray]) -> PyTree:
    """Make the network's variables of its weights, under PyTorch's names or TensorFlow's.

    >>> from gan_jax import data
    >>> from gan_jax.nets import inception
    >>> weights = data.read_weights("classify_image_graph_def.pb")  # doctest: +SKIP
    >>> variables = inception.from_state_dict(weights)  # doctest: +SKIP
    >>> x = inception.preprocess(images)  # doctest: +SKIP
    >>> features, logits = inception.InceptionV3().apply(variables, x)  # doctest: +SKIP

    Names with a slash are those of TensorFlow's graph, whose other constants are left out. Of
    PyTorch's these are left out: `fc.bias`, `num_batches_tracked`, and `AuxLogits`.

    Raises:
        ValueError: an array is missing, of another shape, or not the network's.
    """
    if any("/" in name for name in arrays):
        arrays = _from_graph(arrays)
    shapes = state_dict_names()
    _check_names(arrays, shapes)
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise Refusal(
                f"Of the weights {name} is of shape {arrays[name].shape} and must be {shape}: give "
                "those of pytorch-fid or torch-fidelity; torchvision's are another network's."
            )
    named = {path: arrays[_name(path)] for path in _shapes()}
    flat = {p: jnp.asarray(a.transpose(_TO_FLAX[a.ndim]), jnp.float32) for p, a in named.items()}
    return unflatten_dict(flat)


def _check_names(arrays: Collection[str], expected: Collection[str]) -> None:
    unused = [name for name in arrays if any(part in name for part in _UNUSED)]
    missing = [name for name in expected if name not in arrays]
    foreign = [name for name in arrays if name not in expected and name not in unused]
    for names, what in ((missing, "lack"), (foreign, "hold what is not the network's:")):
        if names:
            raise Refusal(
                f"The weights {what} {', '.join(names[:3])} ({len(names)} in all): give what "
                "inception.state_dict_names() names, the arrays of pytorch-fid or torch-fidelity."
            )


def _from_graph(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name and turn the constants of TensorFlow's graph as PyTorch does."""
    names = graph_names()
    missing = [constant for constant in names.values() if constant not in arrays]
    if missing:
        raise Refusal(
            f"The graph lacks {', '.join(missing[:3])} ({len(missing)} in all): give "
            "classify_image_graph_def.pb of inception-2015-12-05.tgz."
        )
    named = {name: arrays[constant] for name, constant in names.items()}
    return {name: array.transpose(_TO_TORCH.get(array.ndim)) for name, array in named.items()}


@cache
def _shapes() -> dict[tuple[str, ...], tuple[int, ...]]:
    """The shape of every variable, by its path: collection, module, leaf."""
    x = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    variables = jax.eval_shape(InceptionV3().init, jax.random.key(0), x)
    return jax.tree.map(jnp.shape, flatten_dict(variables))


def _name(path: tuple[str, ...]) -> str:
    _, module, leaf = path
    return f"{module}.{_LEAVES[leaf]}"
