"""The loop on a toy whose state is a tuple: interrupted in any way, it ends in the same bits."""

import functools
import inspect
import json
import shutil
import signal
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.data import ArrayDataset, drawn_feed, map_feed, resident_feed, streamed_feed
from gan_jax.games import PlayerOutcome, Weights, descent_step, init_descent
from gan_jax.training import (
    CheckpointError,
    Evaluation,
    Hook,
    NonFiniteError,
    RunDirectoryError,
    Timetable,
    restore,
    train,
)
from gan_jax.training.dispatches import first_not_finite
from gan_jax.training.lock import LOCK_FILE
from gan_jax.training.logs import WALL_CLOCK_FIELDS
from gan_jax.training.loop import _named
from gan_jax.training.runtime import check_devices

pytestmark = pytest.mark.usefixtures("compiled_once")
SEED = 7
NUM_EXAMPLES = 50
BATCH_SIZE = 8
TIMETABLE = Timetable(num_steps=30, steps_per_dispatch=5, checkpoint_every=10)
DATASET = ArrayDataset(
    {
        "x": np.random.default_rng(0).normal(size=(NUM_EXAMPLES, 3)).astype(np.float32),
        "index": np.arange(NUM_EXAMPLES, dtype=np.int32),
    }
)


FIELDS = {"x": None, "index": None}


class Memory(NamedTuple):
    seen: Any
    key: Any


def objective(*, weights, batch, key):
    target = jnp.sum(batch["x"] ** 3, axis=-1) + 0.1 * jax.random.normal(key, batch["index"].shape)
    return PlayerOutcome(jnp.mean((batch["x"] @ weights.params - target) ** 2))


def start():
    player = init_descent(weights=Weights(params=jnp.ones(3)), optimizer=optax.adam(0.1))
    return player, Memory(jnp.zeros((), jnp.int32), {"last": jax.random.key(0)})


def step(key, state, batch, *, axis_name=None):
    """Move the player; note the indices of the examples, and the key."""
    player, memory = state
    optimizer = optax.adam(0.1)
    player, metrics = descent_step(
        key, player, batch, objective=objective, optimizer=optimizer, axis_name=axis_name
    )
    seen = jnp.sum(batch["index"])
    if axis_name:
        seen = jax.lax.psum(seen, axis_name)
    return (player, Memory(memory.seen + seen, {"last": key})), {**metrics, "seen": seen}


@functools.cache
def feed(make=resident_feed):
    return make(DATASET, FIELDS, batch_size=BATCH_SIZE, seed=SEED)


def run_whole(workdir, *, step=step, **changes):
    arguments = {
        "key": jax.random.key(SEED),
        "timetable": TIMETABLE,
        "batch_size": BATCH_SIZE,
        "config": {"seed": SEED},
        "parallel": "none",
        "shown": ("loss",),
    }
    arguments |= {"feed": feed()} | changes
    return train(step, start(), arguments.pop("feed"), workdir=workdir, **arguments)


def run(workdir, **changes):
    return run_whole(workdir, **changes).state


