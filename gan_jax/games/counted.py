"""A single player's moves as whole steps."""

from typing import Any

from gan_jax.typing import Batch, KeyArray, Metrics, Step


def counted(move: Step) -> Step:
    """Count each move of `discriminator_step` or `generator_step` as a step of its own.

    Alone they leave `state.step` as it is, for they are parts of one. What goes by it (checkpoints,
    logs, `every`, uniform averages) needs it where one player moves and the other does not.
    """

    def step(key: KeyArray, state: Any, batch: Batch) -> tuple[Any, Metrics]:
        moved, metrics = move(key, state, batch)
        return moved.replace(step=moved.step + 1), metrics

    return step
