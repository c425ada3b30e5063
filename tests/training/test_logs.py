import io
import json
import struct
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from gan_jax.training.logs import METRICS_FILE, WALL_CLOCK_FIELDS, MetricsLog, ProgressBar


def lines(directory):
    return [json.loads(line) for line in (directory / METRICS_FILE).read_text().splitlines()]


def without_clock(record):
    return {name: value for name, value in record.items() if name not in WALL_CLOCK_FIELDS}


def write(directory, steps, resume_step=0):
    with MetricsLog(directory, resume_step=resume_step) as log:
        for step in steps:
            log.write(step, {"loss": jnp.float32(step) / 3})


def events(directory):
    for path in sorted(directory.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            yield event_pb2.Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def test_a_line_round_trips(tmp_path):
    values = {"z": jnp.float32(0.1), "b": np.float64(1 / 3), "a": jnp.bfloat16(3.14), "n": jnp.nan}
    before = time.time()
    with MetricsLog(tmp_path, resume_step=10) as log:
        log.write(12, values)
        (record,) = lines(tmp_path)  # flushed while the log is open
    assert list(record) == ["step", "a", "b", "n", "z", *WALL_CLOCK_FIELDS]
    assert record["step"] == 12
    assert np.isnan(record["n"])
    for name in ("a", "b", "z"):
        assert record[name] == float(values[name])
    assert before <= record["time"] <= time.time()
    assert record["steps_per_second"] == pytest.approx(2 / (record["time"] - before), rel=0.9)


def test_a_resumed_log_equals_an_uninterrupted_one(tmp_path):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    write(tmp_path / "whole", range(1, 7))
    write(tmp_path / "killed", range(1, 6))
    path = tmp_path / "killed" / METRICS_FILE
    kept = path.read_text().splitlines()[:3]
    with path.open("a") as file:
        file.write('{"step": 2, "loss": 0.')
    write(tmp_path / "killed", range(4, 7), resume_step=3)
    assert path.read_text().splitlines()[:3] == kept
    whole, killed = lines(tmp_path / "whole"), lines(tmp_path / "killed")
    assert [without_clock(record) for record in whole] == [without_clock(r) for r in killed]
    assert [p for p in (tmp_path / "killed").iterdir() if p.suffix == ".tmp"] == []


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    write(tmp_path, [1, 2])
    path = tmp_path / METRICS_FILE
    path.write_text(path.read_text().rstrip("\n"))
    write(tmp_path, [3], resume_step=2)
    assert [record["step"] for record in lines(tmp_path)] == [1, 2, 3]


def test_events_after_the_checkpoint_are_purged_and_none_overwritten(tmp_path):
    write(tmp_path, [1, 2, 3])
    write(tmp_path, [3, 4], resume_step=2)
    found = list(events(tmp_path))
    scalars = [e.step for e in found for v in e.summary.value if v.tag == "loss"]
    purges = [e.step for e in found if e.session_log.status == event_pb2.SessionLog.START]
    assert scalars == [1, 2, 3, 3, 4]
    assert purges == [1, 3]


def test_a_metric_may_not_take_the_name_of_a_field(tmp_path):
    with MetricsLog(tmp_path, resume_step=0) as log, pytest.raises(ValueError, match="'time'"):
        log.write(1, {"time": 0.0})


def test_only_process_zero_writes(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    write(tmp_path, [1, 2])
    with ProgressBar(2, examples_per_step=8) as bar:
        bar.update(2, {})
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_missing_tensorboardx_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match=r"gan_jax\[experiments\]"):
        MetricsLog(tmp_path, resume_step=0)


def run_bar():
    with ProgressBar(1000, 100, examples_per_step=64, unit="digits", shown=("loss",)) as bar:
        for step in range(101, 1001):
            bar.update(step, {"loss": jnp.float32(0.25), "other": 7.0})


def test_without_a_terminal_the_bar_is_a_few_plain_lines(capfd):
    run_bar()
    text = capfd.readouterr().err
    assert "\r" not in text
    assert 1 <= text.count("\n") <= 3
    last = text.splitlines()[-1]
    assert "1000/1000" in last
    assert "digits/s" in last
    assert "loss=0.25" in last
    assert "other" not in last


def test_on_a_terminal_the_bar_is_redrawn(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    run_bar()
    assert terminal.getvalue().count("\r") > 1
    assert terminal.getvalue().count("\n") == 1
