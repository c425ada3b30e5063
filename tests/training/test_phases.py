"""Phases: stopped anywhere they end in the same bits, and what is finished costs nothing."""

import json
import shutil
import signal
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.data import ArrayDataset, drawn_feed, resident_feed, side_by_side
from gan_jax.games import PlayerOutcome, Weights, descent_step, init_descent
from gan_jax.training import (
    CheckpointError,
    Evaluation,
    Hook,
    Phase,
    RunDirectoryError,
    Timetable,
    Trained,
    restore,
    train,
    train_phases,
)
from gan_jax.training.lock import Lock
from gan_jax.training.record import MARK
from gan_jax.training.rundir import BEING_DELETED

pytestmark = pytest.mark.usefixtures("compiled_once")
KEY = jax.random.key(4)
ADAM = optax.adam(0.1)
STORED = ArrayDataset({"x": np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)})
SOURCE = resident_feed(STORED, {"x": None}, batch_size=8, seed=0)
TARGET = drawn_feed(lambda key, num: {"x": 1 + jax.random.normal(key, (num, 3))}, batch_size=4)


def mean_objective(*, weights, batch, key):
    """E (x - w - n)^2, with noise n from the step's key: w goes to the mean."""
    noise = 0.1 * jax.random.normal(key, weights.params.shape)
    return PlayerOutcome(jnp.mean((batch["x"] - (weights.params + noise)[None]) ** 2))


def shift_objective(*, weights, batch, key):
    """The target's mean is that of the source, which is frozen, and a scale and a shift."""
    frozen = weights.state["frozen"]
    moved = batch["source"]["x"] * weights.params["scale"][None] + weights.params["shift"][None]
    gap = jnp.mean(moved, axis=0) - jnp.mean(batch["target"]["x"], axis=0) + 0 * frozen
    return PlayerOutcome(jnp.mean(gap**2), weights.state)


def start_of_target(state):
    params = {"scale": jnp.ones(3), "shift": state.player.weights.params}
    weights = Weights(params=params, state={"frozen": state.player.weights.params})
    return init_descent(weights=weights, optimizer=ADAM)


STEPS = [
    partial(descent_step, objective=objective, optimizer=ADAM)
    for objective in (mean_objective, shift_objective)
]
FEEDS = [SOURCE, side_by_side({"source": SOURCE, "target": TARGET})]


def phases(*, lengths=(6, 6), hooks=((), ()), names=("source", "target")):
    starts = (
        lambda state: init_descent(weights=Weights(params=jnp.zeros(3)), optimizer=ADAM),
        start_of_target,
    )
    return [
        Phase(
            name,
            start,
            step,
            feed,
            8,
            Timetable(length, 2, 2),
            hook,
        )
        for name, start, step, feed, length, hook in zip(
            names, starts, STEPS, FEEDS, lengths, hooks, strict=True
        )
    ]


def run(workdir, chosen=None, *, config=None, **options):
    arguments = {"key": KEY, "parallel": "none", "shown": ("loss",)} | options
    return train_phases(chosen or phases(), workdir=workdir, config=config or {"a": 1}, **arguments)


