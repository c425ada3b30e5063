"""Checkpoints on Orbax: the state as one array of bytes, and a manifest that vouches for every bit.

One array per checkpoint, not one per leaf: Orbax then reads and writes in a single operation, so
that a truncated file or a full disk is one quiet exception, and no two leaves share a name. The
digest is needed: Orbax returns altered bytes without complaint.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from gan_jax.errors import Refusal
from gan_jax.training.rundir import START_OVER
from gan_jax.typing import PyTree

logger = logging.getLogger(__name__)
# Orbax warns at every save that a single array leaves it nothing to merge.
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)


class CheckpointError(Refusal):
    """A checkpoint that cannot be written, read, or fitted to the program."""


class _Packed(NamedTuple):
    leaves: list[str]  # path, dtype and shape of each
    key_impls: list[str | None]  # the generator of each leaf of typed keys
    data: np.ndarray  # the bytes of all leaves, one after another

    def digest(self) -> str:
        digest = hashlib.sha256(json.dumps([self.leaves, self.key_impls]).encode())
        digest.update(self.data.data)
        return digest.hexdigest()


class Checkpoints:
    """Keep the newest `keep` states of a run in a directory; a context manager.

    With several processes, each makes the same calls, on one shared directory.

    Raises:
        CheckpointError: the directory cannot be created.
    """

    def __init__(self, directory: Path | str, *, keep: int = 3):
        self.directory = Path(directory).absolute()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        try:
            self._manager = ocp.CheckpointManager(self.directory, options=options)
        except OSError as error:
            raise CheckpointError(
                f"checkpoints cannot be kept in {self.directory} ({error}); "
                "choose a --workdir that can be written"
            ) from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception: object) -> None:
        self._manager.close()

    def save(self, step: int, state: PyTree) -> None:
        """Write the state at a step, replacing that step's checkpoint if there is one.

        When this returns, the checkpoint is on disk and the state may be donated.

        Raises:
            CheckpointError: it cannot be written; those of other steps are kept.
        """
        packed = _pack(state)
        manifest = {"leaves": packed.leaves, "key_impls": packed.key_impls}
        items = ocp.args.Composite(
            manifest=ocp.args.JsonSave(manifest | {"sha256": packed.digest()}),
            data=ocp.args.ArraySave(packed.data),
        )
        try:
            if step in self._manager.all_steps():
                self._manager.delete(step)
            self._manager.save(step, args=items, force=True)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"checkpoint {step} cannot be written to {self.directory} ({_in_short(error)}); "
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
            CheckpointError: none can be read, or the newest that can is of another model.
        """
        damaged: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            packed = None
            try:
                packed = self._read(step)
            except Exception as error:  # damaged files raise errors of many kinds
                damaged[step] = f"{type(error).__name__}: {_in_short(error)}"
            if not _all_agree(packed is not None):
                damaged.setdefault(step, "another process cannot read it")
            elif packed is not None:
                self._check_fit(step, packed, like)
                self._set_aside(damaged, step)
                return step, _unpack(packed, like)
        if damaged:
            reasons = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
            raise CheckpointError(
                f"no checkpoint in {self.directory} can be read ({reasons}), and none will be "
                f"overwritten: move the directory away to keep them, {START_OVER}"
            )
        return None

    def _read(self, step: int) -> _Packed:
        items = ocp.args.Composite(manifest=ocp.args.JsonRestore(), data=ocp.args.ArrayRestore())
        item: Any = self._manager.restore(step, args=items)
        packed = _Packed(item.manifest["leaves"], item.manifest["key_impls"], item.data)
        if packed.digest() != item.manifest["sha256"]:
            raise Refusal("the contents do not match their SHA-256 digest")
        return packed

    def _check_fit(self, step: int, packed: _Packed, like: PyTree) -> None:
        expected = _describe(like)
        if packed.leaves != expected:
            raise CheckpointError(
                f"checkpoint {step} in {self.directory} is of another model: it holds "
                f"{_only_in(packed.leaves, expected)} where the program has "
                f"{_only_in(expected, packed.leaves)}; run what wrote it, {START_OVER}"
            )

    def _set_aside(self, damaged: dict[int, str], good: int) -> None:
        if jax.process_index() == 0:
            for step, reason in damaged.items():
                aside = self.directory / f"{step}.damaged"
                shutil.rmtree(aside, ignore_errors=True)
                (self.directory / str(step)).rename(aside)
                logger.warning(
                    f"checkpoint {step} in {self.directory} cannot be read ({reason}) and is now "
                    f"called {aside.name}; going back to checkpoint {good}"
                )
        _all_agree(True)  # nobody goes on before the directory is as it will be
        self._manager.reload()


def _all_agree(mine: bool) -> bool:
    if jax.process_count() == 1:
        return mine
    return bool(np.all(multihost_utils.process_allgather(np.array(mine))))


def _describe(tree: PyTree) -> list[str]:
    return [
        f"{jax.tree_util.keystr(path)} {leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


def _only_in(leaves: list[str], others: list[str]) -> str:
    only = [leaf for leaf in leaves if leaf not in others] or ["nothing"]
    return only[0] + (f" (and {len(only) - 1} more)" if len(only) > 1 else "")


def _in_short(error: Exception) -> str:
    text = str(error).partition("\n")[0].partition(" [tensorstore_spec=")[0]
    return text if len(text) <= 200 else f"{text[:90]} ... {text[-110:]}"


def _pack(state: PyTree) -> _Packed:
    leaves = jax.tree.leaves(state)
    impls = [str(jax.random.key_impl(leaf)) if _is_key(leaf) else None for leaf in leaves]
    data = b"".join(_to_host(leaf).tobytes() for leaf in leaves)
    return _Packed(_describe(state), impls, np.frombuffer(data, np.uint8))


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _to_host(leaf: jax.Array) -> np.ndarray:
    if _is_key(leaf):
        leaf = jax.random.key_data(leaf)
    if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
    return np.asarray(leaf)


def _unpack(packed: _Packed, like: PyTree) -> PyTree:
    return jax.tree.unflatten(jax.tree.structure(like), _leaves(packed, jax.tree.leaves(like)))


def _leaves(packed: _Packed, targets: list[Any]) -> Iterator[jax.Array]:
    start = 0
    for impl, target in zip(packed.key_impls, targets, strict=True):
        spec = jax.eval_shape(jax.random.key_data, target) if impl else target
        stop = start + spec.size * spec.dtype.itemsize
        value = packed.data[start:stop].view(spec.dtype).reshape(spec.shape)
        array = _place(value, target)
        yield jax.random.wrap_key_data(array, impl=impl) if impl else array
        start = stop


def _place(value: np.ndarray, target: Any) -> jax.Array:
    if target.sharding is None or not getattr(target, "committed", True):
        return jnp.array(value)
    return jax.make_array_from_callback(
        value.shape, target.sharding, lambda index: np.array(value[index])
    )
