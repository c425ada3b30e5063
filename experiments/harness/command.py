"""What every experiment's command line has in common."""

import contextlib
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import jax
import tyro

from experiments.harness.bounds import sizes
from gan_jax import training
from gan_jax.errors import Refusal


@dataclass(frozen=True)
class Place:
    """Where the run goes, and which processes take part.

    The last three flags are for several processes on machines that JAX cannot ask (it can on
    SLURM and on TPU pods): give all three to each process.
    """

    workdir: str | None = None
    """The run directory, by default runs/<experiment>; a run found there is resumed."""
    fresh: bool = False
    """Delete the run found there and start over."""
    coordinator_address: str | None = None
    """Host and port of process 0, as in 10.0.0.1:1234."""
    num_processes: int | None = None
    """How many processes there are."""
    process_id: int | None = None
    """Which of them this is, from 0."""


def directory(named: str, flag: str = "--workdir") -> Path:
    """What a flag names.

    Raises:
        ValueError: it is none that the libraries can write to.
    """
    if named == "" or re.match(r"\w+:/", named):
        raise Refusal(f"{flag} is {named!r}; it must be a directory on this machine.")
    path = Path(named)
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise Refusal(
            f"{flag} is {str(path.absolute())!a}, of which checkpoints can make no UTF-8: "
            "choose another, or set LC_ALL=C.UTF-8."
        ) from None
    return path


def main(name: str, run: Callable, configs: Mapping[str, Any], description: str) -> None:
    """Parse the command line, set the run up, run it; say in one line what a user got wrong.

    A first argument that is no flag names the configuration that the flags then change.
    """
    with in_one_line(name):
        arguments = sys.argv[1:]
        chosen = arguments.pop(0) if arguments and arguments[0] in configs else next(iter(configs))
        config, place = _parse(name, arguments, configs, chosen, description)
        workdir = directory(f"runs/{name}" if place.workdir is None else place.workdir)
    with in_one_line(name, config, f"; what was saved before is kept, see {workdir}"):
        training.initialize(place.coordinator_address, place.num_processes, place.process_id)
        training.enable_compilation_cache()
        result = run(config, workdir, fresh=place.fresh)
        if jax.process_index() == 0:
            print(result, flush=True)


@contextlib.contextmanager
def in_one_line(name: str, config: Any = None, kept: str = "") -> Iterator[None]:
    """End the command by one line where a user can mend what went wrong.

    Args:
        name: the command's.
        config: where memory is short, its sizes are named.
        kept: what is said besides where the world outside has failed.
    """
    _open_streams()
    logging.basicConfig(format="%(message)s")
    try:
        yield
    except Refusal as error:
        _end(f"{name}: {error}")
    except KeyboardInterrupt:  # a program may be running, and may not outlive the interpreter
        _end_at_once(f"{name}: stopped{kept}", 130)
    except OSError as error:
        _end(f"{name}: {error}{kept}")
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        flags = ", ".join(f"--{size.replace('_', '-')}" for size in sizes(config))
        _end(f"{name}: there is not memory enough: lower one of {flags}{kept}")


def _end(text: str) -> NoReturn:
    if jax.distributed.is_initialized():
        _end_at_once(text, 1)  # JAX would wait for all to end, and abort where one is gone
    sys.exit(text)


def _end_at_once(text: str, status: int) -> NoReturn:
    print(text, file=sys.stderr, flush=True)
    os._exit(status)


def _is_out_of_memory(error: Exception) -> bool:
    words = ("RESOURCE_EXHAUSTED", "Out of memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def _open_streams() -> None:
    """Let all be printed: what was closed is open to nothing, and no alphabet is too small."""
    for stream in ("stdin", "stdout", "stderr"):  # in the order of the numbers that they then get
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, "r" if stream == "stdin" else "w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _parse(
    name: str, arguments: list[str], configs: Mapping[str, Any], chosen: str, description: str
) -> tuple[Any, Place]:
    default = configs[chosen]

    def parsed(
        config: Annotated[type(default), tyro.conf.arg(name="")] = default,  # type: ignore
        place: Annotated[Place, tyro.conf.arg(name="")] = Place(),
    ) -> tuple[Any, Place]:
        return config, place

    return tyro.cli(
        parsed,
        args=arguments,
        prog=f"python -m experiments.{name} [{'|'.join(configs)}]",
        description=description,
    )
