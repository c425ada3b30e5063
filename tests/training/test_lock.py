"""One run at a time in a directory, whoever left a lock there and wherever."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from gan_jax.training import RunDirectoryError, lock
from gan_jax.training.lock import LOCK_FILE, Lock, refuse_if_held


@pytest.fixture(autouse=True)
def in_haste(monkeypatch):
    monkeypatch.setattr(lock, "TOUCHED_EVERY", 0.02)
    monkeypatch.setattr(lock, "WATCHED_FOR", 0.3)


@pytest.fixture
def process():
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def leave(workdir, **changes):
    """Leave the lock of a run that does not live in this process."""
    with Lock(workdir):
        said = json.loads((workdir / LOCK_FILE).read_text())
    (workdir / LOCK_FILE).write_text(json.dumps(said | changes))


def test_a_directory_is_made_held_and_given_back(tmp_path):
    workdir = tmp_path / "runs" / "first"
    with Lock(workdir) as held:
        held.check()
        with pytest.raises(RunDirectoryError, match=f"in use by process {os.getpid()} on "):
            Lock(workdir).__enter__()
        with pytest.raises(RunDirectoryError, match=f"no such process runs, remove {LOCK_FILE}"):
            refuse_if_held(workdir)
        held.check()
    assert not list(workdir.iterdir())
    refuse_if_held(workdir)
    with Lock(workdir):
        pass


def test_it_is_given_back_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), Lock(tmp_path):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_process_of_this_machine_lives_or_does_not(tmp_path, process):
    leave(tmp_path, pid=process.pid, started=lock._started(process.pid))
    with pytest.raises(RunDirectoryError, match=f"process {process.pid} on"):
        Lock(tmp_path).__enter__()
    process.kill()  # and is a zombie as long as nobody asks for its status
    for _ in range(500):
        if not lock._started(process.pid):
            break
        time.sleep(0.01)
    begin = time.monotonic()
    with Lock(tmp_path) as held:
        held.check()
    assert time.monotonic() - begin < lock.WATCHED_FOR  # it need not be watched


def test_the_number_of_a_process_may_be_another_s_by_now(tmp_path, process):
    leave(tmp_path, pid=process.pid, started="1")
    with Lock(tmp_path):
        pass


@pytest.mark.parametrize("change", [{"machine": ["elsewhere"]}, {"machine": None}, {"lock": None}])
def test_elsewhere_a_lock_is_left_behind_when_nobody_touches_it(tmp_path, capfd, change):
    leave(tmp_path, pid=1, **({"started": "1", "machine": ["elsewhere"], "host": "b"} | change))
    with Lock(tmp_path) as held:
        held.check()
    assert "waiting 0 s to see whether process 1 on b still holds" in capfd.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000])
def test_a_damaged_lock_is_watched_too(tmp_path, capfd, text):
    (tmp_path / LOCK_FILE).write_text(text)
    with Lock(tmp_path) as held:
        held.check()
    assert "process ? on an unknown machine" in capfd.readouterr().err


def test_elsewhere_a_lock_that_is_touched_is_held(tmp_path, monkeypatch):
    elsewhere = {"host": "b", "machine": ["b"], "pid": 1, "started": "1"}
    with Lock(tmp_path):
        monkeypatch.setattr(lock, "_myself", lambda: elsewhere)
        with pytest.raises(RunDirectoryError, match="in use by process"):
            Lock(tmp_path).__enter__()


def test_a_run_that_has_lost_its_lock_stops_and_leaves_the_other_s(tmp_path):
    with Lock(tmp_path) as lost:
        (tmp_path / LOCK_FILE).unlink()
        with pytest.raises(RunDirectoryError, match="no longer this run's"):
            lost.check()
        with Lock(tmp_path) as held:
            with pytest.raises(RunDirectoryError, match="no longer this run's"):
                lost.check()
            lost.__exit__()
            held.check()


def test_of_many_that_start_at_once_one_gets_it(tmp_path):
    leave(tmp_path, pid=2**22 + 1)
    holding, refused, everybody = [], [], threading.Barrier(8)

    def start():
        everybody.wait()
        try:
            with Lock(tmp_path):
                holding.append(threading.get_ident())
                time.sleep(0.2)
        except RunDirectoryError:
            refused.append(threading.get_ident())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(holding), len(refused)) == (1, 7)


def test_a_lock_that_cannot_be_given_back_hides_no_error(tmp_path, monkeypatch):
    def fail(path):
        raise OSError("no access")

    held = Lock(tmp_path).__enter__()
    monkeypatch.setattr(lock, "_read", fail)
    held.check()
    held.__exit__(ValueError, ValueError("the true sentence"), None)


def test_a_lock_that_cannot_be_written_leaves_none(tmp_path, monkeypatch):
    monkeypatch.setattr(lock.json, "dumps", lambda said: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(RunDirectoryError, match="cannot be used"):
        Lock(tmp_path).__enter__()
    assert not list(tmp_path.iterdir())


def test_who_died_as_he_took_a_lock_away_hinders_nobody(tmp_path):
    leave(tmp_path, pid=2**22 + 1)
    (tmp_path / f"{LOCK_FILE}.taken").write_text("")
    with Lock(tmp_path) as held:
        held.check()
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="choose a --workdir"):
        Lock(tmp_path / "file" / "run").__enter__()


RUN = """
import sys, time
from pathlib import Path
from gan_jax.training.lock import Lock

with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_a_lock_that_the_next_one_takes(tmp_path):
    with subprocess.Popen([sys.executable, "-c", RUN, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RunDirectoryError, match=f"process {process.pid} on"):
            Lock(tmp_path).__enter__()
        process.kill()
        process.wait()
    assert (tmp_path / LOCK_FILE).exists()
    with Lock(tmp_path) as held:
        held.check()
