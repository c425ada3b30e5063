"""Many players of one game at once, alike but for their seeds."""

import jax
import jax.numpy as jnp

from gan_jax.typing import Batch, KeyArray, Metrics, PyTree, Step


def population(step: Step, *, batch_axis: int | None = 0) -> Step:
    """Play a step for every member at once, by `vmap`; metrics are means over the members.

    Leaves of the state have a leading axis of members, as `jax.vmap(init)(keys)` gives them, and so
    have those of the batch, or with `batch_axis=None` all members see the same one. Each has a key
    of its own.
    """
    each = jax.vmap(step, in_axes=(0, 0, batch_axis))

    def population_step(key: KeyArray, state: PyTree, batch: Batch) -> tuple[PyTree, Metrics]:
        num = len(jax.tree.leaves(state)[0])
        state, metrics = each(jax.random.split(key, num), state, batch)
        return state, {name: jnp.mean(values) for name, values in metrics.items()}

    return population_step
