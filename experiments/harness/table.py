"""A table over seeds.    python -m experiments.harness.table iwae k

Runs every cell of a table of an experiment for several seeds, each in a run directory of its own,
and prints means ± standard deviations. Finished cells are skipped and an unfinished one is
resumed, so the command may be stopped anywhere. The name is that of one of the experiment's
TABLES, or of a configuration, which is then the one cell; without a name it is the default.
"""

import contextlib
import dataclasses
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from experiments.harness.bounds import Count, check_bounds
from experiments.harness.command import directory, in_one_line
from gan_jax import training
from gan_jax.errors import Refusal

SCORES = "scores.json"


@dataclasses.dataclass(frozen=True)
class Options:
    experiment: Annotated[str, tyro.conf.Positional]
    """The name of an experiment, as in `python -m experiments.<name>`."""
    table: Annotated[str, tyro.conf.Positional] = ""
    """One of its tables or of its configurations; without a name, its default configuration."""
    num_seeds: Count = 3
    """Seeds 0, 1, ... of each cell."""
    workdir: str = "runs/tables"
    """Where the run directories are: <experiment>/<cell>/<seed>."""

    def __post_init__(self) -> None:
        check_bounds(self)


def cells_of(options: Options) -> tuple[ModuleType, Mapping[str, Any]]:
    """The experiment, and the configuration of every cell by its name."""
    try:
        module = importlib.import_module(f"experiments.{options.experiment}")
        single = {name: {name: config} for name, config in module.CONFIGS.items()}
        tables = {**single, **getattr(module, "TABLES", {})}
    except (ModuleNotFoundError, AttributeError):
        raise Refusal(
            f"There is no experiment {options.experiment!r} with named configurations: name a file "
            "of the folder experiments, without its ending."
        ) from None
    name = options.table or next(iter(tables))
    if name not in tables:
        raise Refusal(
            f"{options.experiment} has no table {name!r}: name one of {', '.join(tables)}."
        )
    return module, tables[name]


def scores_of(module: ModuleType, config: Any, workdir: Path) -> dict[str, float]:
    """What a run measured at its end: run it, unless it was finished with this configuration."""
    path = workdir / SCORES
    described = json.loads(json.dumps(dataclasses.asdict(config)))
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):  # not whole
        kept = json.loads(path.read_text())
        if kept["config"] == described:
            return kept["metrics"]
    result = module.run(config, workdir)
    metrics = {name: float(value) for name, value in sorted(result.metrics.items())}
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps({"config": described, "metrics": metrics}))
    unfinished.replace(path)
    jax.clear_caches()
    return metrics


def rows(name: str, scores: list[dict[str, float]]) -> list[str]:
    """A line for each metric: its mean ± standard deviation over seeds, and its values.

    What is not finite on some seed has no deviation.
    """
    lines = [name]
    for metric in scores[0]:
        values = np.array([score[metric] for score in scores])
        has_spread = len(values) > 1 and np.isfinite(values).all()
        spread = f" ± {values.std(ddof=1):.4g}" if has_spread else ""
        each = ", ".join(f"{value:.4g}" for value in values)
        lines.append(f"  {metric:36s} {values.mean():.4g}{spread}  ({each})")
    return lines


def run(options: Options) -> None:
    """Fill the table, cell by cell, and print each row when it is full."""
    module, cells = cells_of(options)
    folder = directory(options.workdir) / options.experiment
    for name, config in cells.items():
        scores = [
            scores_of(module, dataclasses.replace(config, seed=seed), folder / name / str(seed))
            for seed in range(options.num_seeds)
        ]
        print("\n".join(rows(name, scores)), flush=True)


if __name__ == "__main__":
    with in_one_line("table"):
        chosen = tyro.cli(Options, description=__doc__, prog="python -m experiments.harness.table")
        training.enable_compilation_cache()
        run(chosen)
