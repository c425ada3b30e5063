"""Several processes, on one machine or many: how they find each other."""

import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from gan_jax.checks import AT_LEAST_0, AT_LEAST_1, check_bound
from gan_jax.errors import Refusal


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Join the other processes of the run; to be called before JAX touches a device.

    With no argument it does nothing, but on a Cloud TPU or in a SLURM step of several tasks, where
    JAX finds the arguments by itself.

    Args:
        coordinator_address: host and port of process 0, as in "10.0.0.1:1234".
        num_processes: how many there are.
        process_id: which this is, from 0.

    Raises:
        ValueError: some arguments are given and others not, an address without host or port, no
            process, or one that is none of them.
    """
    arguments = {
        "coordinator_address": coordinator_address,
        "num_processes": num_processes,
        "process_id": process_id,
    }
    missing = [name for name, value in arguments.items() if value is None]
    if not missing:
        _check(*arguments.values())
        with _waiting(coordinator_address, num_processes, process_id):
            jax.distributed.initialize(coordinator_address, num_processes, process_id)
    elif len(missing) < len(arguments):
        raise Refusal(
            f"{' and '.join(missing)} must be given as well: either all of "
            f"{', '.join(arguments)}, or none of them"
        )
    elif _in_cluster():
        jax.distributed.initialize()


def process_rows(batch_size: int) -> slice:
    """The rows of a global batch that this process reads: the p-th of equal shares.

    Raises:
        ValueError: the batch does not divide over the processes.
    """
    share, rest = divmod(batch_size, jax.process_count())
    if rest:
        raise Refusal(
            f"batch_size={batch_size} does not divide over {jax.process_count()} processes; "
            f"choose a multiple of {jax.process_count()}."
        )
    return slice(jax.process_index() * share, (jax.process_index() + 1) * share)


@contextmanager
def _waiting(address: Any, num_processes: Any, process_id: Any) -> Iterator[None]:
    """Say for whom it is waited, and let Ctrl-C end that, which JAX does not hear."""
    if num_processes > 1:
        whom = "process 0" if process_id else f"{num_processes - 1} more"
        print(f"waiting for {whom} at {address}", file=sys.stderr, flush=True)
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


def _check(coordinator_address: str, num_processes: int, process_id: int) -> None:
    host_and_port = re.fullmatch(r"(?:\[[^][]+\]|[^][:\s]+):(\d{1,5})", coordinator_address)
    if host_and_port is None or not 0 < int(host_and_port[1]) < 2**16:
        raise Refusal(
            f"coordinator_address is {coordinator_address!r}; it must be the host of process 0 and "
            "a port below 65536, as in 10.0.0.1:1234 or [::1]:1234."
        )
    check_bound(AT_LEAST_1, num_processes=num_processes)
    check_bound(AT_LEAST_0, process_id=process_id)
    if process_id >= num_processes:
        raise Refusal(
            f"process_id is {process_id}; of {num_processes} processes it must be one of 0 to "
            f"{num_processes - 1}."
        )


def _in_cluster() -> bool:
    # The detection that jax.distributed.initialize itself relies on. JAX 0.10 to 0.12 exports it
    # nowhere; where another version has moved it, processes are told of each other by arguments.
    try:
        from jax._src.clusters import GceTpuCluster, GkeTpuCluster, SlurmCluster
    except ImportError:
        return False
    if SlurmCluster.is_env_present():
        return SlurmCluster.get_process_count() > 1
    return GkeTpuCluster.is_env_present() or GceTpuCluster.is_env_present()