def bits(state):
    def one(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

    return [(leaf.dtype, leaf.shape, leaf.tobytes()) for leaf in map(one, jax.tree.leaves(state))]


def lines(workdir, ignore=()):
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    ignored = {*WALL_CLOCK_FIELDS, *ignore}
    return [{k: v for k, v in record.items() if k not in ignored} for record in records]


def saved(workdir):
    names = [path.name for path in (workdir / "checkpoints").iterdir()]
    return sorted(int(name) for name in names if not name.endswith(".damaged"))


class Whole(NamedTuple):
    """What an uninterrupted run leaves."""

    state: Any
    lines: list

    def assert_equals(self, state, workdir, ignore=()):
        assert jax.tree.structure(state) == jax.tree.structure(self.state)
        assert bits(state) == bits(self.state)
        assert lines(workdir, ignore) == self.lines


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    return Whole(run(workdir), lines(workdir))


@pytest.mark.parametrize(
    ("timetable", "interval", "words"),
    [
        (Timetable(0, 5, 10), 5, "num_steps is 0; it must be at least 1"),
        (Timetable(30, 0, 10), 5, "steps_per_dispatch is 0; it must be at least 1"),
        (Timetable(30, 5, -10), 5, "checkpoint_every is -10; it must be at least 1"),
        (Timetable(30, 5, 12), 5, "checkpoint_every is 12; .* multiple of steps_per_dispatch=5"),
        (Timetable(30, 5, 10), 7, "evaluations is 7; .* multiple of steps_per_dispatch=5"),
        (Timetable(30, 5, 10), 0, "evaluations is 0; .* multiple of steps_per_dispatch=5"),
    ],
)
def test_a_timetable_that_does_not_fit_is_refused_before_anything_is_written(
    tmp_path, timetable, interval, words
):
    hook = Hook(interval, lambda step, state: None)
    with pytest.raises(ValueError, match=words):
        run(tmp_path, timetable=timetable, hooks=[hook])
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_does_not_divide_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="batch_size=10 does not divide over 4 devices"):
        run(tmp_path, parallel="jit", batch_size=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_a_feed_that_does_not_divide_is_refused_before_anything_is_written(tmp_path, parallel):
    odd = drawn_feed(lambda key, num: {"x": jnp.zeros((num, 3))}, batch_size=10)
    with pytest.raises(ValueError, match=r"batch of x has .* \[10, 3\], .* over 4 devices"):
        run(tmp_path, parallel=parallel, feed=odd)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("begin", "num_steps", "ranges"),
    [
        (0, 12, [(0, 5), (5, 10), (10, 12)]),
        (5, 15, [(5, 10), (10, 15)]),
        (12, 23, [(12, 15), (15, 20), (20, 23)]),  # a run of 12 steps is given more
        (0, 3, [(0, 3)]),
        (12, 12, []),
        (13, 12, []),
    ],
)
def test_dispatches_end_at_their_multiples(begin, num_steps, ranges):
    assert list(Timetable(num_steps, 5, 10).dispatches(begin)) == ranges


def test_what_is_due():
    timetable = Timetable(12, 5, 10)
    assert [step for step in (5, 10, 12) if timetable.due(10, step)] == [10, 12]


def test_every_step_has_its_own_key_and_batch(whole):
    (batches,) = feed().chunks([(0, TIMETABLE.num_steps)])
    player, memory = whole.state
    assert int(player.step) == TIMETABLE.num_steps
    assert int(memory.seen) == np.sum(batches)
    key_steps, _ = jax.random.split(jax.random.key(SEED))
    assert memory.key["last"] == jax.random.fold_in(key_steps, TIMETABLE.num_steps - 1)
    state, steps = start(), []
    for t, batch in enumerate(batches):
        key = jax.random.fold_in(key_steps, t)
        state, metrics = jax.jit(step)(key, state, DATASET[batch])
        steps.append(metrics)
    np.testing.assert_allclose(player.player.weights.params, state[0].player.weights.params, 1e-5)
    assert [record["step"] for record in whole.lines] == [5, 10, 15, 20, 25, 30]
    for record, begin in zip(whole.lines, range(0, 30, 5), strict=True):
        for name in ("loss", "grad_norm", "update_norm", "seen"):
            mean = np.mean([metrics[name] for metrics in steps[begin : begin + 5]])
            np.testing.assert_allclose(record[name], mean, rtol=1e-5)


def test_a_metric_is_one_number(tmp_path):
    def reporting_step(key, state, batch):
        return step(key, state, batch)[0], {"errors": jnp.zeros(3)}

    with pytest.raises(ValueError, match=r"metric errors has the shape \(3,\); a metric is"):
        run(tmp_path, step=reporting_step)


