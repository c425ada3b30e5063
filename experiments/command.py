"""What every experiment's command line has in common."""

import dis
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro

from gan_jax import training
from gan_jax.data import DatasetUnavailable

EXPECTED = (
    ValueError,
    FloatingPointError,
    ImportError,
    OSError,
    training.CheckpointError,
    DatasetUnavailable,
)


@dataclass(frozen=True)
class Place:
    """Where the run goes, and which processes take part.

    The last three flags are for several processes on machines that JAX cannot ask (it can on
    SLURM and on TPU pods): give all three to each process.
    """

    workdir: Path | None = None
    """The run directory, by default runs/<experiment>; a run found there is resumed."""
    fresh: bool = False
    """Delete the run found there and start over."""
    coordinator_address: str | None = None
    """Host and port of process 0, as in 10.0.0.1:1234."""
    num_processes: int | None = None
    """How many processes there are."""
    process_id: int | None = None
    """Which of them this is, from 0."""


def main(name: str, run: Callable, configs: Mapping[str, Any], description: str) -> None:
    """Parse the command line, set the run up, run it; say in one line what a user got wrong.

    A first argument that is no flag names the configuration that the flags then change.
    """
    arguments = sys.argv[1:]
    chosen = arguments.pop(0) if arguments and arguments[0] in configs else next(iter(configs))
    config, place = _parse(name, arguments, configs, chosen, description)
    logging.basicConfig(format="%(message)s")
    workdir = place.workdir or Path("runs") / name
    try:
        training.initialize(place.coordinator_address, place.num_processes, place.process_id)
        training.enable_compilation_cache()
        result = run(config, workdir, fresh=place.fresh)
        if jax.process_index() == 0:
            print(result)
    except EXPECTED as error:
        if isinstance(error, OSError):
            sys.exit(f"{name}: {error}; what was saved before is kept, see {workdir}")
        if not _is_ours(error):
            raise
        sys.exit(f"{name}: {error}")


def _parse(
    name: str, arguments: list[str], configs: Mapping[str, Any], chosen: str, description: str
) -> tuple[Any, Place]:
    default = configs[chosen]

    def parsed(
        config: Annotated[type(default), tyro.conf.arg(name="")] = default,  # type: ignore
        place: Annotated[Place, tyro.conf.arg(name="")] = Place(),
    ) -> tuple[Any, Place]:
        return config, place

    try:
        return tyro.cli(
            parsed,
            args=arguments,
            prog=f"python -m experiments.{name} [{'|'.join(configs)}]",
            description=description,
        )
    except ValueError as error:
        sys.exit(f"{name}: {error}")


def _is_ours(error: BaseException) -> bool:
    """Whether the error was raised by this project, and so says what the user can do.

    What Python, or JAX (which hides its own frames), raises at a line of ours is a bug of ours,
    but for what the operating system or an import refuses.
    """
    traceback = error.__traceback__
    assert traceback is not None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    roots = [Path(__file__).parent, Path(training.__file__).parent.parent]
    if not any(Path(code.co_filename).is_relative_to(root) for root in roots):
        return False
    raised = code.co_code[traceback.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return raised or isinstance(error, OSError | ImportError)
