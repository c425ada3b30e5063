"""Reading checkpoints as files: which is the newest that is intact, whoever wrote it."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from gan_jax.errors import Refusal
from gan_jax.training.packing import Packed, num_bytes
from gan_jax.training.progress import say
from gan_jax.training.record import START_OVER

MAY_PASS = {
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
}
"""Errors of files that may be whole."""


class CheckpointError(Refusal):
    """A checkpoint that cannot be written, read, or fitted to the program."""


def read_newest(directory: Path, run: str) -> Packed | None:
    """Read the newest intact checkpoint, without its program and leaving all files as they are.

    Args:
        run: the digest of the run whose checkpoints they are.

    Returns:
        The state of its step, packed; None where there is no checkpoint at all.

    Raises:
        CheckpointError: none can be read, or one is not of this run.
    """
    damaged: dict[int, str] = {}
    options = ocp.CheckpointManagerOptions(read_only=True, lightweight_initialize=True)
    with ocp.CheckpointManager(directory.absolute(), options=options) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            if packed := try_to_read(manager, step, run, damaged):
                for bad, reason in damaged.items():
                    say(
                        f"checkpoint {bad} in {directory} cannot be read ({reason}); checkpoint "
                        f"{step} is read in its place"
                    )
                return packed
    refuse_if_any(damaged, directory)
    return None


def try_to_read(manager: Any, step: int, run: str, damaged: dict[int, str]) -> Packed | None:
    """Read a checkpoint, or note in `damaged` why it cannot be read.

    Raises:
        CheckpointError: it is that of another step or run, or whole files may be out of reach.
    """
    path = Path(manager.directory) / str(step)
    try:
        _read_each(path)
        packed = _read(manager, step, path)
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # damaged files raise errors of many kinds
        if isinstance(error, OSError) and error.errno in MAY_PASS:
            raise CheckpointError(
                f"checkpoint {step} cannot be read now ({error.strerror}: {error.filename}), and "
                "nothing was changed: let it be read, then run the same command again"
            ) from error
        damaged[step] = f"{type(error).__name__}: {in_short(error)}"
        return None
    if (packed.step, packed.run) != (step, run):
        written = f"step {packed.step}" if packed.run == run else "another run"
        raise CheckpointError(
            f"{path} is the checkpoint of {written}, and nothing was changed: put it back where "
            f"it belongs, or move it out of {path.parent}"
        )
    return packed


def _read_each(path: Path) -> None:
    """Raise the OSError of a file that cannot be read, of which Orbax makes a ValueError."""

    def fail(error: OSError) -> None:
        raise error

    for folder, _, names in os.walk(path, onerror=fail):
        for name in names:
            with (Path(folder) / name).open("rb") as file:
                file.read()


def _read(manager: Any, step: int, path: Path) -> Packed:
    items = ocp.args.Composite(manifest=ocp.args.JsonRestore())
    said = dict(manager.restore(step, args=items).manifest)
    digest = said.pop("sha256")
    if not {"step", "run"} <= said.keys():
        raise CheckpointError(
            f"{path} was written by an older gan_jax, and does not say of which step and run it "
            f"is: read it by that version, {START_OVER}"
        )
    _check_size(
        path / "data" / "checkpoint" / ".zarray", num_bytes(said["leaves"], said["key_impls"])
    )
    items = ocp.args.Composite(data=ocp.args.ArrayRestore())
    packed = Packed(**said, data=np.asarray(manager.restore(step, args=items).data))
    if packed.manifest()["sha256"] != digest:
        raise Refusal("the contents do not match their SHA-256 digest")
    return packed


def _check_size(path: Path, promised: int) -> None:
    """Refuse an array of another size than promised, which TensorStore may abort to allocate."""
    said = json.loads(path.read_text())
    if not said["shape"] == said["chunks"] == [promised]:
        raise Refusal(f"{path.name} does not say the {promised} bytes of the manifest")


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
