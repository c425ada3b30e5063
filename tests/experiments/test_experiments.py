"""Every experiment runs and leaves what a run leaves; all its configurations have one shape."""

import dataclasses
import importlib
import json

import chex
import jax
import numpy as np
import pytest

from experiments.harness import options
from gan_jax import training
from gan_jax.data.embedded import EMBEDDED
from gan_jax.training.shapes import batch_shapes


def with_data_at_hand(config):
    """Take the digits, which are as large, where a dataset is not embedded."""
    if getattr(config, "dataset", "digits") in EMBEDDED:
        return config
    return dataclasses.replace(config, dataset="digits")


def test_an_experiment_runs(running, small, tmp_path):
    config = with_data_at_hand(small(running, next(iter(running.CONFIGS))))
    result = running.run(config, tmp_path)
    assert "\npictures in" in str(result)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["config"] == json.loads(json.dumps(dataclasses.asdict(config)))
    assert hasattr(importlib.import_module(f"experiments.{written['experiment']}"), "build")
    lines = training.read_log(tmp_path)
    assert [line["step"] for line in lines] == [1, 2]
    for name in ("loss", "grad_norm", "update_norm"):
        values = [value for line in lines for key, value in line.items() if key.endswith(name)]
        assert values
        assert np.isfinite(values).all()
    for name, value in result.metrics.items():  # the last evaluation is the log's
        if name in lines[-1] and lines[-1][name] is not None:
            np.testing.assert_allclose(value, lines[-1][name], rtol=1e-6)
    pictures = [p.stem for p in (tmp_path / "samples").iterdir() if p.stat().st_size > 1_000]
    assert {name.rpartition("-")[2] for name in pictures} >= {"000001", "000002"}
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"1", "2"}


class Stopped(Exception):
    """Before the first step."""


def test_a_step_of_every_other_configuration_keeps_the_shapes_of_its_state(
    experiment, named_config, small, tmp_path, monkeypatch
):
    def train(step, state, feed, *, key, **_):
        after, metrics = jax.eval_shape(step, key, state, batch_shapes(feed))
        chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
        assert metrics
        raise Stopped

    monkeypatch.setattr(options, "train", train)
    config = with_data_at_hand(small(experiment, named_config))
    with pytest.raises(Stopped):
        experiment.run(config, tmp_path)


def test_a_configuration_is_read_again_from_what_a_run_wrote_of_it(experiment, small):
    for name in experiment.CONFIGS:
        config = small(experiment, name)
        written = json.loads(json.dumps(dataclasses.asdict(config)))
        assert experiment.Config(**written) == config
        assert type(config).__module__ == experiment.__name__
