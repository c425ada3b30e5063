"""A run is read again without its program: every name, every bit, and nothing is written."""

import json
import shutil
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import (
    Optimizers,
    Weights,
    exponential_average_memory,
    init,
    init_descent,
)
from gan_jax.training import CheckpointError, Checkpoints, RunDirectoryError, open_run, restore
from gan_jax.training.compile import stack
from gan_jax.training.record import run_digest

SGD = Optimizers(generator=optax.sgd(0.1), discriminator=optax.adam(0.1))
GENERATOR = Weights(
    params={"Dense_0": {"kernel": np.arange(6.0).reshape(2, 3), "bias": np.ones(3)}},
    state={"batch_stats": {"mean": np.full(3, 2.0)}},
)
DISCRIMINATOR = Weights(params={"scale": np.full((), -1.0)}, state={})


def leave(workdir, state, *, step=7, num_replicas=None, **said):
    """Leave a directory as a run of that state does."""
    record = open_run(workdir, {"seed": 0, "widths": (8, 16)}, fresh=False, **said)
    digest = run_digest(record)
    with Checkpoints(workdir / "checkpoints", run=digest, num_replicas=num_replicas) as checkpoints:
        checkpoints.save(step, state)


def assert_equal(weights, expected):
    assert jax.tree.structure(weights) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, weights, expected)


@pytest.fixture
def game():
    state = init(generator=GENERATOR, discriminator=DISCRIMINATOR, optimizers=SGD)
    return exponential_average_memory(state)


def test_the_weights_of_a_game_its_averages_and_what_the_run_is_about(tmp_path, game):
    batch = {"real": {"image": jax.ShapeDtypeStruct((8, 2), jnp.bfloat16)}}
    leave(tmp_path, game, experiment="dcgan", label_names=("cat", "dog"), batch=lambda: batch)
    run = restore(tmp_path)
    assert run[:5] == ("dcgan", {"seed": 0, "widths": [8, 16]}, batch, ["cat", "dog"], 7)
    assert run.version == version("gan_jax")
    for names in [("generator",), ("generator", "weights"), ("memory", "generator")]:
        assert_equal(run.weights(*names), GENERATOR)
    assert_equal(run.weights("discriminator"), DISCRIMINATOR)
    kernel = run.state["generator"]["weights"]["params"]["Dense_0"]["kernel"]
    np.testing.assert_array_equal(kernel, GENERATOR.params["Dense_0"]["kernel"])
    moment = run.state["discriminator"]["opt_state"][0]["mu"]["scale"]  # of Adam, in a chain
    assert (moment.shape, moment.dtype) == ((), jnp.float32)


class Pair(NamedTuple):
    first: Any
    second: Any


def test_every_name_and_every_kind_of_leaf_survives(tmp_path):
    params = {
        "it's": {'a "quoted" name': jnp.arange(3, dtype=jnp.bfloat16) / 3},
        "a.b": jnp.zeros((0, 4)),
        "a": {"b": jnp.bool_(True)},
        "['x']": [jnp.uint8(3), (jnp.int32(-1),)],
        "ключ/0": {0: jnp.float32(jnp.nan), 12: Pair(jnp.ones(2), None)},
        "key": jax.random.key(3, impl="rbg"),
        "keys": jax.random.split(jax.random.key(0), 4),
    }
    player = init_descent(weights=Weights(params=jnp.ones(2)), optimizer=optax.sgd(0.1))
    leave(tmp_path, {"one": player, "two": Weights(params=params)})
    run = restore(tmp_path)
    assert_equal(run.weights("one", "player"), Weights(params=np.ones(2), state={}))
    pair = params["ключ/0"][12]
    expected = params | {
        "['x']": {0: params["['x']"][0], 1: {0: params["['x']"][1][0]}},
        "ключ/0": {0: params["ключ/0"][0], 12: {"first": pair.first}},
    }
    found = run.weights("two").params
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for actual, wanted in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape)
        if jnp.issubdtype(wanted.dtype, jax.dtypes.prng_key):
            actual, wanted = jax.random.key_data(actual), jax.random.key_data(wanted)
        assert np.asarray(actual).tobytes() == np.asarray(wanted).tobytes()