def assert_same(state, expected):
    assert jax.tree.structure(state) == jax.tree.structure(expected)
    for one, other in zip(*map(jax.tree.leaves, (state, expected)), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, run(workdir, config={"a": 1, "steps": 100}).state


def terminate(step, state):
    if step == 4:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("phase", [0, 1])
def test_stopped_in_any_phase_it_goes_on_to_the_same_bits(tmp_path, whole, phase):
    hooks = [(), ()]
    hooks[phase] = [Hook(2, terminate)]
    with pytest.raises(SystemExit) as exit:
        run(tmp_path, phases(hooks=hooks))
    assert exit.value.code == 143
    assert_same(run(tmp_path).state, whole[1])


def test_each_phase_is_a_run_of_its_own_with_a_key_of_its_own(whole):
    workdir, state = whole
    assert {path.name for path in workdir.iterdir()} == {"config.json", "source", "target"}
    said = [json.loads((workdir / at / "config.json").read_text()) for at in ("source", "target")]
    assert [one["config"] for one in said] == [
        {"a": 1, "steps": 100},
        {"a": 1, "steps": 100},
    ]
    assert [one["before"] for one in said] == [[], [["source", 6]]]
    assert [one["lengths"] for one in said] == [[6], [6]]
    assert restore(workdir).config == {"a": 1, "steps": 100}
    numbers = {"dtype": "float32"}
    assert said[1]["batch"] == {
        "source": {"x": {"shape": [8, 3], **numbers}},
        "target": {"x": {"shape": [4, 3], **numbers}},
    }
    first = restore(workdir / "source").weights("player").params
    np.testing.assert_array_equal(state.player.weights.state["frozen"], first)
    trained = Trained(None, None)
    for index, alone in enumerate(phases()):
        trained = train(
            alone.step,
            alone.start(trained.state),
            alone.feed,
            key=jax.random.fold_in(KEY, index),
            timetable=alone.timetable,
            batch_size=8,
            workdir=workdir.with_name(f"alone-{index}"),
            config={},
            parallel="none",
        )
        found = restore(workdir / alone.name).weights("player").params
        chex.assert_trees_all_equal(trained.state.player.weights.params, found)


def never(*arguments):
    raise AssertionError("this is finished")


def test_finished_phases_compute_nothing_and_the_last_may_become_longer(tmp_path, capfd):
    looked = []
    hook = Hook(2, lambda step, state: looked.append(step) or Evaluation(metrics={"m": step}))
    assert run(tmp_path, phases(lengths=(2, 2), hooks=((), [hook]))).evaluation == ({}, {"m": 2})
    done = [
        phase._replace(step=never, hooks=[Hook(2, never)], feed=phase.feed._replace(read=never))
        for phase in phases(lengths=(2, 2))
    ]
    logged = [*tmp_path.rglob("events*")]
    again = run(tmp_path, done)
    assert [*tmp_path.rglob("events*")] == logged
    assert again.evaluation is None
    assert_same(again.state.player.weights, restore(tmp_path).weights("player"))
    capfd.readouterr()
    longer = phases(lengths=(2, 4), hooks=((), [hook]))
    assert int(run(tmp_path, [done[0], longer[1]]).state.step) == 4
    said = capfd.readouterr().err
    assert "the phase is finished, at step 2\n" in said
    assert "ask for more steps" not in said
    assert looked == [2, 4]
    with pytest.raises(RunDirectoryError, match=r'before was \[\["source", 2\]\] and is .* 4\]'):
        run(tmp_path, phases(lengths=(4, 4)))
    assert restore(tmp_path / "source").step == 2  # refused before the first phase went on


def test_fresh_deletes_every_phase_before_the_first_starts(tmp_path, whole):
    run(tmp_path, phases(lengths=(2, 2)))

    def die(state):
        raise RuntimeError("the power fails")

    dying = phases(lengths=(2, 2))
    with pytest.raises(RuntimeError, match="power"):
        run(tmp_path, [dying[0]._replace(start=die), dying[1]], fresh=True)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json"}
    assert_same(run(tmp_path).state, whole[1])


def test_a_deletion_that_was_cut_short_revives_no_phase(tmp_path, whole):
    run(tmp_path, phases(lengths=(2, 2)))
    note = MARK | {BEING_DELETED: True, "phases": ["source", "target"]}
    (tmp_path / "config.json").write_text(json.dumps(note))
    shutil.rmtree(tmp_path / "source")
    with pytest.raises(RunDirectoryError, match="is not the directory of a run"):
        restore(tmp_path)
    assert_same(run(tmp_path, config={"a": 2}).state, whole[1])


def test_of_a_directory_of_phases_the_last_finished_one_is_restored(tmp_path, whole):
    assert_same(restore(whole[0]).weights("player"), whole[1].player.weights)
    with pytest.raises(SystemExit):
        run(tmp_path, phases(hooks=([Hook(2, terminate)], ())))
    with pytest.raises(CheckpointError, match=r"no phase of .* is finished \(source, ta"):
        restore(tmp_path)
    assert restore(tmp_path / "source").step == 4
    with pytest.raises(SystemExit):
        run(tmp_path, phases(hooks=((), [Hook(2, terminate)])))
    found = restore(tmp_path)
    assert found.step == 6
    assert_same(found.weights("player"), restore(tmp_path / "source").weights("player"))
    assert restore(tmp_path / "target").step == 4


def test_a_phase_that_was_stopped_as_it_was_made_longer_is_still_the_last(tmp_path):
    run(tmp_path, phases(lengths=(2, 2)))
    with pytest.raises(SystemExit):
        run(tmp_path, phases(lengths=(2, 8), hooks=((), [Hook(2, terminate)])))
    found = restore(tmp_path)
    assert found.step == 4
    assert_same(found.weights("player"), restore(tmp_path / "target").weights("player"))


def contents(workdir):
    return {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}


def test_no_phase_is_made_shorter_than_it_has_become(tmp_path):
    run(tmp_path, phases(lengths=(6, 4))[:1])
    before = contents(tmp_path)
    with pytest.raises(
        RunDirectoryError, match=r"source has run 6 .* cut back to the 4 .* least 6"
    ):
        run(tmp_path, phases(lengths=(4, 4)))
    assert contents(tmp_path) == before
    assert int(run(tmp_path, phases(lengths=(4, 2))[:1], fresh=True).state.step) == 4


def test_no_phase_goes_on_without_the_one_that_it_started_from(tmp_path, whole):
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "source" / "checkpoints" / "6")
    with pytest.raises(RunDirectoryError, match=r"target has run 6 .*source.* has 4 of 6: bring"):
        run(tmp_path, config={"a": 1, "steps": 100})
    shutil.rmtree(tmp_path / "source")
    with pytest.raises(RunDirectoryError, match=r"target has run 6 .*source.* has 0 of 6: bring"):
        run(tmp_path, config={"a": 1, "steps": 100})
    assert run(tmp_path, config={"a": 1, "steps": 100}, fresh=True).state.step == 6


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("", "b"), "A phase cannot be called ''"),
        (("a/b", "b"), "cannot be called 'a/b'"),
        (("..", "b"), r"cannot be called '\.\.'"),
        (("samples", "b"), "cannot be called 'samples'.*checkpoints, samples"),
        (("config.json.tmp", "b"), "cannot be called 'config.json.tmp'"),
        (("a", "a"), "Two phases are called 'a'"),
    ],
)
def test_names_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, names, words):
    with pytest.raises(ValueError, match=words):
        run(tmp_path, phases(names=names))
    assert list(tmp_path.iterdir()) == []


