"""What several processes must agree upon before they go on, and how the loss of one is said."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from gan_jax.errors import Refusal
from gan_jax.training.record import RunDirectoryError


class LostProcessError(Refusal, RuntimeError):
    """Another process of the run is gone, or can no longer be reached."""


@contextmanager
def together_or_not() -> Iterator[None]:
    """Say in one sentence that another process was lost, where several run."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if not is_loss(error):
            raise
        reason = str(error).partition("\n")[0][:200]
        raise LostProcessError(
            f"another process of the run was lost ({reason}): what was saved is kept; start all "
            "of them again with the same command to resume"
        ) from error


def is_loss(error: Exception) -> bool:
    """Whether JAX says by an error, of whatever kind, that it cannot reach another process."""
    words = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "oordination service")
    is_ours = isinstance(error, Refusal) or jax.process_count() == 1
    return not is_ours and any(word in str(error) for word in words)


def meet(place: str) -> None:
    """Wait until all processes have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"gan_jax {place}")


def all_agree(mine: bool) -> bool:
    """Whether it is so on all processes, each of which makes the call."""
    if jax.process_count() == 1:
        return mine
    return bool(np.all(multihost_utils.process_allgather(np.array(mine))))


def said_by_first(said: Any) -> Any:
    """What process 0 says, as JSON has it; each process makes the call, and says something."""
    if jax.process_count() == 1:
        return said
    mine = np.frombuffer(json.dumps(said).encode(), np.uint8)
    size = multihost_utils.broadcast_one_to_all(np.int32(len(mine)))
    padded = np.resize(mine, int(size))
    return json.loads(multihost_utils.broadcast_one_to_all(padded).tobytes())


def check_alike(said: dict[str, Any]) -> None:
    """Raise RunDirectoryError unless all processes say the same as process 0.

    Each makes the call; those that do not differ are told that another does.
    """
    mine = {name: json.dumps(value, sort_keys=True) for name, value in said.items()}
    first = said_by_first(mine)
    differences = [
        f"{name} is {mine.get(name)} here and {first.get(name)} on process 0"
        for name in sorted({*mine, *first})
        if mine.get(name) != first.get(name)
    ]
    if not all_agree(not differences):
        raise RunDirectoryError(
            "the processes of the run were not started alike ("
            f"{'; '.join(differences) or 'another one says in what'}): give all the same options"
        )