@pytest.mark.parametrize("parallel", ["none", "pmap"])
def test_an_array_may_stand_in_a_state_twice_and_a_metric_be_a_plain_number(tmp_path, parallel):
    """Nothing is resident, and the arrays of the state are as many as pmap's arguments."""

    def add(key, state, batch):
        return {"a": state["a"] + 1, "b": state["b"] + 2}, {"one": 1.0}

    ones = jnp.ones(3)
    nothing = drawn_feed(lambda key, num: {"x": jnp.ones((num, 1))}, batch_size=BATCH_SIZE)
    arguments = {"key": jax.random.key(0), "timetable": Timetable(2, 1, 2), "config": {}}
    arguments |= {"batch_size": BATCH_SIZE, "parallel": parallel, "workdir": tmp_path}
    state = train(add, {"a": ones, "b": ones}, nothing, **arguments).state
    assert (float(state["a"][0]), float(state["b"][0])) == (3, 5)
    assert [line["one"] for line in lines(tmp_path)] == [1, 1]


class PowerFails(BaseException):
    """What no run can do anything about."""


class Note(NamedTuple):
    text: str
    suffix = ".txt"

    def save(self, path):
        path.write_text(self.text)


def test_hooks_look_at_intervals_and_at_the_end_and_change_nothing(tmp_path, whole):
    calls = []

    def look(name, step, state):
        player, memory = state
        assert int(player.step) == step
        calls.append((name, step))
        files = {name: Note(str(step))}
        return Evaluation(files, {f"{name}/seen": memory.seen}) if name == "often" else None

    timetable = TIMETABLE._replace(num_steps=33)
    hooks = [Hook(10, partial(look, "often")), Hook(25, partial(look, "seldom"))]
    state, evaluation = run_whole(tmp_path, timetable=timetable, hooks=hooks)
    assert calls == [
        ("often", 10),
        ("often", 20),
        ("seldom", 25),
        ("often", 30),
        ("often", 33),
        ("seldom", 33),
    ]
    assert evaluation == ({"often": Note("33")}, {"often/seen": state[1].seen})
    written = {path.name: path.read_text() for path in (tmp_path / "samples").iterdir()}
    assert written == {f"often-0000{step}.txt": str(step) for step in (10, 20, 30, 33)}
    found = {r["step"]: r["often/seen"] for r in lines(tmp_path) if "often/seen" in r}
    assert list(found) == [10, 20, 30, 33]
    assert found[33] == int(state[1].seen)
    assert lines(tmp_path, ignore=["often/seen"])[:6] == whole.lines
    assert saved(tmp_path) == [20, 30, 33]


def interrupt_at(step, signum):
    def call(at, state):
        if at == step:
            signal.raise_signal(signum)

    return Hook(5, call)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_resumed_run_equals_an_uninterrupted_one(
    tmp_path, whole, capfd, signum, status
):
    with pytest.raises(SystemExit) as exit:
        run(tmp_path, hooks=[interrupt_at(15, signum)])
    assert exit.value.code == status
    assert saved(tmp_path) == [10, 15]
    assert lines(tmp_path) == whole.lines[:3]
    assert "stopped at step 15; run the same command again" in capfd.readouterr().err
    state = run(tmp_path)
    assert "resuming at step 15 of 30" in capfd.readouterr().err
    whole.assert_equals(state, tmp_path)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_run_that_dies_between_checkpoints_repeats_what_was_lost(tmp_path, whole, capfd):
    def die(step, state):
        if step == 25:
            raise PowerFails

    with pytest.raises(PowerFails):
        run(tmp_path, hooks=[Hook(5, die)])
    assert lines(tmp_path) == whole.lines[:4]
    whole.assert_equals(run(tmp_path), tmp_path)
    assert "resuming at step 20 of 30" in capfd.readouterr().err


def test_a_longer_run_continues_a_finished_one(tmp_path, whole, capfd):
    run(tmp_path, timetable=TIMETABLE._replace(num_steps=20))
    whole.assert_equals(run(tmp_path), tmp_path)
    assert "resuming at step 20 of 30" in capfd.readouterr().err


