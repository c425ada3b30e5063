"""Reading checkpoints as files: which is the newest that is intact, whoever wrote it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from gan_jax.errors import Refusal
from gan_jax.training.packing import Packed
from gan_jax.training.record import START_OVER

logger = logging.getLogger(__name__)


class CheckpointError(Refusal):
    """A checkpoint that cannot be written, read, or fitted to the program."""


def read_newest(directory: Path) -> tuple[int, Packed] | None:
    """Read the newest intact checkpoint, without its program and leaving all files as they are.

    Returns:
        The step and its state, packed; None where there is no checkpoint at all.

    Raises:
        CheckpointError: none can be read.
    """
    damaged: dict[int, str] = {}
    options = ocp.CheckpointManagerOptions(read_only=True)
    with ocp.CheckpointManager(directory.absolute(), options=options) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            if packed := try_to_read(manager, step, damaged):
                for bad, reason in damaged.items():
                    logger.warning(
                        f"checkpoint {bad} in {directory} cannot be read ({reason}); checkpoint "
                        f"{step} is read in its place"
                    )
                return step, packed
    refuse_if_any(damaged, directory)
    return None


def try_to_read(manager: Any, step: int, damaged: dict[int, str]) -> Packed | None:
    """Read a checkpoint, or note in `damaged` why it cannot be read."""
    try:
        return _read(manager, step)
    except Exception as error:  # damaged files raise errors of many kinds
        damaged[step] = f"{type(error).__name__}: {in_short(error)}"
        return None


def _read(manager: Any, step: int) -> Packed:
    items = ocp.args.Composite(manifest=ocp.args.JsonRestore(), data=ocp.args.ArrayRestore())
    item = manager.restore(step, args=items)
    said = dict(item.manifest)
    digest = said.pop("sha256")
    packed = Packed(**said, data=np.asarray(item.data))
    if packed.manifest()["sha256"] != digest:
        raise Refusal("the contents do not match their SHA-256 digest")
    return packed


def refuse_if_any(damaged: dict[int, str], directory: Path) -> None:
    """Refuse to take a run whose checkpoints are all damaged for one that has none."""
    if damaged:
        reasons = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
        raise CheckpointError(
            f"no checkpoint in {directory} can be read ({reasons}), and none will be "
            f"overwritten: move the directory away to keep them, {START_OVER}"
        )


def in_short(error: Exception) -> str:
    """The first line of an error, without what Orbax adds."""
    text = str(error).partition("\n")[0].partition(" [tensorstore_spec=")[0]
    return text if len(text) <= 200 else f"{text[:90]} ... {text[-110:]}"
