"""Starting a run from what another has come to."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gan_jax.errors import Refusal
from gan_jax.training.packing import describe
from gan_jax.training.progress import say
from gan_jax.training.restoring import restore
from gan_jax.typing import PyTree

OPTIMIZER, STEP = "opt_state", "step"


def continue_from(workdir: Path | str, state: PyTree) -> PyTree:
    """Give a new run's state the weights of another run, and its optimisers' states where they fit.

    So a run goes on with another learning rate, loss or batch size, in a directory of its own. The
    new run counts its steps from 0, and so does a schedule of its learning rate; averages go on. An
    optimiser whose state is of another form (SGD in place of Adam) starts anew; a line says what of
    each.

    Args:
        workdir: that of a run which is finished or was stopped.
        state: a state of games or descents, alone or in dicts, as a new run starts with.

    Raises:
        ValueError: the weights, or what the way of playing keeps beside them, do not fit.
        RunDirectoryError, CheckpointError: as `restore`.
    """
    restored = restore(workdir)
    old, new = _by_path(restored.state), _by_path(state)
    anew = {
        path[: path.index(OPTIMIZER)]
        for path in {*old, *new}
        if OPTIMIZER in path and _form(old.get(path)) != _form(new.get(path))
    }

    def taken(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        of_optimizer = OPTIMIZER in path
        if of_optimizer and path[: path.index(OPTIMIZER)] in anew:
            return leaf
        if path[-1] == STEP and not of_optimizer:
            return leaf
        if _form(old.get(path)) != _form(leaf):
            raise Refusal(
                f"{workdir} cannot be continued: the new run has {_form(leaf)} at {_said(path)}, "
                f"where it has {_form(old.get(path))}. Networks must be of the same sizes, and the "
                "way of playing the same."
            )
        return old[path]

    leaves = [taken(path, leaf) for path, leaf in new.items()]
    players = sorted({path[: path.index(OPTIMIZER)] for path in {*old, *new} if OPTIMIZER in path})
    said = [
        f"; the optimiser of {_said(player)} {'starts anew' if player in anew else 'goes on'}"
        for player in players
    ]
    say(f"starting with the weights of {workdir} at its step {restored.step}{''.join(said)}")
    begun = jax.tree.unflatten(jax.tree.structure(state), leaves)
    return jax.tree.map(_at_its_start, begun, is_leaf=_is_schedule)


def _is_schedule(node: Any) -> bool:
    return isinstance(node, optax.ScaleByScheduleState)


def _at_its_start(node: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, node) if _is_schedule(node) else node


def _by_path(state: PyTree) -> dict[tuple[Any, ...], Any]:
    paths = (tuple(leaf["path"]) for leaf in describe(state))
    return dict(zip(paths, jax.tree.leaves(state), strict=True))


def _said(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def _form(leaf: Any) -> str:
    return "nothing" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}"
