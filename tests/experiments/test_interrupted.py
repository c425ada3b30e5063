"""Runs that are really killed: however often, they end in the bits of one that was not."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import experiments
from gan_jax.training.logs import WALL_CLOCK_FIELDS

pytestmark = pytest.mark.usefixtures("compiled_quickly")

ROOT = Path(experiments.__path__[0]).parent
RING = """ring --steps 300 --width 8 --batch-size 16 --steps-per-dispatch 5 --evaluate-every 150
    --checkpoint-every 10 --seed 3"""
DCGAN = """dcgan --steps 60 --width 4 --batch-size 8 --steps-per-dispatch 1 --evaluate-every 20
    --checkpoint-every 2 --num-discriminator-steps 2"""
IN_PHASES = {
    "adda": (
        """adda --steps 20 --source-steps 6 --image-size 16 --num-features 8 --widths 8
            --batch-size 8""",
        {"source": 6, "target": 20},
        ["target"],
    ),
    "gansynth": (
        """gansynth --fade-steps 10 --steps 20 --frame-length 64 --hop-length 16
            --num-frames 8 --rate 4000 --lowest-pitch 60 --highest-pitch 62 --width 2
            --max-width 4 --latent-dim 4 --batch-size 4""",
        {"2x8": 10, "4x16": 20, "8x32": 20},
        ["4x16", "8x32"],
    ),
}
ONCE = {
    "cyclegan": """cyclegan --steps 20 --constant-steps 8 --decay-steps 12 --width 2 --num-blocks 1
        --batch-size 2 --pool-size 5""",
    "lapgan": "lapgan --steps 20 --width 2 --batch-size 4",
}
PATIENCE = 600


class Run:
    """One start of a command, its errors in a file."""

    def __init__(self, command, workdir, cache, devices=1):
        environment = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": str(devices),
            "XDG_CACHE_HOME": str(cache),
        }
        module, *flags = command.split()
        self.workdir = workdir
        self._errors = workdir.with_name(f"{workdir.name}-{time.time_ns()}.err")
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"experiments.{module}", "--workdir", str(workdir), *flags],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def until(self, condition):
        """Wait while the process runs, at most until something has happened."""
        end = time.monotonic() + PATIENCE
        while not condition() and self.process.poll() is None:
            assert time.monotonic() < end, self.errors
            time.sleep(0.01)
        return self

    def kill(self, signum=signal.SIGKILL):
        assert self.process.poll() is None, f"ended too early: {self.errors}"
        self.process.send_signal(signum)
        return self.end()

    def end(self):
        return self.process.wait(timeout=PATIENCE)

    @property
    def errors(self):
        return self._errors.read_text()


def records(workdir):
    path = workdir / "metrics.jsonl"
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:  # half a line
            continue
        yield {name: value for name, value in record.items() if name not in WALL_CLOCK_FIELDS}


def reached(workdir, step):
    return lambda: any(record["step"] >= step for record in records(workdir))


def saved(workdir):
    """The checkpoints that are complete."""
    folder = workdir / "checkpoints"
    return {int(path.name) for path in folder.glob("*") if path.name.isdigit()}


def results(workdir):
    """All that a run leaves but for times: checkpoints by their digests, metrics, pictures."""
    digests = {
        step: json.loads(
            (workdir / "checkpoints" / str(step) / "manifest" / "metadata").read_text()
        )["sha256"]
        for step in saved(workdir)
    }
    pictures = {path.name: path.read_bytes() for path in (workdir / "samples").iterdir()}
    return digests, [json.dumps(record) for record in records(workdir)], pictures


@pytest.fixture(scope="module")
def ring(tmp_path_factory, cache):
    """An uninterrupted run, under way."""
    run = Run(RING, tmp_path_factory.mktemp("runs") / "whole", cache)
    yield run
    run.process.kill()
    run.end()


def assert_same_results(run, whole, step, phase=""):
    assert run.end() == 0, run.errors
    assert whole.end() == 0, whole.errors
    digests, *rest = results(run.workdir / phase)
    expected, *expected_rest = results(whole.workdir / phase)
    assert max(digests) == step
    assert digests[step] == expected[step]
    assert rest == expected_rest


@pytest.mark.slow
def test_a_killed_run_ends_in_the_same_bits(ring, cache, tmp_path):
    workdir = tmp_path / "run"
    killed = Run(RING, workdir, cache).until(lambda: saved(workdir))
    assert killed.kill() == -signal.SIGKILL
    first = min(saved(workdir))
    last = Run(RING, workdir, cache)
    assert_same_results(last, ring, step=300)
    assert int(re.search(r"resuming at step (\d+) of 300", last.errors)[1]) >= first


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_stop_says_so_and_goes_on_later(
    ring, cache, tmp_path, signum, status
):
    workdir = tmp_path / "run"
    stopped = Run(RING, workdir, cache).until(reached(workdir, 50))
    assert stopped.kill(signum) == status
    at = re.search(r"stopped at step (\d+); run the same command again", stopped.errors)
    assert int(at[1]) in saved(workdir)
    assert "Traceback" not in stopped.errors
    last = Run(RING, workdir, cache)
    assert_same_results(last, ring, step=300)
    assert f"resuming at step {at[1]} of 300" in last.errors


@pytest.mark.slow
@pytest.mark.parametrize("command", [RING, DCGAN], ids=["ring", "dcgan"])
def test_a_run_killed_at_many_moments_ends_in_the_same_bits(cache, tmp_path, command):
    whole, workdir = Run(command, tmp_path / "whole", cache), tmp_path / "run"
    num_steps = int(re.search(r"--steps (\d+)", command)[1])
    for seconds in (0.5, 2, 4):  # while it imports and compiles
        run = Run(command, workdir, cache)
        time.sleep(seconds)
        assert run.kill() == -signal.SIGKILL
    moments = random.Random(0)
    for step in sorted(moments.sample(range(1, int(0.8 * num_steps)), 5)):
        run = Run(command, workdir, cache).until(reached(workdir, step))
        time.sleep(moments.uniform(0, 0.05))
        assert run.kill() == -signal.SIGKILL
    assert_same_results(Run(command, workdir, cache), whole, step=num_steps)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONCE)
def test_a_run_killed_once_ends_in_the_same_bits(cache, tmp_path, name):
    """With what it keeps beside its weights: pools, falling rates, the streams of dropout."""
    often = " --steps-per-dispatch 1 --evaluate-every 10 --checkpoint-every 2"
    whole, workdir = Run(ONCE[name] + often, tmp_path / "whole", cache), tmp_path / "run"
    assert whole.end() == 0, whole.errors
    killed = Run(ONCE[name] + often, workdir, cache).until(lambda: len(saved(workdir)) > 1)
    assert killed.kill() == -signal.SIGKILL
    last = Run(ONCE[name] + often, workdir, cache)
    assert_same_results(last, whole, step=20)
    assert re.search(r"resuming at step \d+ of 20", last.errors)


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_PHASES)
def test_a_run_killed_in_any_of_its_phases_ends_in_the_same_bits(cache, tmp_path, name):
    command, phases, killed_in = IN_PHASES[name]
    command += " --steps-per-dispatch 1 --evaluate-every 10 --checkpoint-every 2"
    whole, workdir = Run(command, tmp_path / "whole", cache), tmp_path / "run"
    assert whole.end() == 0, whole.errors
    for phase in killed_in:
        within = workdir / phase
        killed = Run(command, workdir, cache).until(lambda within=within: len(saved(within)) > 1)
        assert killed.kill() == -signal.SIGKILL
        assert max(saved(within)) < phases[phase]
    last = Run(command, workdir, cache)
    for phase, step in phases.items():
        assert_same_results(last, whole, step=step, phase=phase)
    *before, last_step = phases.values()
    assert all(f"the phase is finished, at step {step}" in last.errors for step in before)
    assert re.search(rf"resuming at step \d+ of {last_step}", last.errors)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_two(workdir, cache):
    address = f"--coordinator-address 127.0.0.1:{free_port()} --num-processes 2"
    return [Run(f"{RING} {address} --process-id {index}", workdir, cache) for index in range(2)]


@pytest.mark.slow
def test_two_processes_are_one_with_two_devices_also_when_killed(cache, tmp_path):
    whole = Run(RING, tmp_path / "whole", cache, devices=2)
    workdir = tmp_path / "run"
    pair = start_two(workdir, cache)
    pair[0].until(lambda: len(saved(workdir)) >= 2)
    for run in pair:
        run.process.kill()
    assert [run.end() for run in pair] == [-signal.SIGKILL] * 2
    pair = start_two(workdir, cache)
    pair[0].until(lambda: reached(workdir, 100)() and "resuming" in pair[0].errors)
    pair[1].process.send_signal(signal.SIGTERM)  # one is told, both stop at one step
    assert [run.end() for run in pair] == [143, 143], pair[0].errors + pair[1].errors
    assert "stopped at step" in pair[0].errors
    pair = start_two(workdir, cache)
    assert [run.end() for run in pair] == [0, 0], pair[0].errors + pair[1].errors
    assert "resuming" in pair[0].errors
    assert_same_results(pair[0], whole, step=300)


MEASURED = """
import ctypes, gc, json, re, sys
from functools import partial
from pathlib import Path

from experiments import ring
from experiments.harness import command, options
from gan_jax.training import Hook

train, sizes = options.train, {}


def measure(step, state):
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    sizes[step] = int(re.search(r"VmRSS:\\s+(\\d+) kB", status)[1]) / 1024


def measured(*arguments, hooks, **options):
    return train(*arguments, hooks=[*hooks, Hook(1_000, measure)], **options)


options.train = measured
command.main("ring", ring.run, ring.CONFIGS, "")
print(json.dumps(sizes))
"""


@pytest.mark.slow
def test_memory_does_not_grow(tmp_path):
    flags = """--steps 20000 --width 4 --batch-size 8 --steps-per-dispatch 10
        --evaluate-every 2000 --checkpoint-every 1000"""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "--workdir", str(tmp_path / "run"), *flags.split()],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    sizes = {int(step): size for step, size in json.loads(done.stdout.splitlines()[-1]).items()}
    assert len(sizes) == 20
    assert sizes[20_000] - sizes[5_000] < 4, sizes
