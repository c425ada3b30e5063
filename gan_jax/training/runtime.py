"""K steps as one dispatch: on one device, on a mesh of all, or by `pmap`."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from gan_jax.checks import check_choice
from gan_jax.errors import Refusal
from gan_jax.games.core import device_key
from gan_jax.training.compile import (
    AXIS,
    Parallel,
    data_mesh,
    jit_with_options,
    scan_steps,
    split,
    stack,
    unstack,
)
from gan_jax.typing import Batch, KeyArray, PyTree, Step

Read: TypeAlias = Callable[[KeyArray, PyTree, PyTree], Batch]


class Runtime(NamedTuple):
    """K steps as one dispatch, and how arrays get to where it runs.

    place: state -> the same state on the devices.
    place_whole, place_chunk: bring to the devices what each needs whole (the key, the resident
        arrays), and what a process has read of a chunk.
    dispatch: (key, start, state, resident, chunk) -> (state, metrics of each step).
    view: the placed state -> one replica, shaped as before.
    devices: those it runs on, of all processes.
    num_replicas: of the placed state, along its first axis; None where it is one.
    """

    place: Callable[[PyTree], PyTree]
    place_whole: Callable[[PyTree], PyTree]
    place_chunk: Callable[[PyTree], PyTree]
    dispatch: Callable[[KeyArray, int, PyTree, PyTree, PyTree], tuple[PyTree, PyTree]]
    view: Callable[[PyTree], PyTree]
    devices: list[Any]
    num_replicas: int | None = None


def runtime(step: Step, read: Read, *, parallel: Parallel, batch_size: int) -> Runtime:
    """Compile K steps for one device, for a mesh of all, or by `pmap` over the local ones.

    For `pmap` the step must have been given `axis_name="data"`.

    Raises:
        ValueError: `parallel` is none of the three, the batch does not divide over the devices,
            several processes without "jit".
    """
    devices = check_devices(parallel, batch_size)
    return (_pmapped if parallel == "pmap" else _sharded)(step, read, devices)


def check_devices(parallel: Parallel, batch_size: int) -> list[Any]:
    """Give the devices to run on; raise what `runtime` raises."""
    check_choice(get_args(Parallel), parallel=parallel)
    if parallel != "jit" and jax.process_count() > 1:
        raise Refusal(
            f"{jax.process_count()} processes train together under sharded jit alone, not under "
            f'"{parallel}": choose --parallel jit where the experiment has it, else one process.'
        )
    devices = jax.devices()[: 1 if parallel == "none" else None]
    if batch_size % len(devices):
        raise Refusal(
            f"batch_size={batch_size} does not divide over {len(devices)} devices; "
            f"choose a multiple of {len(devices)}."
        )
    return devices


def _sharded(step: Step, read: Read, devices: list[Any]) -> Runtime:
    mesh = data_mesh(devices)
    whole = NamedSharding(mesh, PartitionSpec())
    along_rows = NamedSharding(mesh, PartitionSpec(AXIS))
    in_chunk = NamedSharding(mesh, PartitionSpec(None, AXIS))

    def read_share(key, resident, item):
        # Without the constraint every device would draw the whole of a batch that is drawn.
        return jax.lax.with_sharding_constraint(read(key, resident, item), along_rows)

    compiled = jit_with_options(
        scan_steps(step, read_share),
        in_shardings=(whole, whole, whole, whole, in_chunk),
        out_shardings=(whole, whole),
        donate_argnums=2,
    )
    return Runtime(
        place=partial(_put, sharding=whole),
        place_whole=partial(_put, sharding=whole),
        place_chunk=partial(
            jax.tree.map, lambda leaf: jax.make_array_from_process_local_data(in_chunk, leaf)
        ),
        dispatch=lambda key, start, *rest: compiled(key, np.int32(start), *rest),
        view=lambda state: state,
        devices=devices,
    )


def _put(tree: PyTree, sharding: NamedSharding) -> PyTree:
    """Put a tree on the devices of all processes, which JAX does for keys by their data alone.

    An array that stands in it twice becomes two, for none can be donated twice.
    """
    seen = set()

    def one(leaf):
        if id(leaf) in seen:
            leaf = jnp.copy(leaf)
        seen.add(id(leaf))
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.device_put(leaf, sharding)
        data = jax.device_put(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))

    return jax.tree.map(one, tree)


def _pmapped(step: Step, read: Read, devices: list[Any]) -> Runtime:
    mesh = data_mesh(devices)
    each, whole = NamedSharding(mesh, PartitionSpec(AXIS)), NamedSharding(mesh, PartitionSpec())

    def read_own(key, resident, item):
        return read(device_key(key, AXIS), resident, item)

    steps = scan_steps(step, read_own)

    def packed(state, rest):
        key, start, resident, chunk = rest
        return steps(key, start, state, resident, chunk)

    # Where leaves are as many as arguments, pmap takes in_axes for theirs: here they are more.
    compiled = jax.pmap(packed, AXIS, in_axes=(0, (None, None, None, 0)), donate_argnums=0)

    def dispatch(key, start, state, resident, chunk):
        state, metrics = compiled(state, (key, np.int32(start), resident, chunk))
        return state, unstack(metrics)

    return Runtime(
        place=lambda state: jax.device_put(stack(state, len(devices)), each),
        place_whole=lambda arrays: jax.device_put(arrays, whole),
        place_chunk=partial(split, num_devices=len(devices), axis=1),
        dispatch=dispatch,
        view=unstack,
        devices=devices,
        num_replicas=len(devices),
    )
