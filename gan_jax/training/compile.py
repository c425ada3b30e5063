"""How a step is compiled: for one device, for a mesh of devices, by pmap, and K steps at once.

A step is any function (key, state, batch) -> (state, metrics). The state is donated everywhere:
its buffers are gone after the call. Batch statistics are global under sharded `jit`; under `pmap`
they are each device's own, and then averaged, unless the network is given the axis name. Losses
that are no mean over examples differ between the two for the same reason.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import get_opaque_trace_state
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax.errors import Refusal
from gan_jax.training.shapes import refuse_gone
from gan_jax.typing import Batch, KeyArray, PyTree, Step

AXIS = "data"
"""The mesh's one axis, and pmap's: that over which batches are split."""

Parallel: TypeAlias = Literal["jit", "pmap", "none"]

_YNNPACK_REDUCES = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}
_AT_TOP = get_opaque_trace_state()


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


def jit_with_options(function: Callable, **arguments: Any) -> Callable:
    """`jax.jit` with `compiler_options()` wherever JAX takes them: not under a transformation."""
    plain = jax.jit(function, **arguments)

    @cache
    def with_options() -> Callable:
        return jax.jit(function, compiler_options=compiler_options(), **arguments)

    def call(*operands, **named):
        at_top = get_opaque_trace_state() == _AT_TOP
        try:
            return (with_options() if at_top else plain)(*operands, **named)
        except (RuntimeError, ValueError) as error:
            if "deleted" in str(error):
                for operand in operands:
                    refuse_gone(operand)  # JAX does not say which array it is, nor why
            raise

    return call


def data_mesh(devices: list[Any] | None = None) -> Mesh:
    """Put the devices, by default all there are, on one axis over which batches are split."""
    return Mesh(np.array(devices or jax.devices()), (AXIS,))


def jit_step(step: Step, *, mesh: Mesh | None = None) -> Step:
    """Compile a step: the state replicated over the mesh and donated, the batch split over it.

    Without a mesh, for one device.
    """
    if mesh is None:
        return jit_with_options(step, donate_argnums=1)
    whole, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))
    compiled = jit_with_options(
        step, in_shardings=(whole, whole, split), out_shardings=(whole, whole), donate_argnums=1
    )

    def call(key, state, batch):
        refuse_gone(state)
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
        refuse_gone(state)
        state = jax.device_put(state, each)  # as in jit_step
        state, metrics = mapped(key, state, split(batch, len(devices)))
        return state, unstack(metrics)

    return call


def scan_steps(step: Step, read: Callable[[KeyArray, PyTree, PyTree], Batch]) -> Callable:
    """Make K steps one function: (key, start, state, resident, chunk) -> (state, metrics).

    The key is split once, into that of the steps and that of the data. Step t has the key
    fold_in(key_steps, t) and the batch read(fold_in(key_data, t), resident, chunk[t - start]); the
    metrics have a leading axis K.

    Raises:
        ValueError: a metric is no scalar.
    """

    def steps(key, start, state, resident, chunk):
        num_steps = jax.tree.leaves(chunk)[0].shape[0]
        key_steps, key_data = jax.random.split(key)

        def one(state, at):
            t, item = at
            batch = read(jax.random.fold_in(key_data, t), resident, item)
            state, metrics = step(jax.random.fold_in(key_steps, t), state, batch)
            return state, {name: _scalar(name, value) for name, value in metrics.items()}

        return jax.lax.scan(one, state, (start + jnp.arange(num_steps), chunk))

    return steps


def _scalar(name: str, value: Any) -> jax.Array:
    if jnp.shape(value) != ():
        raise Refusal(
            f"The metric {name} has the shape {jnp.shape(value)}; a metric is one number: take its "
            "mean, or report each of its numbers under a name of its own."
        )
    return jnp.asarray(value)


def stack(state: PyTree, num_devices: int) -> PyTree:
    """Give every leaf a leading axis with a copy for each device."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * num_devices), state)


def unstack(state: PyTree) -> PyTree:
    """Take the first device's copy of every leaf, without asking the others."""
    return jax.tree.map(lambda leaf: leaf.addressable_shards[0].data[0], state)


def split(batch: PyTree, num_devices: int, *, axis: int = 0) -> PyTree:
    """Split an axis of every leaf over the devices, in order, which become the leading axis.

    Raises:
        ValueError: the axis does not divide over the devices.
    """

    def one(leaf):
        rows, rest = divmod(leaf.shape[axis], num_devices)  # not -1, which no empty array takes
        if rest:
            raise Refusal(
                f"An array of shape {list(leaf.shape)} does not divide over {num_devices} devices "
                f"along axis {axis}; choose a multiple of {num_devices}."
            )
        shape = (*leaf.shape[:axis], num_devices, rows, *leaf.shape[axis + 1 :])
        return leaf.reshape(shape).swapaxes(0, axis)

    return jax.tree.map(one, batch)
