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

from gan_jax.errors import MissingPackage
from gan_jax.plots import Picture
from gan_jax.training.logs import (
    METRICS_FILE,
    WALL_CLOCK_FIELDS,
    MetricsLog,
    read_log,
)
from gan_jax.training.progress import ProgressBar, say


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
    values = {"z": jnp.float32(0.1), "b": np.float64(1 / 3), "a": jnp.bfloat16(3.14)}
    before = time.time()
    with MetricsLog(tmp_path, resume_step=10) as log:
        log.write(12, values)
        (record,) = lines(tmp_path)  # flushed while the log is open
    assert list(record) == ["step", "a", "b", "z", *WALL_CLOCK_FIELDS]
    assert record["step"] == 12
    for name in ("a", "b", "z"):
        assert record[name] == float(values[name])
    assert before <= record["time"] <= time.time()
    assert record["steps_per_second"] == pytest.approx(2 / (record["time"] - before), rel=0.9)


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf, -jnp.inf])
def test_what_is_no_finite_number_is_null_in_strict_json(tmp_path, value):
    with MetricsLog(tmp_path, resume_step=0) as log:
        log.write(1, {"loss": value, "other": 2.0})
    text = (tmp_path / METRICS_FILE).read_text()
    record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert without_clock(record) == {"step": 1, "loss": None, "other": 2.0}
    assert "loss" not in {v.tag for e in events(tmp_path) for v in e.summary.value}


def test_what_can_be_read_of_a_log(tmp_path):
    assert read_log(tmp_path) == []
    write(tmp_path, [1, 2])
    whole = lines(tmp_path)
    line = {"step": 3, "a": None, "time": 1.5, "steps_per_second": 2}
    bad = [
        *({key: x for key, x in line.items() if key != missing} for missing in ("step", "time")),
        *(line | {"step": step} for step in ("3", 3.0, None, True)),
        *(line | {"a": value} for value in ("1", [1], {}, True, 10**400)),
    ]
    for text in (
        '{"step": 2, "lo',
        "\n[7]\n",
        "\xff\n",
        "[" * 100_000 + "\n",
        *(json.dumps(wrong) + "\n" for wrong in bad),
        json.dumps(line | {"a": float("nan")}) + "\n",
        json.dumps(line) + '\n{"step"',
    ):
        with (tmp_path / METRICS_FILE).open("a") as file:
            file.write(text)
    assert read_log(tmp_path) == [*whole, line]
    write(tmp_path, [4], resume_step=3)
    assert read_log(tmp_path)[:3] == [*whole, line]


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


def test_the_events_of_a_resumed_run_are_those_of_its_lines(tmp_path):
    write(tmp_path, [1, 2, 3])
    (whole,) = tmp_path.glob("events.out.tfevents.*")
    whole.write_bytes(b"")  # killed before anything was flushed
    foreign = tmp_path / "events.out.tfevents.1.host"
    foreign.write_bytes(b"")
    write(tmp_path, [3, 4], resume_step=2)
    assert foreign.exists()
    assert not whole.exists()
    for name in ("loss", "steps_per_second"):
        scalars = {
            e.step: (e.wall_time, v.simple_value)
            for e in events(tmp_path)
            for v in e.summary.value
            if v.tag == name
        }
        expected = {r["step"]: (r["time"], np.float32(r[name])) for r in lines(tmp_path)}
        assert scalars == expected
    assert list(expected) == [1, 2, 3, 4]


class Drawing:
    """A file whose contents are given."""

    def __init__(self, contents, suffix=".png"):
        self.contents, self.suffix = contents, suffix

    def save(self, path):
        path.write_bytes(self.contents)


def png(width, height):
    return Picture(np.zeros((height, width, 3), np.uint8))._repr_png_()


def test_files_go_to_samples_and_pictures_to_the_events_of_every_resumed_run(tmp_path):
    with MetricsLog(tmp_path, resume_step=0) as log:
        log.write(1, {}, {"a-grid": Drawing(png(5, 3)), "sound": Drawing(b"beep", ".wav")})
        log.write(2, {}, {"a-grid": Drawing(png(7, 3)), "broken": Drawing(b"no picture")})
        log.write(3, {}, {"a-grid": Drawing(png(9, 3))})
    samples = tmp_path / "samples"
    assert sorted(path.name for path in samples.iterdir()) == [
        "a-grid-000001.png",
        "a-grid-000002.png",
        "a-grid-000003.png",
        "broken-000002.png",
        "sound-000001.wav",
    ]
    assert (samples / "sound-000001.wav").read_bytes() == b"beep"
    (samples / "of-mine.png").write_bytes(png(1, 1))
    for resume_step in (3, 2):
        times = {record["step"]: record["time"] for record in lines(tmp_path)}
        shown = {
            (e.step, e.wall_time, v.tag): v.image
            for e in events(tmp_path)
            for v in e.summary.value
            if v.HasField("image")
        }
        assert list(shown) == [(step, times[step], "a-grid") for step in times]
        for (step, *_), image in shown.items():
            assert (image.width, image.height) == (3 + 2 * step, 3)
            assert image.encoded_image_string == png(3 + 2 * step, 3)
        write(tmp_path, [], resume_step=resume_step)
    assert [record["step"] for record in lines(tmp_path)] == [1, 2]


def test_a_metric_may_not_take_the_name_of_a_field(tmp_path):
    with MetricsLog(tmp_path, resume_step=0) as log, pytest.raises(ValueError, match="'time'"):
        log.write(1, {"time": 0.0})


def test_only_process_zero_writes(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    write(tmp_path, [1, 2])
    with MetricsLog(tmp_path, resume_step=2) as log:
        log.write(3, {}, {"grid": Drawing(b"")})
    with ProgressBar(2, examples_per_step=8) as bar:
        bar.update(2, {})
    say("nothing")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_missing_tensorboardx_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingPackage, match=r"gan_jax\[experiments\]"):
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
