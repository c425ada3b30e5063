"""Checkpoints on Orbax: the state as one array of bytes, and a manifest that vouches for every bit.

One array per checkpoint, not one per leaf: Orbax then reads and writes in a single operation, so
that a truncated file or a full disk is one quiet exception, and no two leaves share a name. The
digest is needed: Orbax returns altered bytes without complaint.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.training.agreement import all_agree, is_loss, meet
from gan_jax.training.packing import Packed, describe, pack, unpack
from gan_jax.training.progress import say
from gan_jax.training.reading import CheckpointError, in_short, refuse_if_any, try_to_read
from gan_jax.training.record import START_OVER
from gan_jax.typing import PyTree

# Orbax warns at every save that a single array leaves it nothing to merge.
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)


class Checkpoints:
    """Keep the newest `keep` states of a run in a directory; a context manager.

    With several processes, each makes the same calls, on one shared directory.

    Args:
        run: what tells the run from every other; each checkpoint says it, and none is read that
            says another.
        num_replicas: of states of `pmap`, along the first axis of every leaf.

    Raises:
        ValueError: `keep` is below 1.
        CheckpointError: the directory cannot be created, or a checkpoint is a link.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        run: str = "",
        keep: int = 3,
        num_replicas: int | None = None,
    ):
        check_bound(AT_LEAST_1, keep=keep)
        self.directory = Path(directory).absolute()
        self._run, self._num_replicas = run, num_replicas
        _refuse_links(self.directory)
        self._options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            enable_async_checkpointing=False,
            lightweight_initialize=True,  # it would stop at damaged metadata of any checkpoint
        )
        try:
            self._manager = self._open()
        except OSError as error:
            raise CheckpointError(
                f"checkpoints cannot be kept in {self.directory} ({error}); "
                "choose a --workdir that can be written"
            ) from error

    def _open(self) -> ocp.CheckpointManager:
        if jax.process_index() == 0:
            # Left by a process that was killed as it saved. Orbax, asked to, removes them late.
            for left in self.directory.glob("*.orbax-checkpoint-tmp"):
                shutil.rmtree(left, ignore_errors=True)
        return ocp.CheckpointManager(self.directory, options=self._options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None or jax.process_count() == 1:  # Orbax waits for all processes
            self._manager.close()

    def save(self, step: int, state: PyTree) -> None:
        """Write the state at a step, replacing that step's checkpoint if there is one.

        When this returns, the checkpoint is on disk and the state may be donated.

        Raises:
            CheckpointError: it cannot be written; those of other steps are kept.
        """
        packed = pack(state, step=step, run=self._run, num_replicas=self._num_replicas)
        items = ocp.args.Composite(
            manifest=ocp.args.JsonSave(packed.manifest()), data=ocp.args.ArraySave(packed.data)
        )
        try:
            if step in self._manager.all_steps():
                self._manager.delete(step)
            self._manager.save(step, args=items, force=True)
        except (OSError, ValueError) as error:
            if is_loss(error):
                raise
            raise CheckpointError(
                f"checkpoint {step} cannot be written to {self.directory} ({in_short(error)}); "
                "the others are kept: give the directory room and write access, then run the "
                "same command to resume"
            ) from error

    def restore_latest(self, like: PyTree) -> tuple[int, PyTree] | None:
        """Read the newest intact checkpoint, with the structure and the shardings of `like`.

        A newer one that cannot be read is named in a warning and, once an older one is read, set
        aside as `<step>.damaged`. Several processes agree on the newest that all of them can read.

        Args:
            like: a state, or its `jax.ShapeDtypeStruct`s.

        Returns:
            The step and its state; None where there is no checkpoint at all.

        Raises:
            CheckpointError: none can be read, or the newest that can is of another model, step or
                run, or cannot be read now.
        """
        damaged: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            packed = self._try_to_read(step, damaged)
            if not all_agree(packed is not None):
                damaged.setdefault(step, "another process cannot read it")
            elif packed is not None:
                self._check_fit(step, packed, like)
                self._set_aside(damaged, step)
                return step, unpack(packed, like)
        refuse_if_any(damaged, self.directory)
        return None

    def _try_to_read(self, step: int, damaged: dict[int, str]) -> Packed | None:
        """Read a checkpoint; where a process refuses to, all do."""
        packed = refusal = None
        try:
            packed = try_to_read(self._manager, step, self._run, damaged)
        except CheckpointError as error:
            refusal = error
        if not all_agree(refusal is None):
            raise refusal or CheckpointError(f"another process refuses checkpoint {step}")
        return packed

    def _set_aside(self, damaged: dict[int, str], good: int) -> None:
        if jax.process_index() == 0:
            for step, reason in damaged.items():
                aside = self.directory / f"{step}.damaged"
                shutil.rmtree(aside, ignore_errors=True)
                (self.directory / str(step)).rename(aside)
                say(
                    f"checkpoint {step} in {self.directory} cannot be read ({reason}) and is now "
                    f"called {aside.name}; going back to checkpoint {good}"
                )
        meet("damaged checkpoints set aside")
        self._manager.close()
        self._manager = self._open()  # to reload reads the metadata of all

    def _check_fit(self, step: int, packed: Packed, like: PyTree) -> None:
        if packed.num_replicas != self._num_replicas:
            raise CheckpointError(
                f"checkpoint {step} in {self.directory} {_replicas(packed.num_replicas)}, but the "
                f"program {_replicas(self._num_replicas)}: run it as it was run, {START_OVER}"
            )
        expected = describe(like)
        if packed.leaves != expected:
            raise CheckpointError(
                f"checkpoint {step} in {self.directory} is of another model: it holds "
                f"{_only_in(packed.leaves, expected)} where the program has "
                f"{_only_in(expected, packed.leaves)}; run what wrote it, {START_OVER}"
            )


def _refuse_links(directory: Path) -> None:
    """Refuse a checkpoint that is a link, for Orbax never deletes one as it makes room."""
    for path in directory.glob("*"):
        if path.name.isdecimal() and path.is_symlink():
            raise CheckpointError(
                f"{path} is a link: put the checkpoint itself in its place, or remove the link"
            )


def _replicas(num: int | None) -> str:
    return "has one state" if num is None else f"has a state for each of {num} devices (pmap)"


def _only_in(leaves: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    only = [leaf for leaf in leaves if leaf not in others]
    if not only:
        return "nothing"
    name, first = "/".join(map(str, only[0]["path"])), only[0]
    more = f" (and {len(only) - 1} more)" if len(only) > 1 else ""
    return f"{name} {first['dtype']}{first['shape']}{more}"
