"""The benchmarks' command lines: what cannot be measured is refused before anything is compiled."""

import dataclasses
import sys

import chex
import flax.linen as nn
import jax
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
from gan_jax import nets

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


def test_both_kinds_of_layers_play_the_same_game_of_clips():
    config = video.Config(batch_size=1, width=1)

    def played(layers):
        state, step, batch = video.build(config, layers)
        return state, step(jax.random.key(0), state, batch)

    ours, theirs = (jax.eval_shape(lambda layers=layers: played(layers)) for layers in (nets, nn))
    chex.assert_trees_all_equal_shapes_and_dtypes(ours, theirs)
    before, (after, metrics) = ours
    chex.assert_trees_all_equal_shapes_and_dtypes(before, after)
    assert {"generator/loss", "discriminator/loss"} <= set(metrics)
