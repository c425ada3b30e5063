"""Whose directory it is, and what may be done in it."""

import importlib.metadata
import json
import shutil
from importlib.metadata import version

import jax
import jax.numpy as jnp
import pytest

from gan_jax.training.record import run_digest
from gan_jax.training.rundir import MARK, RunDirectoryError, note_run, open_run

BATCH = {"a": jax.ShapeDtypeStruct((8, 2), jnp.bfloat16), "b": jax.ShapeDtypeStruct((8,), int)}

CONFIG = {"seed": 0, "rate": 1e-3, "widths": (8, 16), "steps": 100}


def go_on(workdir, config, **options):
    """Open the directory of a run that then goes on."""
    note_run(workdir, open_run(workdir, config, **options))


def config_of(workdir):
    return json.loads((workdir / "config.json").read_text())


def test_makes_a_run_and_resumes_it(tmp_path):
    workdir = tmp_path / "runs" / "first"
    open_run(workdir, CONFIG, fresh=False)
    assert config_of(workdir) == MARK | {
        "version": version("gan_jax"),
        "experiment": "",
        "label_names": None,
        "batch": {},
        "config": CONFIG | {"widths": [8, 16]},
    }
    assert {path.name for path in workdir.iterdir()} == {"config.json", "samples"}
    (workdir / "samples" / "1.png").write_text("")
    open_run(workdir, CONFIG, fresh=False)
    assert (workdir / "samples" / "1.png").exists()


def test_a_field_that_may_change_is_recorded(tmp_path):
    go_on(tmp_path, CONFIG, fresh=False)
    go_on(tmp_path, CONFIG | {"steps": 200}, fresh=False)
    assert config_of(tmp_path)["config"]["steps"] == 200


def test_a_run_that_does_not_go_on_leaves_the_configuration_as_it_was(tmp_path):
    open_run(tmp_path, CONFIG, fresh=False, steps=100)
    open_run(tmp_path, CONFIG | {"steps": 200}, fresh=False, steps=200)
    assert config_of(tmp_path)["config"]["steps"] == 100
    assert config_of(tmp_path)["lengths"] == [100]


