"""Two processes: one comes late, is told something else, or is killed; the other says so."""

import os
import socket
import subprocess
import sys
import time

import pytest

from gan_jax.training import read_log

RUN = """
import os
import signal
import sys

from gan_jax.errors import Refusal
from gan_jax.training.distributed import initialize

address, index, workdir, seed, dies_at = sys.argv[1], *map(int, sys.argv[2:3]), *sys.argv[3:]
initialize(address, 2, index)

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data import ArrayDataset, resident_feed
from gan_jax.games import PlayerOutcome, Weights, descent_step, init_descent
from gan_jax.training import Hook, Timetable, process_rows, train
import optax

OPTIMIZER = optax.adam(0.1)
X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
FEED = resident_feed(
    ArrayDataset({"x": X}), {"x": None}, batch_size=8, seed=0, rows=process_rows(8)
)


def step(key, state, batch):
    def objective(*, weights, batch, key):
        return PlayerOutcome(jnp.mean((batch["x"] @ weights.params - jax.random.normal(key)) ** 2))

    return descent_step(key, state, batch, objective=objective, optimizer=OPTIMIZER)


def look(step, state):
    if index == 1 and step == int(dies_at):
        os.kill(os.getpid(), signal.SIGKILL)


try:
    state = train(
        step,
        init_descent(weights=Weights(params=jnp.zeros(3)), optimizer=OPTIMIZER),
        FEED,
        key=jax.random.key(0),
        timetable=Timetable(30, 5, 10),
        batch_size=8,
        workdir=workdir,
        config={"seed": int(seed)},
        hooks=[Hook(5, look)],
    ).state
    print(np.asarray(state.player.weights.params.addressable_data(0)).tobytes().hex())
except Refusal as refusal:
    print(refusal, file=sys.stderr, flush=True)
    os._exit(1)
"""


def start(address, index, workdir, seed=0, dies_at=0):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
    arguments = [sys.executable, "-c", RUN, address, index, workdir, seed, dies_at]
    return subprocess.Popen(
        list(map(str, arguments)),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def ends(processes):
    try:
        outputs = [process.communicate(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        (process.returncode, output.splitlines()[-1:], errors)  # what Gloo prints comes first
        for process, (output, errors) in zip(processes, outputs, strict=True)
    ]


@pytest.mark.slow
def test_a_killed_process_is_one_sentence_and_all_resume(tmp_path, address):
    whole = ends([start(address, index, tmp_path / "whole") for index in range(2)])
    assert [status for status, *_ in whole] == [0, 0], whole
    killed = ends([start(address, index, tmp_path / "run", dies_at=15) for index in range(2)])
    assert [status for status, *_ in killed] == [1, -9], killed
    said = killed[0][2]
    assert "another process of the run was lost (" in said
    assert "same command to resume" in said
    assert "Traceback" not in said
    again = ends([start(address, index, tmp_path / "run") for index in range(2)])
    assert "resuming at step 10 of 30" in again[0][2]
    assert [output for _, output, _ in again] == [output for _, output, _ in whole]
    losses = [[line["loss"] for line in read_log(tmp_path / name)] for name in ("whole", "run")]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 6


@pytest.mark.slow
def test_processes_that_were_told_different_things_refuse_before_anything_is_written(
    tmp_path, address
):
    run = tmp_path / "run"
    first, second = ends([start(address, index, run, seed=index) for index in range(2)])
    assert (first[0], second[0]) == (1, 1)
    assert "not started alike (another one says in what)" in first[2]
    assert "not started alike (seed is 1 here and 0 on process 0)" in second[2]
    assert "Traceback" not in first[2] + second[2]
    assert not run.exists()


@pytest.mark.slow
def test_who_is_early_says_for_whom_it_waits(tmp_path, address):
    early = start(address, 0, tmp_path / "run")
    assert early.stderr is not None
    assert early.stderr.readline() == f"waiting for 1 more at {address}\n"
    time.sleep(5)
    late = start(address, 1, tmp_path / "run")
    first, second = ends([early, late])
    assert (first[0], second[0]) == (0, 0)
    assert f"waiting for process 0 at {address}\n" in second[2]
    assert first[1] == second[1]