@pytest.mark.parametrize("make", [resident_feed, streamed_feed])
def test_a_finished_run_is_returned_as_it_is(tmp_path, whole, capfd, make):
    run(tmp_path)
    written = [
        tmp_path / "checkpoints" / "30",
        *tmp_path.glob("events*"),
        tmp_path / "metrics.jsonl",
    ]
    modified = [path.stat().st_mtime_ns for path in written]
    capfd.readouterr()
    calls = []
    hook = Hook(5, lambda step, state: calls.append(step))

    def none(ranges):
        calls.extend(ranges)
        yield from ()

    state, evaluation = run_whole(tmp_path, feed=feed(make)._replace(chunks=none), hooks=[hook])
    whole.assert_equals(state, tmp_path)
    assert calls == []
    assert evaluation is None
    assert "already at step 30; ask for more steps" in capfd.readouterr().err
    assert [path.stat().st_mtime_ns for path in written] == modified
    assert len([*tmp_path.glob("events*")]) == 1


def test_fewer_steps_than_were_run_change_nothing(tmp_path, whole, capfd):
    asked = [
        {"timetable": TIMETABLE._replace(num_steps=steps), "config": {"steps": steps}}
        for steps in (30, 20)
    ]
    run(tmp_path, **asked[0])
    whole.assert_equals(run(tmp_path, **asked[1]), tmp_path)
    assert "already at step 30" in capfd.readouterr().err
    assert json.loads((tmp_path / "config.json").read_text())["config"] == {"steps": 30}


def test_a_streamed_feed_gives_the_bits_of_a_resident_one(tmp_path, whole):
    with pytest.raises(SystemExit):
        run(tmp_path, feed=feed(streamed_feed), hooks=[interrupt_at(15, signal.SIGTERM)])
    whole.assert_equals(run(tmp_path, feed=feed(streamed_feed)), tmp_path)


def drawn():
    """Data that is drawn twice over: examples, and noise upon them."""

    def draw(key, num):
        return {"x": jax.random.normal(key, (num, 3)), "index": jnp.arange(num)}

    def add_noise(key, batch):
        return {**batch, "x": batch["x"] + jax.random.normal(key, batch["x"].shape)}

    return map_feed(add_noise, drawn_feed(draw, batch_size=BATCH_SIZE))


@pytest.mark.parametrize(
    ("parallel", "axis_name"),
    [
        ("none", None),
        pytest.param("jit", None, marks=pytest.mark.slow),
        pytest.param("pmap", "data", marks=pytest.mark.slow),
    ],
)
def test_what_is_drawn_is_drawn_again_by_a_resumed_run(tmp_path, parallel, axis_name):
    mode = {"parallel": parallel, "step": partial(step, axis_name=axis_name), "feed": drawn()}
    expected = Whole(run(tmp_path / "whole", **mode), lines(tmp_path / "whole"))
    with pytest.raises(SystemExit):
        run(tmp_path / "stopped", **mode, hooks=[interrupt_at(15, signal.SIGTERM)])
    expected.assert_equals(run(tmp_path / "stopped", **mode), tmp_path / "stopped")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parallel", "axis_name", "make"),
    [("jit", None, streamed_feed), ("pmap", "data", resident_feed)],
)
def test_several_devices_train_alike_and_resume_bit_for_bit(
    tmp_path, whole, parallel, axis_name, make
):
    mode = {"parallel": parallel, "step": partial(step, axis_name=axis_name)}
    shapes = []

    def look(step, state):
        shapes.append([leaf.shape for leaf in jax.tree.leaves(state)])

    state = run(tmp_path / "whole", **mode, hooks=[Hook(10, look)])
    assert shapes == [[leaf.shape for leaf in jax.tree.leaves(start())]] * 3
    with pytest.raises(SystemExit):
        run(tmp_path / "stopped", **mode, hooks=[interrupt_at(15, signal.SIGTERM)])
    resumed = run(tmp_path / "stopped", **mode, feed=feed(make))
    Whole(state, lines(tmp_path / "whole")).assert_equals(resumed, tmp_path / "stopped")
    read_again = restore(tmp_path / "whole").weights(0, "player").params
    np.testing.assert_array_equal(read_again, state[0].player.weights.params)
    assert int(state[1].seen) == int(whole.state[1].seen)
    # Under pmap each device draws noise of its own.
    tolerance = {"rtol": 1e-4} if parallel == "jit" else {"atol": 0.1}
    expected = whole.state[0].player.weights.params
    np.testing.assert_allclose(state[0].player.weights.params, expected, **tolerance)


