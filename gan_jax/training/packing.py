"""A state as one array of bytes, and a manifest from which it can be built again."""

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.tree_util import DictKey, FlattenedIndexKey, GetAttrKey, SequenceKey

from gan_jax.typing import PyTree


class Packed(NamedTuple):
    """The bytes of all leaves, one after another.

    step, run: of which step of which run the state is.
    leaves: the path of each in the tree, its dtype and its shape.
    key_impls: the generator of each leaf of typed keys, None for others.
    num_replicas: of a state of `pmap`, along the first axis of every leaf; else None.
    """

    step: int
    run: str
    leaves: list[dict[str, Any]]
    key_impls: list[str | None]
    num_replicas: int | None
    data: np.ndarray

    def manifest(self) -> dict[str, Any]:
        """Give all but the bytes, ready for JSON, and the digest that vouches for both."""
        said = {name: value for name, value in self._asdict().items() if name != "data"}
        digest = hashlib.sha256(json.dumps(said).encode())
        digest.update(self.data.data)
        return said | {"sha256": digest.hexdigest()}


def pack(state: PyTree, *, step: int, run: str, num_replicas: int | None = None) -> Packed:
    """Bring a state to the host."""
    leaves = jax.tree.leaves(state)
    impls = [str(jax.random.key_impl(leaf)) if _is_key(leaf) else None for leaf in leaves]
    data = b"".join(_to_host(leaf).tobytes() for leaf in leaves)
    return Packed(step, run, describe(state), impls, num_replicas, np.frombuffer(data, np.uint8))


def num_bytes(leaves: list[dict[str, Any]], key_impls: list[str | None]) -> int:
    """How many bytes a manifest promises."""
    return sum(math.prod(shape) * dtype.itemsize for shape, dtype in _layout(leaves, key_impls))


def describe(state: PyTree) -> list[dict[str, Any]]:
    """Give the `leaves` of a state, or of its `jax.ShapeDtypeStruct`s."""
    return [
        {
            "path": [_name(entry) for entry in path],
            "dtype": str(leaf.dtype),
            "shape": list(leaf.shape),
        }
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    ]


def unpack(packed: Packed, like: PyTree) -> PyTree:
    """Build the state again, with the structure and the shardings of `like`."""
    targets = jax.tree.leaves(like)
    leaves = [
        _as_key(_place(value, target), impl)
        for (value, impl), target in zip(_values(packed), targets, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def unpack_by_names(packed: Packed) -> PyTree:
    """Build one replica of the state as nested dicts, in which what has no leaf leaves no trace."""
    root = {}
    for leaf, (value, impl) in zip(packed.leaves, _values(packed), strict=True):
        *parents, name = ["", *leaf["path"]]  # a state may be a single leaf, without a name
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = _as_key(jnp.array(value if packed.num_replicas is None else value[0]), impl)
    return root.get("", {})


def _name(entry: Any) -> str | int:
    match entry:
        case SequenceKey(idx=name) | GetAttrKey(name=name):
            return name
        case DictKey(key=name) | FlattenedIndexKey(key=name) if isinstance(name, str | int):
            return name
    return str(entry)


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _to_host(leaf: jax.Array) -> np.ndarray:
    if _is_key(leaf):
        leaf = jax.random.key_data(leaf)
    if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
    return np.asarray(leaf)


def _values(packed: Packed) -> Iterator[tuple[np.ndarray, str | None]]:
    """Cut the bytes into leaves; those of keys are the numbers that keys are made of."""
    start = 0
    layout = _layout(packed.leaves, packed.key_impls)
    for (shape, dtype), impl in zip(layout, packed.key_impls, strict=True):
        stop = start + math.prod(shape) * dtype.itemsize
        yield packed.data[start:stop].view(dtype).reshape(shape), impl
        start = stop


def _layout(
    leaves: list[dict[str, Any]], key_impls: list[str | None]
) -> Iterator[tuple[list[int], np.dtype]]:
    for leaf, impl in zip(leaves, key_impls, strict=True):
        shape, dtype = leaf["shape"], leaf["dtype"]
        if impl:
            numbers = jax.random.key_data(jax.random.key(0, impl=impl))
            shape, dtype = [*shape, *numbers.shape], numbers.dtype
        yield shape, jnp.dtype(dtype)


def _place(value: np.ndarray, target: Any) -> jax.Array:
    if target.sharding is None or not getattr(target, "committed", True):
        return jnp.array(value)
    return jax.make_array_from_callback(
        value.shape, target.sharding, lambda index: np.array(value[index])
    )


def _as_key(array: jax.Array, impl: str | None) -> jax.Array:
    return jax.random.wrap_key_data(array, impl=impl) if impl else array
