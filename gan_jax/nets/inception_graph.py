"""The layers of Inception-v3, block by block, under PyTorch's names and under TensorFlow's.

Szegedy et al. 2016, table 1 and figures 5, 6, 7 and 10, with the numbers of features that the graph
of 2015 has. `inception.py` says what follows what.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias


class Layer(NamedTuple):
    """A convolution without a bias, batch normalisation and ReLU."""

    features: int
    height: int = 1
    width: int = 1
    strides: int = 1
    padding: str = "SAME"


Branch: TypeAlias = tuple[Layer | tuple[Layer, Layer], ...]
"""Layers in a row; both of a pair read what is before them."""
Block: TypeAlias = dict[str, Branch]
"""Branches that read the same maps. `branch_pool` reads them pooled; where there is none, the maps
themselves are pooled to half their size, beside the others."""

STEM = {
    "Conv2d_1a_3x3": Layer(32, 3, 3, 2, "VALID"),
    "Conv2d_2a_3x3": Layer(32, 3, 3, 1, "VALID"),
    "Conv2d_2b_3x3": Layer(64, 3, 3),
    "Conv2d_3b_1x1": Layer(80),
    "Conv2d_4a_3x3": Layer(192, 3, 3, 1, "VALID"),
}


def _at_35(num_pooled: int) -> Block:
    return {
        "branch1x1": (Layer(64),),
        "branch5x5": (Layer(48), Layer(64, 5, 5)),
        "branch3x3dbl": (Layer(64), Layer(96, 3, 3), Layer(96, 3, 3)),
        "branch_pool": (Layer(num_pooled),),
    }


def _at_17(n: int) -> Block:
    down, across = Layer(n, 7, 1), Layer(n, 1, 7)
    return {
        "branch1x1": (Layer(192),),
        "branch7x7": (Layer(n), across, Layer(192, 7, 1)),
        "branch7x7dbl": (Layer(n), down, across, down, Layer(192, 1, 7)),
        "branch_pool": (Layer(192),),
    }


_TO_17: Block = {
    "branch3x3": (Layer(384, 3, 3, 2, "VALID"),),
    "branch3x3dbl": (Layer(64), Layer(96, 3, 3), Layer(96, 3, 3, 2, "VALID")),
}
_TO_8: Block = {
    "branch3x3": (Layer(192), Layer(320, 3, 3, 2, "VALID")),
    "branch7x7x3": (
        Layer(192),
        Layer(192, 1, 7),
        Layer(192, 7, 1),
        Layer(192, 3, 3, 2, "VALID"),
    ),
}
_PAIR = (Layer(384, 1, 3), Layer(384, 3, 1))
_AT_8: Block = {
    "branch1x1": (Layer(320),),
    "branch3x3": (Layer(384), _PAIR),
    "branch3x3dbl": (Layer(448), Layer(384, 3, 3), _PAIR),
    "branch_pool": (Layer(192),),
}
BLOCKS = {
    "Mixed_5b": _at_35(32),
    "Mixed_5c": _at_35(64),
    "Mixed_5d": _at_35(64),
    "Mixed_6a": _TO_17,
    "Mixed_6b": _at_17(128),
    "Mixed_6c": _at_17(160),
    "Mixed_6d": _at_17(160),
    "Mixed_6e": _at_17(192),
    "Mixed_7a": _TO_8,
    "Mixed_7b": _AT_8,
    "Mixed_7c": _AT_8,
}

_CONSTANTS = {
    "conv.weight": "conv2d_params",
    "bn.weight": "batchnorm/gamma",
    "bn.bias": "batchnorm/beta",
    "bn.running_mean": "batchnorm/moving_mean",
    "bn.running_var": "batchnorm/moving_variance",
}
"""What PyTorch and TensorFlow call the arrays of a layer."""


def named_layers(name: str, branch: Branch) -> Iterator[dict[str, Layer]]:
    """Name what a branch does in a row: numbered where it is several, `a` and `b` in a pair."""
    for number, step in enumerate(branch, 1):
        numbered = f"{name}_{number}" if len(branch) > 1 else name
        if isinstance(step, Layer):
            yield {numbered: step}
        else:
            yield {numbered + letter: layer for letter, layer in zip("ab", step, strict=True)}


def graph_names() -> dict[str, str]:
    """Give the name in TensorFlow's graph of every array, by its name in PyTorch's state dict.

    Of layers of one kind in one scope all but the first are numbered, in the order in which the
    graph was built; a branch of one layer is no tower.
    """
    scopes = {layer: _numbered("conv", index) for index, layer in enumerate(STEM)}
    for index, (name, block) in enumerate(BLOCKS.items()):
        towers = [key for key, branch in block.items() if key == "branch_pool" or len(branch) > 1]
        for key, branch in block.items():
            scope = _numbered("mixed", index)
            if key in towers:
                scope += "/" + _numbered("tower", towers.index(key))
            for place, layers in enumerate(named_layers(key, branch)):
                for letter, layer in enumerate(layers):
                    is_pair = len(layers) == 2
                    inner = _numbered("mixed/conv", letter) if is_pair else _numbered("conv", place)
                    scopes[f"{name}.{layer}"] = f"{scope}/{inner}"
    names = {
        f"{layer}.{ours}": f"{scope}/{theirs}"
        for layer, scope in scopes.items()
        for ours, theirs in _CONSTANTS.items()
    }
    return names | {"fc.weight": "softmax/weights"}


def _numbered(name: str, index: int) -> str:
    return f"{name}_{index}" if index else name
