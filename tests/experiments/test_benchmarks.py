"""The benchmarks' command lines: what cannot be measured is refused before anything is compiled."""

import dataclasses
import sys

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest

from experiments.benchmarks import (
    methods,
    metrics,
    population,
    speed,
    stylegan2,
    timing,
    translation,
    vae,
    video,
)
from gan_jax import nets

BENCHMARKS = [methods, metrics, population, speed, stylegan2, translation, vae, video]


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


def test_steps_are_sums_of_moves():
    seconds = {"game, jit": [1.0, 2.0], "r1, jit": [16.0, 32.0], "path_length, jit": [4.0, 8.0]}
    assert stylegan2.summed(seconds) == {
        "with r1, jit": [17, 34],
        "with path_length, jit": [5, 10],
        "with both, jit": [21, 42],
        "lazy, jit": [3, 6],
    }


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_quickly")
def test_stylegan2_in_torch_has_the_same_networks():
    torch = pytest.importorskip("torch")
    side = timing.torch_side("stylegan2_in_torch")
    assert side is not None
    system, state, batch = stylegan2.build(8)

    @jax.jit
    def moved(params):
        """Biases are 0 at the start, and so is the strength of noise, the only scalar."""
        keys = iter(jax.random.split(jax.random.key(0), 99))

        def other(x):
            return x + 0.3 * jax.random.normal(next(keys), x.shape) if x.ndim else x

        return jax.tree.map(other, params)

    generator, discriminator = (
        player.weights.replace(params=moved(player.weights.params))
        for player in (state.generator, state.discriminator)
    )
    latents = jax.random.normal(jax.random.key(1), (8, 64))
    styles = jax.jit(system.styles)(generator, latents)
    images = jax.jit(system.synthesise)(generator, styles)
    logits = jax.jit(system.discriminate)(discriminator, batch["image"])
    z, w, x = (torch.tensor(np.asarray(x)) for x in (latents, styles, batch["image"]))
    making, judging = (side.tensors(player.params) for player in (generator, discriminator))
    found = (
        side.mapping(making, z),
        side.synthesise(making, w, 28).permute(0, 2, 3, 1),
        side.judge(judging, x.permute(0, 3, 1, 2), 32),
    )
    for ours, theirs in zip((styles[:, 0], images, logits), found, strict=True):
        np.testing.assert_allclose(theirs.detach(), ours, atol=1e-4)