def test_a_state_may_be_a_single_leaf(tmp_path):
    leave(tmp_path, jnp.arange(3.0))
    np.testing.assert_array_equal(restore(tmp_path).state, np.arange(3.0))


def test_of_a_checkpoint_of_pmap_one_replica_is_given(tmp_path):
    player = init_descent(weights=GENERATOR, optimizer=optax.sgd(0.1))
    state = {"player": player, "key": jax.random.key(5)}
    leave(tmp_path, stack(state, 4), num_replicas=4)
    run = restore(tmp_path)
    assert_equal(run.weights("player", "player"), GENERATOR)
    assert run.state["key"] == state["key"]


def entries(directory):
    return {path: path.stat().st_mtime_ns for path in [directory, *directory.rglob("*")]}


def test_damaged_checkpoints_are_passed_over_and_left_where_they_are(tmp_path, capfd):
    for step in (5, 6, 7):
        leave(tmp_path, {"x": jnp.float32(step)}, step=step)
    (tmp_path / "checkpoints" / "7" / "manifest" / "metadata").write_text("")
    before = entries(tmp_path)
    run = restore(tmp_path)
    assert (run.step, float(run.state["x"])) == (6, 6)
    said = capfd.readouterr().err
    assert "checkpoint 7" in said
    assert "checkpoint 6 is read in its place" in said
    assert entries(tmp_path) == before
    for step in (5, 6):
        shutil.rmtree(tmp_path / "checkpoints" / str(step))
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be read \(7: "):
        restore(tmp_path)


def test_what_holds_no_run_or_no_checkpoint_is_refused(tmp_path, capfd):
    with pytest.raises(RunDirectoryError, match=r"absent is not the directory of a run, for"):
        restore(tmp_path / "absent")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"written_by": "gan_jax", "seed": 1}')
    with pytest.raises(RunDirectoryError, match=r"other is not the directory of a run"):
        restore(tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text("{}")
    with pytest.raises(RunDirectoryError, match=r"no run of gan_jax wrote it"):
        restore(tmp_path / "other")
    open_run(tmp_path / "new", {}, fresh=False)
    before = entries(tmp_path / "new")
    capfd.readouterr()
    with pytest.raises(CheckpointError, match=r"new has no checkpoint yet: run it"):
        restore(tmp_path / "new")
    assert entries(tmp_path / "new") == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("encoder",), r"nothing at 'encoder': the state has 'step', 'generator', 'disc"),
        (("generator", "step", 0), r"has 'weights' where 'step' is looked for"),
        (("step", "weights"), r"nothing at 'step', 'weights': the state has an array where"),
        (("step",), r"no weights at 'step', where the state has an array"),
        ((), r"no weights at its top, where the state has 'step', 'generator'"),
    ],
)
def test_places_without_weights_are_refused(tmp_path, game, names, words):
    leave(tmp_path, game)
    with pytest.raises(ValueError, match=words):
        restore(tmp_path).weights(*names)


@pytest.mark.parametrize("batch", [{"x": 3}, {"x": {"shape": "ab", "dtype": 1}}, {"x": {"y": []}}])
def test_a_batch_that_says_no_shapes_is_one_sentence(tmp_path, batch):
    leave(tmp_path, {"x": jnp.ones(2)})
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"batch": batch}))
    with pytest.raises(RunDirectoryError, match='repair its entry "batch"'):
        restore(tmp_path)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    leave(tmp_path, {"x": jnp.ones(2)})
    with Checkpoints(tmp_path / "checkpoints", run="another") as checkpoints:
        checkpoints.save(9, {"x": jnp.ones(2)})
    with pytest.raises(CheckpointError, match="9 is the checkpoint of another run"):
        restore(tmp_path)
