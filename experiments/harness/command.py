"""What every experiment's command line has in common."""

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro

from gan_jax import training
from gan_jax.errors import Refusal


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
    except Refusal as error:
        sys.exit(f"{name}: {error}")
    except OSError as error:
        sys.exit(f"{name}: {error}; what was saved before is kept, see {workdir}")


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
    except Refusal as error:
        sys.exit(f"{name}: {error}")
