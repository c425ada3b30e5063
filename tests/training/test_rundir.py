import json

import pytest

from gan_jax.training.rundir import MARK, RunDirectoryError, open_run

CONFIG = {"seed": 0, "rate": 1e-3, "widths": (8, 16), "steps": 100}


def config_of(workdir):
    return json.loads((workdir / "config.json").read_text())


def test_makes_a_run_and_resumes_it(tmp_path):
    workdir = tmp_path / "runs" / "first"
    open_run(workdir, CONFIG, fresh=False)
    assert config_of(workdir) == MARK | CONFIG | {"widths": [8, 16]}
    assert {path.name for path in workdir.iterdir()} == {"config.json", "samples"}
    (workdir / "samples" / "1.png").write_text("")
    open_run(workdir, CONFIG, fresh=False)
    assert (workdir / "samples" / "1.png").exists()


def test_a_field_that_may_change_is_recorded(tmp_path):
    open_run(tmp_path, CONFIG, fresh=False)
    longer = CONFIG | {"steps": 200}
    open_run(tmp_path, longer, fresh=False, ignore=frozenset({"steps"}))
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
    open_run(tmp_path, {"x": float("nan")}, fresh=False)


def test_fresh_deletes_what_a_run_wrote_and_nothing_else(tmp_path):
    open_run(tmp_path, CONFIG, fresh=False)
    (tmp_path / "checkpoints" / "10").mkdir(parents=True)
    for name in ("metrics.jsonl", "events.out.tfevents.1.host.2.gan_jax", "samples/1.png"):
        (tmp_path / name).write_text("")
    mine = ["notes.md", "events.out.tfevents.1.host", "metrics.jsonl.bak", "config.json.old"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    open_run(tmp_path, {"seed": 1}, fresh=True)
    assert config_of(tmp_path) == MARK | {"seed": 1}
    assert list((tmp_path / "samples").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "samples", *mine}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    "name",
    ["checkpoints/10", "samples/best", "metrics.jsonl", "events.out.tfevents.1.host.2.gan_jax"],
)
def test_what_may_be_of_another_program_is_never_touched(tmp_path, name, fresh):
    (tmp_path / "notes.md").write_text("mine")
    foreign = tmp_path / name
    foreign.mkdir(parents=True)
    with pytest.raises(RunDirectoryError, match=rf"{name.partition('/')[0]} but no config\.json"):
        open_run(tmp_path, CONFIG, fresh=fresh)
    assert foreign.exists()
    assert not (tmp_path / "config.json").exists()


def test_other_files_stay(tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    for fresh in (False, True):
        open_run(tmp_path, CONFIG, fresh=fresh)
        assert (tmp_path / "notes.md").read_text() == "mine"


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("config", ["", '{"seed": ', "[1]", '{"name": "of another program"}'])
def test_a_configuration_that_no_run_wrote_is_refused_and_kept(tmp_path, config, fresh):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(RunDirectoryError, match=r"config\.json is damaged, or no run .*--workdir"):
        open_run(tmp_path, CONFIG, fresh=fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    assert (tmp_path / "config.json").read_text() == config


@pytest.mark.parametrize("name", ["file", "file/run"])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_directory_that_cannot_be_made(tmp_path, name, fresh):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"cannot be used .*choose a --workdir"):
        open_run(tmp_path / name, CONFIG, fresh=fresh)
    assert (tmp_path / "file").read_text() == "mine"
