"""What is costly to make, and kept beside compiled programs."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from gan_jax.data.decoded import write
from gan_jax.training.cache import cache_directory

Arrays = dict[str, np.ndarray]


def digest(sources: Iterable[str], *arrays: np.ndarray) -> str:
    """Tell things apart by the files of code that make them, and by what they are made of."""
    found = hashlib.sha256()
    for source in sources:
        found.update(Path(source).read_bytes())
    for array in arrays:
        found.update(f"{array.shape} {array.dtype}".encode() + array.tobytes())
    return found.hexdigest()[:16]


def kept(name: str, make: Callable[[], Arrays], expected: set[str]) -> Arrays:
    """Read the arrays that were made under this name before, or make them and keep them.

    The file is never a reason to stop: what is damaged, lacks what is expected, or was made under
    another name is made anew; where one may not write, nothing is kept.
    """
    directory = cache_directory()
    if directory is None:
        return make()
    path = directory / f"{name}.npz"
    with contextlib.suppress(Exception), path.open("rb") as opened, np.load(opened) as file:
        found = dict(file)
        if str(found.pop("name")) == name and set(found) == expected:
            return found
    made = make()
    write(path, {"name": np.array(name), **made})
    return made
