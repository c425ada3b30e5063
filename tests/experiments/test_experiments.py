"""Every named configuration of every experiment runs, and leaves what a run leaves."""

import dataclasses
import json
import os

import numpy as np

from gan_jax import data
from gan_jax.data.embedded import EMBEDDED
from gan_jax.training.rundir import MARK


def with_data_at_hand(config):
    """Take the digits where a dataset is neither embedded nor prepared."""
    dataset = getattr(config, "dataset", "digits")
    if dataset in EMBEDDED:
        return config
    if "TFDS_DATA_DIR" in os.environ:
        try:
            data.load(dataset)
            return config
        except (ImportError, data.DatasetUnavailable):
            pass
    return dataclasses.replace(config, dataset="digits")


def test_a_named_configuration_runs(experiment, named_config, small, tmp_path):
    config = with_data_at_hand(small(experiment, named_config))
    result = experiment.run(config, tmp_path)
    assert str(result)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written == MARK | json.loads(json.dumps(dataclasses.asdict(config)))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    for name in ("loss", "grad_norm", "update_norm"):
        found = [value for line in lines for key, value in line.items() if key.endswith(name)]
        assert found
        assert np.isfinite(found).all()
    pictures = {p.name for p in (tmp_path / "samples").iterdir() if p.stat().st_size > 1_000}
    assert {"000001.png", "000002.png"} <= pictures
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"1", "2"}
