"""A table of runs: stopped anywhere it goes on, and what is finished is not run again."""

import json
from types import ModuleType

import jax
import numpy as np
import pytest

from experiments import ring
from experiments.harness import table
from experiments.harness.options import Result


class Stopped(Exception):
    pass


@pytest.fixture
def made_up(monkeypatch):
    """An experiment of two cells, that notes its runs and can be stopped at the n-th."""
    module = ModuleType("experiments.made_up")
    module.CONFIGS = {"slow": ring.Config(steps=10), "fast": ring.Config(steps=20)}
    module.TABLES = {"both": module.CONFIGS, "one": {"only": ring.Config(steps=30)}}
    module.runs, module.stop_at = [], None

    def run(config, workdir):
        module.runs.append((config.steps, config.seed))
        if len(module.runs) == module.stop_at:
            raise Stopped
        workdir.mkdir(parents=True, exist_ok=True)
        return Result(None, {"score": config.steps + config.seed, "other": np.float32(1)}, workdir)

    module.run = run
    monkeypatch.setattr(jax, "clear_caches", lambda: None)  # else other tests compile theirs again
    monkeypatch.setitem(__import__("sys").modules, "experiments.made_up", module)
    return module


def options(tmp_path, **changes):
    return table.Options(**{"experiment": "made_up", "workdir": str(tmp_path), **changes})


def test_every_cell_is_run_for_every_seed_and_its_row_says_mean_and_deviation(
    made_up, tmp_path, capsys
):
    table.run(options(tmp_path, table="both"))
    assert made_up.runs == [(steps, seed) for steps in (10, 20) for seed in range(3)]
    printed = capsys.readouterr().out
    assert printed.startswith("slow\n")
    assert "score                                11 ± 1  (10, 11, 12)\n" in printed
    assert "score                                21 ± 1  (20, 21, 22)\n" in printed
    kept = tmp_path / "made_up" / "slow" / "2" / "scores.json"
    assert json.loads(kept.read_text())["metrics"] == {"other": 1.0, "score": 12.0}


def test_what_is_infinite_on_a_seed_has_no_deviation():
    _, infinite, finite = table.rows("cell", [{"kl": np.inf, "js": 0.5}, {"kl": 1.0, "js": 0.7}])
    assert infinite.split() == ["kl", "inf", "(inf,", "1)"]
    assert "0.6 ± 0.1414  (0.5, 0.7)" in finite


def test_a_table_that_was_stopped_goes_on_and_runs_nothing_twice(made_up, tmp_path, capsys):
    made_up.stop_at = 5
    with pytest.raises(Stopped):
        table.run(options(tmp_path, table="both"))
    made_up.stop_at = None
    made_up.runs.clear()
    table.run(options(tmp_path, table="both"))
    assert made_up.runs == [(20, 1), (20, 2)]
    assert "(10, 11, 12)" in capsys.readouterr().out
    made_up.runs.clear()
    made_up.CONFIGS["slow"] = ring.Config(steps=11)
    table.run(options(tmp_path, num_seeds=1))
    assert made_up.runs == [(11, 0)]  # another configuration is another cell


@pytest.mark.parametrize("damaged", ["", "{", "null", "[]", "{}", '{"config": 1}', "[" * 100_000])
def test_scores_that_are_not_whole_are_measured_again(made_up, tmp_path, damaged):
    table.run(options(tmp_path, num_seeds=1))
    scores = tmp_path / "made_up" / "slow" / "0" / "scores.json"
    whole = scores.read_text()
    scores.write_text(damaged)
    table.run(options(tmp_path, num_seeds=1))
    assert made_up.runs == [(10, 0), (10, 0)]
    assert scores.read_text() == whole


def test_a_table_goes_by_its_name(made_up, tmp_path, capsys):
    table.run(options(tmp_path, table="one", num_seeds=1))
    assert made_up.runs == [(30, 0)]
    assert "score                                30  (30)" in capsys.readouterr().out
    made_up.runs.clear()
    table.run(options(tmp_path, num_seeds=1))  # the default configuration
    table.run(options(tmp_path, table="fast", num_seeds=1))
    assert made_up.runs == [(10, 0), (20, 0)]
    with pytest.raises(ValueError, match=r"no table 'two': name one of slow, fast, both, one\."):
        table.run(options(tmp_path, table="two"))
    with pytest.raises(ValueError, match="There is no experiment 'rnig' with named configurations"):
        table.run(options(tmp_path, experiment="rnig"))