def reporting(name, value, *, at):
    """The step with one more metric, of that value at that step and 0 at all others."""

    def reporting_step(key, state, batch):
        state, metrics = step(key, state, batch)
        reported = jnp.where(state[0].step == at, value, 0.0)
        return state, {**metrics, name: reported}

    return reporting_step


def test_a_number_that_is_not_finite_stops_the_run_and_keeps_its_checkpoint(tmp_path, whole):
    name = "generator/loss"
    with pytest.raises(NonFiniteError, match=f"{name} is nan at step 18, .*checkpoint stays"):
        run(tmp_path, step=reporting(name, np.nan, at=18))
    assert saved(tmp_path) == [10]
    assert [record["step"] for record in lines(tmp_path)] == [5, 10, 15]
    whole.assert_equals(run(tmp_path), tmp_path, ignore=[name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["loss", "discriminator/grad_norm", "critic/update_norm"])
def test_of_each_player_loss_and_norms_are_looked_at_in_every_step(name, value):
    metrics = {name: np.array([1, 2, value, 3]), "accuracy": np.array([1, value, 1, 1])}
    assert first_not_finite(metrics) == (name, 2)
    assert first_not_finite({"another/loss": np.array([0, 0, 0, value]), **metrics}) == (name, 2)
    assert first_not_finite({"a/loss": np.array([0, 0, value, 0]), **metrics}) == ("a/loss", 2)
    metrics[name][2] = 6  # and others may be what they like
    assert first_not_finite(metrics) is None


def with_hole(at):
    """A feed of which the batch of that step is the first with a number that is missing."""
    x, indices = DATASET[np.arange(NUM_EXAMPLES)].values()
    for index in range(NUM_EXAMPLES):
        holed = {"x": np.where(indices[:, None] == index, np.nan, x), "index": indices}
        feed = resident_feed(ArrayDataset(holed), FIELDS, batch_size=BATCH_SIZE, seed=SEED)
        (batches,) = feed.chunks([(0, at)])
        if index in batches[at - 1] and index not in batches[: at - 1]:
            return feed
    raise AssertionError


def test_data_that_are_not_finite_are_named_in_place_of_the_loss(tmp_path):
    with pytest.raises(ValueError, match="field x of the first batch holds 3 numbers of 24"):
        run(tmp_path, feed=with_hole(1))
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"field x of the batch of step 3, after .* 3 numbers"):
        run(tmp_path, feed=with_hole(3))


@pytest.mark.slow
def test_a_step_may_report_nothing(tmp_path):
    def silent(key, state, batch):
        return step(key, state, batch)[0], {}

    run(tmp_path, step=silent)
    assert lines(tmp_path) == [{"step": step} for step in range(5, 31, 5)]


def damage(workdir, step):
    files = [path for path in (workdir / "checkpoints" / str(step)).rglob("*") if path.is_file()]
    for path in files:
        path.write_bytes(b"")


def test_a_damaged_checkpoint_costs_time_and_nothing_else(tmp_path, whole, capfd):
    with pytest.raises(SystemExit):
        run(tmp_path, hooks=[interrupt_at(25, signal.SIGTERM)])
    damage(tmp_path, 25)
    whole.assert_equals(run(tmp_path), tmp_path)
    said = capfd.readouterr().err
    assert "checkpoint 25" in said
    assert "resuming at step 20 of 30" in said
    assert saved(tmp_path) == [10, 20, 30]


