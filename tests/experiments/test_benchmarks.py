"""The benchmarks' command lines: what cannot be measured is refused before anything is compiled."""

import dataclasses
import sys
from itertools import product

import pytest

from experiments.benchmarks import (
    methods,
    metrics,
    population,
    speed,
    timing,
    translation,
    vae,
    video,
)

BENCHMARKS = [methods, metrics, population, speed, translation, vae, video]


@pytest.mark.parametrize("benchmark", BENCHMARKS)
@pytest.mark.parametrize("value", [-1, 2**40, "many"])
def test_every_number_is_checked(benchmark, value):
    numbers = [f for f in dataclasses.fields(benchmark.Config) if type(f.default) is int]
    assert numbers
    for field in numbers:
        with pytest.raises(
            ValueError, match=f"--{field.name.replace('_', '-')} is '?{value}'?; it"
        ):
            benchmark.Config(**{field.name: value})


@pytest.mark.parametrize("name", ["num_steps", "repeats", "batch_size"])
def test_nothing_cannot_be_measured(name):
    for benchmark in BENCHMARKS:
        if hasattr(benchmark.Config, name):
            with pytest.raises(ValueError, match="it must be an integer, at least 1"):
                benchmark.Config(**{name: 0})


def test_those_that_run_alone_are_of_the_population():
    with pytest.raises(ValueError, match="--num-alone is 4; there are 2, --num-seeds"):
        population.Config(num_seeds=2)


@pytest.mark.parametrize(("flags", "status"), [("--batch-size 0", 2), ("--batch-size 2", 1)])
def test_what_is_mistyped_or_too_large_is_said_in_words(monkeypatch, capfd, flags, status):
    def main(config):
        raise MemoryError

    monkeypatch.setattr(sys, "argv", ["speed.py", *flags.split()])
    with pytest.raises(SystemExit) as ended:
        timing.command("speed", main, speed.Config, "")
    if status == 1:
        assert ended.value.code == (
            "benchmarks.speed: there is not memory enough: lower one of --batch-size"
        )
    else:
        assert ended.value.code == 2
        assert "--batch-size is 0" in capfd.readouterr().err


@pytest.mark.slow
def test_clips_are_timed_by_all_layers_one_by_one_and_in_one_dispatch(capsys):
    video.main(video.Config(batch_size=1, width=1, num_steps=1, repeats=1))
    lines = capsys.readouterr().out.splitlines()
    for layers, way in product(("ours", "Flax"), ("jit", "scan")):
        (line,) = (line for line in lines if line.startswith(f"{layers}, {way} "))
        assert (f"times Flax, {way}'s speed" in line) == (layers == "ours")
