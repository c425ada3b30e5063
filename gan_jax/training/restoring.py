"""Reading a run again, without the program that wrote it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gan_jax.errors import Refusal
from gan_jax.games import Weights
from gan_jax.training.packing import Packed, unpack_by_names
from gan_jax.training.reading import CheckpointError, read_newest
from gan_jax.training.record import CONFIG_FILE, RunDirectoryError, read_record, run_digest
from gan_jax.training.rundir import CHECKPOINTS
from gan_jax.training.shapes import from_json
from gan_jax.typing import Batch, PyTree

SAID_BY_A_RUN = {"experiment", "config", "batch", "label_names", "version"}


class Restored(NamedTuple):
    """A run as its directory has it.

    config: as `train` or `train_phases` was given it.
    batch: the shapes and dtypes of a batch, as `jax.ShapeDtypeStruct`s.
    step, state: of the newest intact checkpoint; the state as nested dicts by the names in its
        tree, with the indices of sequences as they are:
        `state["generator"]["weights"]["params"]["Dense_0"]["kernel"]`.
    version: of the gan_jax that wrote config.json last; "unknown" for one that is not installed.
    """

    experiment: str
    config: dict[str, Any]
    batch: Batch
    label_names: list[str] | None
    step: int
    state: PyTree
    version: str

    def weights(self, *names: str | int) -> Weights:
        """Take the weights at a place in the state: `run.weights("generator")`.

        Those of a player, as in ("player",), or weights themselves, such as the averages in
        ("memory", "generator").

        Raises:
            ValueError: there are no weights at that place.
        """
        node = self.state
        for name in names:
            if not isinstance(node, Mapping) or name not in node:
                raise Refusal(
                    f"There is nothing at {_said(names)}: the state has {_held(node)} where "
                    f"{name!r} is looked for."
                )
            node = node[name]
        if isinstance(node, Mapping):
            node = node.get("weights", node)
        if not isinstance(node, Mapping) or not {"params", "state"} & node.keys():
            raise Refusal(
                f"There are no weights at {_said(names)}, where the state has {_held(node)}."
            )
        return Weights(params=node.get("params", {}), state=node.get("state", {}))


def restore(workdir: Path | str) -> Restored:
    """Read the newest intact checkpoint of a run that is finished or was stopped.

    Of a directory of phases, read the last one that has come to a length that was asked for: one
    that was stopped as it was made longer counts with its newest checkpoint. Nothing is written,
    and damaged checkpoints stay where they are.

    Raises:
        RunDirectoryError: the directory is not that of a run.
        CheckpointError: there is no checkpoint yet, none that can be read, one of another run, or
            no finished phase.
    """
    workdir = Path(workdir)
    record = _record(workdir)
    if "phases" in record:
        return _last_finished(workdir, record["phases"])
    newest = read_newest(workdir / CHECKPOINTS, run_digest(record))
    if newest is None:
        raise CheckpointError(
            f"{workdir} has no checkpoint yet: run it until it saves one, or stop it with Ctrl-C, "
            "which saves one too"
        )
    return _restored(workdir, record, newest)


def _record(workdir: Path) -> dict[str, Any]:
    record = read_record(workdir)
    if record is None or not record.keys() >= SAID_BY_A_RUN:
        raise RunDirectoryError(
            f"{workdir} is not the directory of a run, for it has no {CONFIG_FILE} that says of "
            "which: name the --workdir that a run was given"
        )
    return record


def _last_finished(workdir: Path, phases: list[str]) -> Restored:
    for name in reversed(phases):
        if read_record(workdir / name) is None:
            continue
        record = _record(workdir / name)
        newest = read_newest(workdir / name / CHECKPOINTS, run_digest(record))
        if newest is not None and newest.step >= min(record.get("lengths") or [0]):
            return _restored(workdir / name, record, newest)
    raise CheckpointError(
        f"no phase of {workdir} is finished ({', '.join(phases)}): run the first to its end, or "
        f"name one that was stopped, as in {workdir / phases[0]}"
    )


def _restored(workdir: Path, record: dict[str, Any], packed: Packed) -> Restored:
    fields = {field: record[field] for field in SAID_BY_A_RUN - {"batch"}}
    try:
        batch = from_json(record["batch"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise RunDirectoryError(
            f'{workdir / CONFIG_FILE} says no shapes of a batch: repair its entry "batch"'
        ) from None
    return Restored(batch=batch, step=packed.step, state=unpack_by_names(packed), **fields)


def _said(names: tuple[str | int, ...]) -> str:
    return ", ".join(map(repr, names)) or "its top"


def _held(node: PyTree) -> str:
    return ", ".join(map(repr, node)) if isinstance(node, Mapping) else "an array"