def test_no_run_starts_over_in_silence_when_all_checkpoints_are_damaged(tmp_path):
    run(tmp_path)
    for step in saved(tmp_path):
        damage(tmp_path, step)
    log = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match=r"no checkpoint .* can be read .*--fresh"):
        run(tmp_path)
    assert saved(tmp_path) == [10, 20, 30]
    assert (tmp_path / "metrics.jsonl").read_bytes() == log


@pytest.mark.parametrize("num_steps", [5, 10, 15])
def test_no_run_starts_over_in_silence_when_its_checkpoints_are_gone(tmp_path, whole, num_steps):
    run(tmp_path, timetable=TIMETABLE._replace(num_steps=num_steps))
    shutil.rmtree(tmp_path / "checkpoints")
    log = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match=r"has saved checkpoints, but .* are gone.*--fresh"):
        run(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == log
    whole.assert_equals(run(tmp_path, fresh=True), tmp_path)


def test_a_run_that_died_before_its_first_checkpoint_starts_again(tmp_path, whole):
    def die(step, state):
        if step == 10:
            raise PowerFails

    with pytest.raises(PowerFails):
        run(tmp_path, hooks=[Hook(5, die)])
    assert lines(tmp_path) == whole.lines[:1]
    whole.assert_equals(run(tmp_path), tmp_path)


class Unwritable:
    """A file that cannot be written."""

    suffix = ".png"

    def save(self, path):
        raise ValueError("four channels")


@pytest.mark.parametrize("unwritable", [False, True])
def test_what_was_trained_is_kept_whatever_a_hook_makes_of_it(tmp_path, whole, unwritable):
    def fail(step, state):
        if unwritable:
            return Evaluation({"samples": Unwritable()})
        raise ValueError("four channels")

    with pytest.raises(ValueError, match="four channels"):
        run(tmp_path, hooks=[Hook(15, fail)])
    assert saved(tmp_path) == [10, 15]
    assert lines(tmp_path) == whole.lines[:3]
    whole.assert_equals(run(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ([0, 1, 2], "lacks 1 of the 4 lines up to step 20"),
        ([0, 2, 3], "lacks 1 of the 4"),
        ([], "lacks 4"),
    ],
)
def test_a_log_that_has_lost_lines_is_told_of(tmp_path, whole, capfd, keep, said):
    run(tmp_path, timetable=TIMETABLE._replace(num_steps=20))
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[i] for i in keep))
    assert bits(run(tmp_path)) == bits(whole.state)
    assert lines(tmp_path) == [whole.lines[i] for i in [*keep, 4, 5]]
    assert said in capfd.readouterr().err


def test_a_whole_log_is_not_told_of(tmp_path, capfd):
    for num_steps in (8, 12, 30):
        run(tmp_path, timetable=TIMETABLE._replace(num_steps=num_steps))
    assert "lacks" not in capfd.readouterr().err


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    for name, seed in [("mine", 1), ("others", 2)]:
        run(tmp_path / name, config={"seed": seed}, timetable=TIMETABLE._replace(num_steps=10))
    shutil.copytree(tmp_path / "others/checkpoints/10", tmp_path / "mine/checkpoints/20")
    config = (tmp_path / "mine" / "config.json").read_bytes()
    with pytest.raises(CheckpointError, match="20 is the checkpoint of another run"):
        run(tmp_path / "mine", config={"seed": 1})
    assert (tmp_path / "mine" / "config.json").read_bytes() == config
    with pytest.raises(CheckpointError, match="20 is the checkpoint of another run"):
        restore(tmp_path / "mine")


def test_a_run_that_has_lost_its_directory_saves_nothing_there(tmp_path):
    def lose(step, state):
        if step == 15:
            (tmp_path / LOCK_FILE).unlink()

    with pytest.raises(RunDirectoryError, match="no longer this run's"):
        run(tmp_path, hooks=[Hook(5, lose)])
    assert saved(tmp_path) == [10]


