"""Descent on the rows of a table: parameters that belong to single examples."""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from gan_jax.checks import is_known
from gan_jax.errors import Refusal
from gan_jax.games.core import Weights, init_player
from gan_jax.games.descent import DescentState, Objective, descent_gradient
from gan_jax.games.steps import move
from gan_jax.typing import Batch, KeyArray, Metrics, Params


def init_rows(*, weights: Weights, optimizer: optax.GradientTransformation) -> DescentState:
    """Set up a table at step 0: rows along the first axis of every leaf, each its own player.

    Copies and raises as `init_descent`; besides:

    Raises:
        ValueError: leaves differ in their number of rows.
    """
    player = init_player(weights, optimizer)
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(weights)}
    if len(lengths) != 1 or lengths == {()}:
        raise Refusal(
            f"The leaves of a table have {sorted(lengths)} rows; give each the same number, along "
            "its first axis."
        )
    opt_state = jax.tree.map(jnp.copy, jax.vmap(optimizer.init)(player.weights.params))
    return DescentState(step=jnp.zeros((), jnp.int32), player=player.replace(opt_state=opt_state))


def rows_step(
    key: KeyArray,
    state: DescentState,
    batch: Batch,
    *,
    objective: Objective,
    optimizer: optax.GradientTransformation,
) -> tuple[DescentState, Metrics]:
    """Move the rows that the batch names in `index`, each down the sum of its examples' losses.

    Rows are gathered with their optimiser's moments, moved, and scattered back: an optimiser over
    the whole table would move absent rows too, by their momentum. The objective sees one row and
    one example, without a batch axis, and has a key for each. A row that is named more than once
    moves once, by the sum of its gradients; what of it is not trained is left by the last. Metrics
    are means over the examples, norms those of their row. It runs under `jit`, `scan` and `vmap`,
    and on several devices by sharded `jit`.

    Raises:
        ValueError: the batch has no `index`, or names, where it is not traced, a row that there is
            not; such a row is dropped where it is.
    """
    if not isinstance(batch, Mapping) or "index" not in batch:
        held = ", ".join(sorted(batch)) if isinstance(batch, Mapping) else "no fields"
        raise Refusal(
            f"The batch holds {held or 'nothing'}; it must name the rows of its examples under "
            "`index`."
        )
    index = batch["index"]
    num_rows = len(jax.tree.leaves(state.player.weights)[0])
    if is_known(index) and not np.all((np.asarray(index) >= 0) & (np.asarray(index) < num_rows)):
        raise Refusal(f"index is {index}; a table of {num_rows} rows has 0 to {num_rows - 1}.")
    rows = jax.tree.map(lambda table: table[index], state.player)
    examples = {field: array for field, array in batch.items() if field != "index"}
    keys = jax.random.split(key, len(index))
    gradients, outcomes = jax.vmap(partial(descent_gradient, objective=objective))(
        keys, rows.weights, examples
    )
    gradients, last = _of_rows(index, gradients)
    moved, metrics = jax.vmap(partial(move, optimizer=optimizer))(rows, gradients, outcomes)
    moved = jax.tree.map(lambda row: row[last], moved)
    player = jax.tree.map(lambda table, row: table.at[index].set(row), state.player, moved)
    metrics = {name: jnp.mean(values) for name, values in metrics.items()}
    return DescentState(step=state.step + 1, player=player), metrics


def _of_rows(index: Int[Array, " batch"], gradients: Params) -> tuple[Params, Int[Array, " batch"]]:
    """For each example the sum of the gradients of its row, and which example is the row's last."""
    num = len(index)
    _, place = jnp.unique(index, return_inverse=True, size=num)
    sums = jax.tree.map(lambda g: jax.ops.segment_sum(g, place, num)[place], gradients)
    return sums, jax.ops.segment_max(jnp.arange(num), place, num)[place]
