import json

import pytest

from gan_jax.training.rundir import RunDirectoryError, open_run

CONFIG = {"seed": 0, "rate": 1e-3, "widths": (8, 16), "steps": 100}


def config_of(workdir):
    return json.loads((workdir / "config.json").read_text())


def test_makes_a_run_and_resumes_it(tmp_path):
    workdir = tmp_path / "runs" / "first"
    assert open_run(workdir, CONFIG, fresh=False) is False
    assert config_of(workdir) == CONFIG | {"widths": [8, 16]}
    assert {path.name for path in workdir.iterdir()} == {"config.json", "samples"}
    (workdir / "samples" / "1.png").write_text("")
    assert open_run(workdir, CONFIG, fresh=False) is True
    assert (workdir / "samples" / "1.png").exists()


def test_a_field_that_may_change_is_recorded(tmp_path):
    open_run(tmp_path, CONFIG, fresh=False)
    longer = CONFIG | {"steps": 200}
    assert open_run(tmp_path, longer, fresh=False, ignore=frozenset({"steps"})) is True
    assert config_of(tmp_path)["steps"] == 200


def test_another_configuration_is_refused_field_by_field(tmp_path):
    open_run(tmp_path, CONFIG, fresh=False)
    other = {"seed": True, "rate": 2e-3, "widths": (8, 16), "loss": "hinge"}
    with pytest.raises(RunDirectoryError) as error:
        open_run(tmp_path, other, fresh=False)
    assert "seed was 0 and is true; rate was 0.001 and is 0.002" in str(error.value)
    assert 'steps was 100 and is absent; loss was absent and is "hinge"' in str(error.value)
    assert "widths" not in str(error.value)
    assert "--fresh" in str(error.value)
    assert "--workdir" in str(error.value)
    assert config_of(tmp_path)["rate"] == 1e-3


def test_nan_in_a_configuration_is_equal_to_itself(tmp_path):
    open_run(tmp_path, {"x": float("nan")}, fresh=False)
    assert open_run(tmp_path, {"x": float("nan")}, fresh=False) is True


def test_fresh_deletes_what_a_run_wrote_and_nothing_else(tmp_path):
    open_run(tmp_path, CONFIG, fresh=False)
    (tmp_path / "checkpoints" / "10").mkdir(parents=True)
    for name in ("metrics.jsonl", "events.out.tfevents.1.host", "samples/1.png"):
        (tmp_path / name).write_text("")
    mine = ["notes.md", "metrics.jsonl.bak", "config.json.old"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    assert open_run(tmp_path, {"seed": 1}, fresh=True) is False
    assert config_of(tmp_path) == {"seed": 1}
    assert list((tmp_path / "samples").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "samples", *mine}


def test_foreign_files_stay_but_foreign_checkpoints_are_refused(tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    (tmp_path / "checkpoints" / "10").mkdir(parents=True)
    with pytest.raises(RunDirectoryError, match=r"checkpoints/ but no config\.json"):
        open_run(tmp_path, CONFIG, fresh=False)
    assert (tmp_path / "checkpoints" / "10").exists()
    (tmp_path / "checkpoints" / "10").rmdir()
    assert open_run(tmp_path, CONFIG, fresh=False) is False
    assert (tmp_path / "notes.md").read_text() == "mine"


@pytest.mark.parametrize("damaged", ["", '{"seed": ', "[1]"])
def test_a_damaged_configuration_is_no_traceback_of_json(tmp_path, damaged):
    (tmp_path / "config.json").write_text(damaged)
    with pytest.raises(RunDirectoryError, match=r"config\.json is damaged .*--fresh"):
        open_run(tmp_path, CONFIG, fresh=False)
    assert (tmp_path / "config.json").read_text() == damaged
    assert open_run(tmp_path, CONFIG, fresh=True) is False


@pytest.mark.parametrize("name", ["file", "file/run"])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_directory_that_cannot_be_made(tmp_path, name, fresh):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"cannot be used .*choose a --workdir"):
        open_run(tmp_path / name, CONFIG, fresh=fresh)
    assert (tmp_path / "file").read_text() == "mine"