def test_a_run_that_has_come_further_keeps_its_configuration(tmp_path):
    for steps, newest, kept in [(100, 60, 100), (60, 60, 60), (50, 60, 60), (80, 60, 80)]:
        go_on(tmp_path, CONFIG | {"steps": steps}, fresh=False, steps=steps)
        assert config_of(tmp_path)["config"]["steps"] == kept
        (tmp_path / "checkpoints" / str(newest)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkpoints" / "90.damaged").mkdir(exist_ok=True)
    go_on(tmp_path, CONFIG | {"steps": 50}, fresh=True, steps=50)
    assert config_of(tmp_path)["config"]["steps"] == 50


def test_a_phase_says_what_was_before_and_every_length_that_was_asked_for(tmp_path):
    for steps in (20, 10, 20):
        go_on(tmp_path, CONFIG, fresh=False, before=[("a", 3)], steps=steps)
    said = config_of(tmp_path)
    assert (said["before"], said["lengths"]) == ([["a", 3]], [10, 20])
    with pytest.raises(RunDirectoryError, match=r'before was \[\["a", 3\]\] and is \[\]'):
        go_on(tmp_path, CONFIG, fresh=False, before=[], steps=20)
    go_on(tmp_path, CONFIG, fresh=True, before=[], steps=30)
    assert config_of(tmp_path)["lengths"] == [30]


def test_a_checkout_that_is_not_installed_has_no_version(tmp_path, monkeypatch):
    def find_nothing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", find_nothing)
    open_run(tmp_path, CONFIG, fresh=False)
    assert config_of(tmp_path)["version"] == "unknown"


def test_another_configuration_is_refused_field_by_field(tmp_path):
    open_run(tmp_path, CONFIG, fresh=False)
    other = {"seed": True, "rate": 2e-3, "widths": (8, 16), "loss": "hinge"}
    with pytest.raises(RunDirectoryError) as error:
        open_run(tmp_path, other, fresh=False, experiment="gan")
    assert 'experiment was "" and is "gan"; seed was 0 and is true' in str(error.value)
    assert 'rate was 0.001 and is 0.002; loss was absent and is "hinge"' in str(error.value)
    assert "steps" not in str(error.value)
    assert "widths" not in str(error.value)
    assert "--fresh" in str(error.value)
    assert "--workdir" in str(error.value)
    assert config_of(tmp_path)["config"]["rate"] == 1e-3


def test_what_only_informs_may_change_and_a_batch_is_asked_for_once(tmp_path):
    asked = []

    def batch(shapes):
        asked.append(shapes)
        return shapes

    for names, shapes, fresh in [("ab", BATCH, False), ("cd", {}, False), (None, {}, True)]:
        go_on(tmp_path, CONFIG, fresh=fresh, label_names=names, batch=lambda s=shapes: batch(s))
        found = config_of(tmp_path)
        assert found["label_names"] == (names and list(names))
        described = {
            "a": {"shape": [8, 2], "dtype": "bfloat16"},
            "b": {"shape": [8], "dtype": "int64"},
        }
        assert found["batch"] == ({} if fresh else described)
    assert asked == [BATCH, {}]


def test_a_run_and_a_directory_of_phases_are_not_taken_for_each_other(tmp_path):
    go_on(tmp_path / "run", CONFIG, fresh=False)
    go_on(tmp_path / "phases", CONFIG, fresh=False, phases=["a", "b"])
    for name, phases, words in [
        ("run", ["a"], r'phases was absent and is \["a"\]'),
        ("phases", [], r'phases was \["a", "b"\] and is absent'),
        ("phases", ["b"], r'phases was \["a"\] and is \["b"\]'),
    ]:
        with pytest.raises(RunDirectoryError, match=words):
            go_on(tmp_path / name, CONFIG, fresh=False, phases=phases)
    for phases in (["a", "b", "c"], ["a"]):
        go_on(tmp_path / "phases", CONFIG, fresh=False, phases=phases)
        assert config_of(tmp_path / "phases")["phases"] == ["a", "b", "c"]


def test_a_deletion_that_was_cut_short_is_brought_to_its_end(tmp_path, monkeypatch):
    open_run(tmp_path, CONFIG, fresh=False, phases=["a", "b"])
    for phase in "ab":
        open_run(tmp_path / phase, CONFIG, fresh=False)
        (tmp_path / phase / "checkpoints").mkdir()
    (tmp_path / "b" / "notes.md").write_text("mine")
    removed, rmtree = [], shutil.rmtree

    def killed(path):
        if removed:
            raise KeyboardInterrupt
        removed.append(path)
        rmtree(path)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            open_run(tmp_path, {"seed": 1}, fresh=True, phases=["a", "c"])
    open_run(tmp_path, {"seed": 2}, fresh=False, phases=["c"])
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
        "config.json",
        "b",
        "b/notes.md",
    }
    assert config_of(tmp_path)["phases"] == ["c"]


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
    assert config_of(tmp_path)["config"] == {"seed": 1}
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
@pytest.mark.parametrize(
    "config",
    ["", '{"seed": ', "[1]", '{"name": "of another program"}', "[" * 100_000]
    + [
        json.dumps(MARK | {"experiment": "", "config": {}} | change)
        for change in (
            {"config": None},
            {"experiment": 1},
            {"batch": []},
            {"label_names": "ab"},
            {"phases": [1]},
            {"phases": ["../elsewhere"]},
            {"lengths": ["1"]},
            {"before": 3},
            {"being_deleted": "yes"},
            {"written_by": ["gan_jax"]},
        )
    ],
)
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


def test_names_are_printed_without_what_commands_a_terminal(tmp_path):
    open_run(tmp_path, {"\x1b[31mred": 1}, fresh=False)
    with pytest.raises(RunDirectoryError) as refusal:
        open_run(tmp_path, {}, fresh=False)
    assert r"(\u001b[31mred was 1 and is absent)" in str(refusal.value)


def test_of_a_link_fresh_deletes_the_link_alone(tmp_path):
    open_run(tmp_path / "run", CONFIG, fresh=False)
    elsewhere = tmp_path / "scratch"
    elsewhere.mkdir()
    (elsewhere / "mine.png").write_text("")
    (tmp_path / "run" / "samples").rmdir()
    (tmp_path / "run" / "samples").symlink_to(elsewhere)
    open_run(tmp_path / "run", CONFIG, fresh=True)
    assert not (tmp_path / "run" / "samples").is_symlink()
    assert (elsewhere / "mine.png").exists()


def test_the_digest_of_a_run_is_of_what_makes_it_this_one():
    record = {"experiment": "a", "config": {"seed": 0, "steps": 1}, "before": [["x", 3]]}
    others = [
        {"experiment": "b"},
        {"config": {"seed": 1, "steps": 1}},
        {"before": [["x", 4]]},
        {"before": []},
    ]
    digests = {run_digest(record | change) for change in others}
    assert len(digests | {run_digest(record)}) == 5
    longer = {"config": {"steps": 2, "seed": 0}, "version": "other", "label_names": ["a"]}
    assert run_digest(record | longer) == run_digest(record)
    assert run_digest(record | {"before": [("x", 3)]}) == run_digest(record)
