"""How a step is compiled: for one device, for a mesh of devices, by pmap, and K steps at once.

A step is any function (key, state, batch) -> (state, metrics). The state is donated everywhere:
its buffers are gone after the call. Batch statistics are global under sharded `jit`; under `pmap`
they are each device's own, and then averaged, unless the network is given the axis name. Losses
that are no mean over examples differ between the two for the same reason.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import get_opaque_trace_state
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax.errors import Refusal
from gan_jax.typing import Batch, KeyArray, PyTree, Step

AXIS = "data"
"""The mesh's one axis, and pmap's: that over which batches are split."""

Parallel: TypeAlias = Literal["jit", "pmap", "none"]

_YNNPACK_REDUCES = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}
_AT_TOP = get_opaque_trace_state()


class Runtime(NamedTuple):
    """K steps as one dispatch, and how arrays get to where it runs.

    place: state -> the same state on the devices.
    place_whole, place_chunk: bring to the devices what each needs whole (the key, the resident
        arrays), and what a process has read of a chunk.
    dispatch: (key, start, state, resident, chunk) -> (state, metrics of each step).
    view: the placed state -> one replica, shaped as before.
    """

    place: Callable[[PyTree], PyTree]
    place_whole: Callable[[PyTree], PyTree]
    place_chunk: Callable[[PyTree], PyTree]
    dispatch: Callable[[KeyArray, int, PyTree, PyTree, PyTree], tuple[PyTree, PyTree]]
    view: Callable[[PyTree], PyTree]


@cache
def compiler_options() -> dict[str, str]:
    """What to give `jax.jit` as its `compiler_options`: on a CPU, YNNPACK for reductions alone.

    Its other fusions slow the steps of convolutional networks down, by the ratios in
    experiments/benchmarks/README.md. Elsewhere, and for a JAX that does not know the option, there
    is nothing to give.
    """
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=_YNNPACK_REDUCES).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return _YNNPACK_REDUCES


def _jit(function: Callable, **arguments: Any) -> Callable:
    """`jax.jit` with these options wherever JAX takes them: not under a transformation."""
    plain = jax.jit(function, **arguments)

    @cache
    def with_options() -> Callable:
        return jax.jit(function, compiler_options=compiler_options(), **arguments)

    def call(*operands, **named):
        at_top = get_opaque_trace_state() == _AT_TOP
        return (with_options() if at_top else plain)(*operands, **named)

    return call


def data_mesh(devices: list[Any] | None = None) -> Mesh:
    """Put the devices, by default all there are, on one axis over which batches are split."""
    return Mesh(np.array(devices or jax.devices()), (AXIS,))


def jit_step(step: Step, *, mesh: Mesh | None = None) -> Step:
    """Compile a step: the state replicated over the mesh and donated, the batch split over it.

    Without a mesh, for one device.
    """
    if mesh is None:
        return _jit(step, donate_argnums=1)
    whole, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))
    compiled = _jit(
        step, in_shardings=(whole, whole, split), out_shardings=(whole, whole), donate_argnums=1
    )

    def call(key, state, batch):
        # The first state is placed like every later one: JAX would compile twice for two places.
        return compiled(key, jax.device_put(state, whole), batch)

    return call


def pmap_step(step: Step, *, devices: list[Any] | None = None) -> Step:
    """Compile a step for `pmap`; the step must have been given `axis_name="data"`.

    The state has a leading axis of devices (`stack`); batches are split here.
    """
    devices = devices or jax.local_devices()
    mapped = jax.pmap(step, AXIS, in_axes=(None, 0, 0), devices=devices, donate_argnums=1)
    each = NamedSharding(data_mesh(devices), PartitionSpec(AXIS))

    def call(key, state, batch):
        state = jax.device_put(state, each)  # as in jit_step
        state, metrics = mapped(key, state, split(batch, len(devices)))
        return state, unstack(metrics)

    return call


def scan_steps(step: Step, read: Callable[[PyTree, PyTree], Batch]) -> Callable:
    """Make K steps one function: (key, start, state, resident, chunk) -> (state, metrics).

    Step t has the key fold_in(key, t) and the batch read(resident, chunk[t - start]); the
    metrics have a leading axis K.
    """

    def steps(key, start, state, resident, chunk):
        num_steps = jax.tree.leaves(chunk)[0].shape[0]

        def one(state, at):
            t, item = at
            return step(jax.random.fold_in(key, t), state, read(resident, item))

        return jax.lax.scan(one, state, (start + jnp.arange(num_steps), chunk))

    return steps


def runtime(
    step: Step, read: Callable[[PyTree, PyTree], Batch], *, parallel: Parallel, batch_size: int
) -> Runtime:
    """Compile K steps for one device, for a mesh of all, or by `pmap` over the local ones.

    For `pmap` the step must have been given `axis_name="data"`.

    Raises:
        ValueError: the batch does not divide over the devices, several processes without "jit".
    """
    if parallel != "jit" and jax.process_count() > 1:
        raise Refusal(
            f"{jax.process_count()} processes train together under sharded jit alone, not under "
            f'"{parallel}": choose --parallel jit where the experiment has it, else one process.'
        )
    num_devices = 1 if parallel == "none" else jax.device_count()
    if batch_size % num_devices:
        raise Refusal(
            f"batch_size={batch_size} does not divide over {num_devices} devices; "
            f"choose a multiple of {num_devices}."
        )
    steps = scan_steps(step, read)
    return _pmapped(steps) if parallel == "pmap" else _sharded(steps, jax.devices()[:num_devices])


def _sharded(steps: Callable, devices: list[Any]) -> Runtime:
    mesh = data_mesh(devices)
    whole = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec(None, AXIS))
    compiled = _jit(
        steps,
        in_shardings=(whole, whole, whole, whole, split),
        out_shardings=(whole, whole),
        donate_argnums=2,
    )
    return Runtime(
        place=partial(_put, sharding=whole),
        place_whole=partial(_put, sharding=whole),
        place_chunk=partial(
            jax.tree.map, lambda leaf: jax.make_array_from_process_local_data(split, leaf)
        ),
        dispatch=lambda key, start, *rest: compiled(key, np.int32(start), *rest),
        view=lambda state: state,
    )


def _put(tree: PyTree, sharding: NamedSharding) -> PyTree:
    """Put a tree on the devices of all processes, which JAX does for keys by their data alone."""

    def one(leaf):
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.device_put(leaf, sharding)
        data = jax.device_put(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))

    return jax.tree.map(one, tree)


def _pmapped(steps: Callable) -> Runtime:
    num_devices = jax.local_device_count()
    each = NamedSharding(data_mesh(jax.local_devices()), PartitionSpec(AXIS))
    compiled = jax.pmap(steps, AXIS, in_axes=(None, None, 0, None, 0), donate_argnums=2)

    def dispatch(key, start, *rest):
        state, metrics = compiled(key, np.int32(start), *rest)
        return state, unstack(metrics)

    return Runtime(
        place=lambda state: jax.device_put(stack(state, num_devices), each),
        place_whole=lambda arrays: jax.device_put(
            arrays, NamedSharding(data_mesh(jax.local_devices()), PartitionSpec())
        ),
        place_chunk=partial(split, num_devices=num_devices, axis=1),
        dispatch=dispatch,
        view=unstack,
    )


def stack(state: PyTree, num_devices: int) -> PyTree:
    """Give every leaf a leading axis with a copy for each device."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * num_devices), state)


def unstack(state: PyTree) -> PyTree:
    """Take the first device's copy of every leaf, without asking the others."""
    return jax.tree.map(lambda leaf: leaf.addressable_shards[0].data[0], state)


def split(batch: PyTree, num_devices: int, *, axis: int = 0) -> PyTree:
    """Split an axis of every leaf over the devices, in order, which become the leading axis."""

    def one(leaf):
        shape = (*leaf.shape[:axis], num_devices, -1, *leaf.shape[axis + 1 :])
        return leaf.reshape(shape).swapaxes(0, axis)

    return jax.tree.map(one, batch)