def test_a_longer_run_says_so_in_its_directory(tmp_path):
    for steps in (10, 20):
        timetable = TIMETABLE._replace(num_steps=steps)
        run(tmp_path, timetable=timetable, config={"seed": SEED, "steps": steps})
        said = json.loads((tmp_path / "config.json").read_text())
        assert (said["config"]["steps"], said["lengths"][-1]) == (steps, steps)
    assert restore(tmp_path).step == 20


def test_a_configuration_is_what_json_makes_of_it(tmp_path):
    timetable = TIMETABLE._replace(num_steps=10)
    config = {"sizes": {2: (1,), 10: (2,)}}
    run(tmp_path, config=config, timetable=timetable)
    assert restore(tmp_path).config == {"sizes": {"2": [1], "10": [2]}}
    run(tmp_path, config=config, timetable=timetable)
    with pytest.raises(ValueError, match=r"config cannot be written as JSON .* numbers"):
        run(tmp_path, config={"dtype": jnp.float32})


def test_a_directory_may_be_named_by_a_string(tmp_path, whole):
    whole.assert_equals(run(str(tmp_path)), tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda state: (state[0], state[1]._replace(seen=3)),
            "holds 3 at 1/seen: make it an",
        ),
        (lambda state: jax.tree.map(lambda x: x.delete() or x, state), "array at 0/step is gone"),
        (lambda state: {"none": jnp.zeros((0, 3))}, "The state holds no number"),
    ],
)
def test_a_state_that_is_no_arrays_or_gone_is_refused(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        train(
            step,
            change(start()),
            feed(),
            key=jax.random.key(SEED),
            timetable=TIMETABLE,
            batch_size=BATCH_SIZE,
            workdir=tmp_path,
            config={},
            parallel="none",
        )
    assert not list(tmp_path.iterdir())


def test_a_way_to_run_in_parallel_is_one_of_three():
    with pytest.raises(ValueError, match="parallel is 'jitt'; it must be one of 'jit', 'pmap', 'n"):
        inspect.unwrap(check_devices)("jitt", BATCH_SIZE)


def test_only_the_run_of_this_configuration_is_resumed(tmp_path, whole):
    run(tmp_path, config={"seed": 0}, key=jax.random.key(0))
    with pytest.raises(RunDirectoryError, match="seed was 0 and is 7"):
        run(tmp_path)
    whole.assert_equals(run(tmp_path, fresh=True), tmp_path)
    assert saved(tmp_path) == [10, 20, 30]


def test_a_run_says_on_what_it_runs_and_shows_what_there_is_to_show(tmp_path, capfd):
    run(tmp_path, shown=("generator/loss", "loss"))
    first, *_, last = capfd.readouterr().err.splitlines()
    assert first == "on 1 cpu device"
    assert " loss=" in last
    assert "generator" not in last


@pytest.mark.parametrize(
    ("parallel", "name", "words"),
    [
        ("jit", "NVIDIA H100", "4 NVIDIA H100 devices, sharded jit"),
        ("pmap", "cpu", "4 cpu devices, pmap"),
    ],
)
def test_several_devices_are_named_with_how_they_are_used(parallel, name, words):
    assert _named([SimpleNamespace(device_kind=name)] * 4, parallel) == words


def test_a_directory_says_what_its_run_is_about(tmp_path):
    run(tmp_path, experiment="toy", label_names=("cat", "dog"))
    said = json.loads((tmp_path / "config.json").read_text())
    assert said["experiment"] == "toy"
    assert said["label_names"] == ["cat", "dog"]
    assert said["batch"] == {
        "x": {"shape": [BATCH_SIZE, 3], "dtype": "float32"},
        "index": {"shape": [BATCH_SIZE], "dtype": "int32"},
    }
    assert said["config"] == {"seed": SEED}
    with pytest.raises(RunDirectoryError, match='experiment was "toy" and is "other"'):
        run(tmp_path, experiment="other")
