import os
import socket
import subprocess
import sys

import jax
import pytest

from gan_jax.training.distributed import initialize

PROCESS = """
import signal
import sys
from pathlib import Path

from gan_jax.training.distributed import initialize

address, index, workdir = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
initialize(address, 2, index)

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import sync_global_devices
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax.training import reading
from gan_jax.training.checkpoints import Checkpoints
from gan_jax.training.interrupts import Interrupts
from gan_jax.training.logs import MetricsLog
from gan_jax.training.rundir import open_run

assert jax.process_count() == 2 and jax.local_device_count() == 1
mesh = jax.make_mesh((2,), ("data",))
everywhere, by_row = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))


def put(value, sharding):
    return jax.make_array_from_callback(value.shape, sharding, lambda i: value[i])


rows = put(np.array([[1.0, 2.0], [3.0, 5.0]], np.float32), by_row)
mean = jax.jit(jnp.mean, out_shardings=everywhere)(rows)
assert float(mean) == 2.75

for _ in range(2):
    open_run(workdir, {"seed": 0}, fresh=False)
with MetricsLog(workdir, resume_step=0) as log:
    log.write(1, {"mean": mean})

key = jax.random.wrap_key_data(put(np.arange(2, dtype=np.uint32), everywhere))
state = {"mean": mean, "rows": rows, "key": key}
with Checkpoints(workdir / "checkpoints") as checkpoints:
    checkpoints.save(1, state)
    checkpoints.save(2, state)
    sync_global_devices("saved")
    if index == 0:
        (workdir / "checkpoints" / "2" / "manifest" / "metadata").write_text("")
    sync_global_devices("damaged")
    step, restored = checkpoints.restore_latest(state)
    assert step == 1
    checkpoints.save(2, restored)
    if index == 1:  # what one alone cannot read, all leave
        read = reading._read
        reading._read = lambda *of: read(*of) if of[1] == 1 else int(read(*of) is None) // 0
    step, _ = checkpoints.restore_latest(state)
    assert step == 1
assert (restored["rows"].addressable_data(0) == rows.addressable_data(0)).all()
assert restored["rows"].sharding == by_row
assert float(restored["mean"]) == 2.75
assert (jax.random.key_data(restored["key"]).addressable_data(0) == jnp.arange(2)).all()

with Interrupts() as interrupts:
    assert interrupts.poll() is None
    if index == 1:
        signal.raise_signal(signal.SIGTERM)
    assert interrupts.poll() == signal.SIGTERM
    assert interrupts.exit_status == 143
    if index == 0:
        signal.raise_signal(signal.SIGTERM)  # its first, though it knows of the other's
print("all is well")
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
def test_two_processes_share_a_mesh_a_run_and_its_checkpoints(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, address, str(index), str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (output, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
        assert output.endswith("all is well\n"), errors
    assert [("cannot be read" in errors) for _, errors in outputs] == [True, False]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"1", "2.damaged"}


def test_some_arguments_without_the_others_are_refused():
    with pytest.raises(ValueError, match="num_processes and process_id must be given as well"):
        initialize("127.0.0.1:1234")
    with pytest.raises(ValueError, match="coordinator_address must be given as well"):
        initialize(num_processes=2, process_id=0)


@pytest.mark.parametrize(("tasks", "joins"), [(None, False), ("1", False), ("2", True)])
def test_without_arguments_it_joins_a_slurm_step_of_several_tasks_only(monkeypatch, tasks, joins):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *arguments: calls.append(arguments))
    if tasks is not None:
        for name in ("JOB_ID", "STEP_NODELIST", "PROCID", "LOCALID"):
            monkeypatch.setenv(f"SLURM_{name}", "0")
        monkeypatch.setenv("SLURM_NTASKS", tasks)
    initialize()
    assert calls == [()] * joins


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("localhost", 2, 0), "coordinator_address is 'localhost'; it must be the host"),
        (("localhost:", 2, 0), "a port below 65536"),
        ((":1234", 2, 0), "a port below 65536"),
        (("localhost:0", 2, 0), "a port below 65536"),
        (("localhost:65536", 2, 0), "a port below 65536"),
        (("localhost:http", 2, 0), "a port below 65536"),
        (("local host:1234", 2, 0), "a port below 65536"),
        (("::1:1234", 2, 0), "a port below 65536"),
        (("", 2, 0), "a port below 65536"),
        (("localhost:1234", 0, 0), "num_processes is 0; it must be an integer, at least 1"),
        (("localhost:1234", 1, -1), "process_id is -1; it must be an integer, at least 0"),
        (("localhost:1234", 2, 2), "process_id is 2; of 2 processes it must be one of 0 to 1"),
    ],
)
def test_what_no_process_can_join_is_refused_before_it_tries(monkeypatch, arguments, words):
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_: pytest.fail("tried"))
    with pytest.raises(ValueError, match=words):
        initialize(*arguments)


@pytest.mark.parametrize("address", ["10.0.0.1:1234", "node-1.cluster:65535", "[::1]:1"])
def test_an_address_of_any_kind_is_handed_on(monkeypatch, address):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *arguments: calls.append(arguments))
    initialize(address, 2, 1)
    assert calls == [(address, 2, 1)]


def test_where_jax_has_moved_its_clusters_it_runs_alone(monkeypatch):
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_: pytest.fail("joined"))
    monkeypatch.setitem(sys.modules, "jax._src.clusters", None)
    initialize()
