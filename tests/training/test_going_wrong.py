"""The table "When something goes wrong" of experiments/README.md: each row is made to happen."""

import json
import re
import shutil
import signal
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import ArrayDataset, resident_feed
from gan_jax.errors import Refusal
from gan_jax.training import lock
from tests.training.random_damages import FEED, X, run

pytestmark = pytest.mark.usefixtures("compiled_once")
README = Path(__file__).parents[2] / "experiments" / "README.md"
OTHERS = {
    "Ctrl-C a second time": "experiments/harness/command.py",
    "a checkpoint may not be read, or not now": "gan_jax/training/reading.py",
    "another process is lost": "gan_jax/training/agreement.py",
    "processes with different options": "gan_jax/training/agreement.py",
}
"""What takes other processes or users, and is tested beside the code that says it."""
SAY_NOTHING_OF_OURS = {
    "the process is killed",
    "a picture cannot be made",
    "a warning of a damaged compilation cache at every start",
}


def interrupt(place):
    run(place, look=lambda step, state: signal.raise_signal(signal.SIGTERM))


def hold(place):
    with lock.Lock(place):
        run(place)


def lock_elsewhere(place):
    place.mkdir()
    (place / lock.LOCK_FILE).write_text(json.dumps({"host": "b", "pid": 1, "machine": ["b"]}))
    run(place)


def change_options(place):
    run(place, steps=10)
    run(place, seed=1)


def damage(*steps):
    def damage_and_run(place):
        run(place)
        for step in steps:
            (place / "checkpoints" / str(step) / "manifest" / "metadata").write_text("")
        run(place)

    return damage_and_run


def move_checkpoint(place):
    run(place, steps=20)
    (place / "checkpoints" / "20").rename(place / "checkpoints" / "25")
    run(place)


def remove(name):
    def remove_and_run(place):
        run(place, steps=20)
        path = place / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        run(place)

    return remove_and_run


def damage_config(place):
    run(place, steps=20)
    (place / "config.json").write_text("{")
    run(place)


def put_a_file(place):
    place.write_text("")
    run(place)


def lose_numbers(place):
    feed = resident_feed(
        ArrayDataset({"x": np.full_like(X, np.nan)}), {"x": None}, batch_size=8, seed=0
    )
    run(place, feed=feed)


def diverge(place):
    def step(key, state, batch):
        return state, {"loss": jnp.nan * jnp.sum(batch["x"])}

    run(place, feed=FEED, step=step)


ROWS = {
    "Ctrl-C or SIGTERM": interrupt,
    "another run has the directory": hold,
    "a lock from another machine": lock_elsewhere,
    "other options than before": change_options,
    "a checkpoint is damaged": damage(30),
    "all of them are damaged": damage(10, 20, 30),
    "a checkpoint of another run or step": move_checkpoint,
    "the checkpoints are gone": remove("checkpoints"),
    "the log has lost lines": remove("metrics.jsonl"),
    "`config.json` is damaged": damage_config,
    "no access, or no room": put_a_file,
    "the data are not finite": lose_numbers,
    "a loss is not finite": diverge,
}


def rows():
    section = README.read_text().split("## When something goes wrong")[1].split("\n## ")[0]
    lines = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {name.removeprefix("| "): said for name, said, _ in lines[1:]}


def test_every_row_is_made_to_happen():
    assert set(rows()) == {*ROWS, *OTHERS, *SAY_NOTHING_OF_OURS}


@pytest.mark.parametrize("name", ROWS)
def test_what_is_said(tmp_path, monkeypatch, capfd, name):
    monkeypatch.setattr(lock, "WATCHED_FOR", 0.1)
    said = ""
    try:
        ROWS[name](tmp_path / "run")
    except (Refusal, SystemExit) as error:
        said = str(error)
    said += capfd.readouterr().err
    assert re.fullmatch(r"`(.*)`", rows()[name])[1] in said


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_said_elsewhere(name):
    assert rows()[name].strip("`") in (README.parents[1] / OTHERS[name]).read_text()
