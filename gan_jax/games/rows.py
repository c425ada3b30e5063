"""Descent on the rows of a table: parameters that belong to single examples."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from gan_jax.errors import Refusal
from gan_jax.games.core import Weights, init_player
from gan_jax.games.descent import DescentState, Objective, descent_step
from gan_jax.typing import Batch, KeyArray, Metrics


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
    player = player.replace(opt_state=jax.vmap(optimizer.init)(player.weights.params))
    return DescentState(step=jnp.zeros((), jnp.int32), player=player)


def rows_step(
    key: KeyArray,
    state: DescentState,
    batch: Batch,
    *,
    objective: Objective,
    optimizer: optax.GradientTransformation,
) -> tuple[DescentState, Metrics]:
    """Move the rows that the batch names in `index`, each by a `descent_step` of its own.

    Rows are gathered with their optimiser's moments, moved, and scattered back: an optimiser over
    the whole table would move absent rows too, by their momentum. The objective sees one row and
    one example, without a batch axis. Name every row at most once, and only rows that there are:
    which of two moves of one row is kept is not defined, and a row that there is not is dropped.
    Metrics are means over the rows; it runs under `jit`, `scan` and `vmap`, and on several devices
    by sharded `jit`.

    Raises:
        ValueError: the batch has no `index`.
    """
    if "index" not in batch:
        raise Refusal(
            f"The batch holds {', '.join(sorted(batch)) or 'nothing'}; it must name the rows of "
            "its examples under `index`."
        )
    examples = {field: array for field, array in batch.items() if field != "index"}
    index = batch["index"]
    rows = jax.tree.map(lambda table: table[index], state.player)
    move = partial(descent_step, objective=objective, optimizer=optimizer)

    def move_row(key, row, example):
        moved, metrics = move(key, DescentState(step=state.step, player=row), example)
        return moved.player, metrics

    moved, metrics = jax.vmap(move_row)(jax.random.split(key, len(index)), rows, examples)
    player = jax.tree.map(lambda table, row: table.at[index].set(row), state.player, moved)
    metrics = {name: jnp.mean(values) for name, values in metrics.items()}
    return DescentState(step=state.step + 1, player=player), metrics
