"""Several models trained side by side on the same examples."""

from collections.abc import Mapping

import jax

from gan_jax.typing import Batch, KeyArray, Metrics, PyTree, Step


def together(steps: Mapping[str, Step]) -> Step:
    """Make one step of several; the state is a dict of theirs, metrics are "<name>/...".

    All see the same batch, and each has a key of its own.
    """

    def step(
        key: KeyArray, state: dict[str, PyTree], batch: Batch
    ) -> tuple[dict[str, PyTree], Metrics]:
        moved, metrics = {}, {}
        for (name, move), key_move in zip(
            steps.items(), jax.random.split(key, len(steps)), strict=True
        ):
            moved[name], of_move = move(key_move, state[name], batch)
            metrics |= {f"{name}/{metric}": value for metric, value in of_move.items()}
        return moved, metrics

    return step
