"""What is decoded once, and kept beside the files it was decoded from."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from gan_jax.data.sources import Dataset, Examples

BLOCK = 1_000  # examples decoded at a time: three times as fast as one by one

Expected: TypeAlias = Mapping[str, tuple[tuple[int, ...], Any]]
"""Field -> its shape, examples along the first axis, and its type."""


def decoded(dataset: Dataset, expected: Expected, kept: Path | None) -> Examples:
    """Decode all examples, or read those of an earlier time where a file of `expected` is kept.

    The file is never a reason to stop: whatever else lies there is written anew.
    """
    arrays = _read(kept, expected) if kept else None
    if arrays is None:
        arrays = _decode(dataset, list(expected))
        if kept:
            write(kept, arrays)
    return arrays


def _read(path: Path, expected: Expected) -> Examples | None:
    with contextlib.suppress(Exception), path.open("rb") as opened, np.load(opened) as file:
        arrays = dict(file)
        if {field: (a.shape, a.dtype) for field, a in arrays.items()} == expected:
            return arrays
    return None


def _decode(dataset: Dataset, fields: list[str]) -> Examples:
    blocks = np.split(np.arange(len(dataset)), range(BLOCK, len(dataset), BLOCK))
    parts = [dataset[block] for block in blocks]
    return {field: np.concatenate([part[field] for part in parts]) for field in fields}


def write(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write the file in one move, so that nobody reads half of it; or not at all.

    A directory that is closed to writing stays as it is, also when root could write there.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        if not path.parent.stat().st_mode & 0o222:
            return
        try:
            with unfinished.open("wb") as file:
                np.savez(file, **arrays)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