def test_what_a_later_phase_would_refuse_is_refused_at_once(tmp_path):
    first, second = phases()
    with pytest.raises(ValueError, match=r"evaluations is 3; .* multiple of steps_per_dispatch=2"):
        run(tmp_path, [first, second._replace(hooks=[Hook(3, never)])])
    with pytest.raises(ValueError, match="batch_size=9 does not divide over 4 devices"):
        run(tmp_path, [first, second._replace(batch_size=9)], parallel="jit")
    odd = drawn_feed(lambda key, num: {"x": jnp.zeros((num, 3))}, batch_size=6)
    second_odd = second._replace(feed=side_by_side({"source": SOURCE, "target": odd}))
    with pytest.raises(ValueError, match=r"batch of target/x has the shape \[6, 3\]"):
        run(tmp_path, [first, second_odd], parallel="pmap")
    with pytest.raises(ValueError, match="There is no phase to train"):
        train_phases([], key=KEY, workdir=tmp_path, config={})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "target" / "checkpoints").mkdir(parents=True)
    with pytest.raises(RunDirectoryError, match=r"checkpoints but no config\.json"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_phases_are_held_from_above_and_each_by_itself(tmp_path):
    run(tmp_path)
    with Lock(tmp_path), pytest.raises(RunDirectoryError, match=f"{tmp_path} is in use"):
        run(tmp_path, phases(lengths=(6, 8)))
    before = contents(tmp_path)
    for fresh in (False, True):
        with (
            Lock(tmp_path / "target"),
            pytest.raises(RunDirectoryError, match=f"{tmp_path / 'target'} is in use"),
        ):
            run(tmp_path, phases(lengths=(6, 8)), fresh=fresh)
        assert contents(tmp_path) == before
