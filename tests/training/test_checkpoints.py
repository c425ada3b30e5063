import errno
import json
import logging
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax.training import CheckpointError, Checkpoints
from gan_jax.training.packing import pack
from gan_jax.training.reading import read_newest


class State(struct.PyTreeNode, kw_only=True):
    step: Any
    params: Any
    opt_state: Any
    memory: Any = None


def replicated():
    return NamedSharding(jax.make_mesh((4,), ("data",)), P())


def stacked():
    return NamedSharding(jax.make_mesh((4,), ("data",)), P("data"))


def make_state(step=0):
    key = jax.random.fold_in(jax.random.key(0), step)
    params = {"kernel": jax.random.normal(key, (8, 16)), "bias": jnp.full(16, step, jnp.bfloat16)}
    memory = {
        "a.b": jnp.array([True, False]),
        "a": {"b": jnp.array([jnp.nan, -0.0, jnp.inf])},
        "empty": jnp.zeros((0, 3)),
        "none": None,
        "key": jax.random.key(step, impl="rbg"),
        "keys": jax.device_put(jax.random.split(key, 4), stacked()),
        "stacked": jax.device_put(jnp.arange(8, dtype=jnp.uint8).reshape(4, 2), stacked()),
    }
    state = State(
        step=jnp.int32(step), params=params, opt_state=optax.adam(1e-3).init(params), memory=memory
    )
    return state.replace(params=jax.device_put(params, replicated()))


def bits(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf).tobytes()


def assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert (a.dtype, a.shape, a.sharding) == (b.dtype, b.shape, b.sharding)
        assert bits(a) == bits(b)


def abstract(state):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state
    )


@pytest.mark.parametrize("make_like", [lambda state: state, abstract])
def test_restores_structure_shardings_dtypes_and_bits(tmp_path, make_like):
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        checkpoints.save(7, make_state(7))
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        step, state = checkpoints.restore_latest(make_like(make_state()))
    assert step == 7
    assert_same(state, make_state(7))


def test_restored_leaves_are_committed_as_those_they_replace(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        state = {"free": jnp.ones(3), "bound": jax.device_put(jnp.ones(3), replicated())}
        checkpoints.save(1, state)
        _, restored = checkpoints.restore_latest(state)
    assert not restored["free"].committed
    assert restored["bound"].committed


def test_the_state_may_be_donated_before_and_after(tmp_path):
    advance = jax.jit(lambda x: x + 1, donate_argnums=0)
    with Checkpoints(tmp_path) as checkpoints:
        x = jax.device_put(jnp.zeros(4096), replicated())
        for step in range(3):
            checkpoints.save(step, {"x": x})
            x = advance(x)
        step, state = checkpoints.restore_latest({"x": x})
    x = state["x"]
    for _ in range(3):
        x = advance(x)
    assert step == 2
    assert all((np.asarray(shard.data) == 5).all() for shard in x.addressable_shards)


def test_keeps_the_newest_and_replaces_a_step(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, {"x": jnp.float32(step)})
        checkpoints.save(3, {"x": jnp.float32(30)})
        step, state = checkpoints.restore_latest({"x": jnp.float32(0)})
    assert (step, float(state["x"])) == (3, 30)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]


def test_nothing_to_restore(tmp_path):
    (tmp_path / "4.orbax-checkpoint-tmp").mkdir()  # left by a process killed as it saved
    (tmp_path / "notes.txt").write_text("mine")
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore_latest({"x": jnp.ones(2)}) is None
        checkpoints.save(5, {"x": jnp.ones(2)})
    assert {path.name for path in tmp_path.iterdir()} == {"5", "notes.txt"}


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "halved": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "flipped": flip_a_bit,
}


@pytest.mark.parametrize(
    "damage",
    [name if name == "flipped" else pytest.param(name, marks=pytest.mark.slow) for name in DAMAGES],
)
def test_damage_to_any_file_is_harmless_or_falls_back(tmp_path, damage, capfd):
    state = {step: {"x": jnp.full(5000, step + 0.5)} for step in (1, 2)}
    intact = tmp_path / "intact"
    with Checkpoints(intact) as checkpoints:
        for step in state:
            checkpoints.save(step, state[step])
    fell_back = set()
    for file in [path.relative_to(intact) for path in intact.glob("2/**/*") if path.is_file()]:
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(intact, run)
        DAMAGES[damage](run / file)
        with Checkpoints(run) as checkpoints:
            step, restored = checkpoints.restore_latest(state[1])
            assert_same(restored, state[step])
            said = capfd.readouterr().err
            assert len(said.splitlines()) == (step == 1)
            if step == 1:
                assert f"checkpoint 2 in {run} cannot be read" in said
                assert "is now called 2.damaged" in said
                assert "going back to checkpoint 1" in said
                fell_back.add(file.parts[1])
                assert not (run / "2").exists()
                assert (run / "2.damaged").is_dir()
            checkpoints.save(2, state[2])
            assert checkpoints.restore_latest(state[1])[0] == 2
    assert {"data", "manifest"} <= fell_back


def test_what_was_set_aside_can_be_put_back(tmp_path):
    state = {"x": jnp.ones(10)}
    for _ in range(2):  # the second time there is one of that name already
        with Checkpoints(tmp_path) as checkpoints:
            for step in (1, 2):
                checkpoints.save(step, state)
            lost = (tmp_path / "2" / "manifest" / "metadata").rename(tmp_path / "metadata")
            assert checkpoints.restore_latest(state)[0] == 1
    lost.rename(tmp_path / "2.damaged" / "manifest" / "metadata")
    (tmp_path / "2.damaged").rename(tmp_path / "2")
    with Checkpoints(tmp_path) as checkpoints:
        step, restored = checkpoints.restore_latest(state)
        assert step == 2
        assert_same(restored, state)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize("read", [lambda checkpoints, like: checkpoints.restore_latest(like), None])
def test_what_may_pass_is_no_damage(tmp_path, monkeypatch, number, read):
    state, opened = {"x": jnp.ones(10)}, Path.open

    def fail(path, *arguments, **options):
        if path.match("2/data/checkpoint/0"):
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *arguments, **options)

    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", fail)
            with pytest.raises(
                CheckpointError, match=rf"2 cannot .*\({os.strerror(number)}: /.*0\)"
            ):
                read(checkpoints, state) if read else read_newest(tmp_path, "")
        assert checkpoints.restore_latest(state)[0] == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.rename(path.with_name("9")), r"/9 is the checkpoint of step 2,"),
        (
            lambda path: shutil.copytree(path, path.with_name("9")),
            r"/9 is the checkpoint of step 2",
        ),
        (lambda path: shutil.rmtree(path), r"/1 is the checkpoint of another run"),
    ],
)
def test_a_checkpoint_of_another_step_or_run_is_refused_and_left(tmp_path, change, words):
    state = {"x": jnp.ones(10)}
    for step, run in [(1, "others"), (2, "mine")]:
        with Checkpoints(tmp_path, run=run) as checkpoints:
            checkpoints.save(step, state)
    change(tmp_path / "2")
    before = sorted(tmp_path.rglob("*"))
    with Checkpoints(tmp_path, run="mine") as checkpoints:
        with pytest.raises(CheckpointError, match=words):
            checkpoints.restore_latest(state)
        with pytest.raises(CheckpointError, match=words):
            read_newest(tmp_path, "mine")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_checkpoint_that_says_no_run_is_no_damage(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"x": jnp.ones(10)})
        path = tmp_path / "1" / "manifest" / "metadata"
        said = json.loads(path.read_text())
        path.write_text(json.dumps({key: said[key] for key in said.keys() - {"step", "run"}}))
        with pytest.raises(CheckpointError, match="/1 was written by an older gan_jax"):
            checkpoints.restore_latest({"x": jnp.ones(10)})
    assert (tmp_path / "1").exists()


def test_the_digest_vouches_for_every_byte_and_for_all_that_is_said():
    packed = pack({"x": jnp.zeros(50_000), "key": jax.random.key(0)}, step=1, run="r")
    last = packed.data.copy()
    last[-1] ^= 1
    changed = [
        packed._replace(**change)
        for change in (
            {"data": last},
            {"step": 2},
            {"run": "s"},
            {"leaves": packed.leaves[::-1]},
            {"key_impls": ["rbg", None]},
            {"num_replicas": 2},
        )
    ]
    digests = {each.manifest()["sha256"] for each in [packed, *changed]}
    assert len(digests) == 7


def test_damaged_metadata_of_one_checkpoint_keep_from_no_other(tmp_path):
    state = {"x": jnp.ones(10)}
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state)
    path = tmp_path / "1" / "_CHECKPOINT_METADATA"
    path.write_text('{"unknown": 1, "custom_metadata": {"a": 1}}')
    assert read_newest(tmp_path, "").step == 3
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore_latest(state)[0] == 3
        (tmp_path / "3" / "manifest" / "metadata").write_text("")
        assert checkpoints.restore_latest(state)[0] == 2
        checkpoints.save(3, state)


def test_a_checkpoint_that_is_a_link_is_refused(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"x": jnp.ones(10)})
    (tmp_path / "1").rename(tmp_path / "elsewhere")
    (tmp_path / "1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="/1 is a link: put the checkpoint itself"):
        Checkpoints(tmp_path)


@pytest.mark.parametrize("keep", [0, -1, 1.5])
def test_at_least_one_is_kept(tmp_path, keep):
    with pytest.raises(ValueError, match=f"keep is {keep}; it must be an integer, at least 1"):
        Checkpoints(tmp_path, keep=keep)


@pytest.mark.parametrize("size", [5, 200_000_000_000])
@pytest.mark.parametrize("name", ["shape", "chunks"])
def test_an_array_is_not_read_by_a_size_that_no_manifest_promised(tmp_path, capfd, name, size):
    state = {"x": jnp.ones(10)}
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state)
        path = tmp_path / "2" / "data" / "checkpoint" / ".zarray"
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: [size]}))
        assert checkpoints.restore_latest(state)[0] == 1
    assert "zarray does not say the 40 bytes of the manifest" in capfd.readouterr().err


def test_a_state_of_pmap_goes_back_to_as_many_devices(tmp_path):
    with Checkpoints(tmp_path, num_replicas=2) as checkpoints:
        checkpoints.save(1, {"x": jnp.ones((2, 3))})
    like = {"x": jnp.ones((4, 3))}
    for num, words in [(4, "has a state for each of 4 devices"), (None, "has one state")]:
        said = rf"each of 2 devices \(pmap\), but .* {words}"
        with (
            Checkpoints(tmp_path, num_replicas=num) as checkpoints,
            pytest.raises(CheckpointError, match=said),
        ):
            checkpoints.restore_latest(like)


def test_refuses_to_go_on_when_all_are_damaged(tmp_path):
    state = {"x": jnp.ones(10)}
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, state)
            (tmp_path / str(step) / "manifest" / "metadata").write_text("")
        with pytest.raises(CheckpointError, match=r"no checkpoint in .*2: .*1: .*--fresh"):
            checkpoints.restore_latest(state)
    assert {"1", "2"} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("like", "words"),
    [
        (
            {"w": jnp.ones((2, 4))},
            r"holds w float32\[2, 3\] where .* w float32\[2, 4\]",
        ),
        ({"w": jnp.ones((2, 3), jnp.bfloat16)}, r"bfloat16\[2, 3\]"),
        ({"v": jnp.ones(1), "w": jnp.ones((2, 3))}, r"holds nothing where .* v float32\[1\]"),
        ({"a": {"c": jnp.ones(2)}, "b": jnp.ones(1)}, r"has a/c float32\[2\] \(and 1 more\)"),
    ],
)
def test_another_model_is_an_error_and_no_reason_to_fall_back(tmp_path, like, words):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, like)
        checkpoints.save(2, {"w": jnp.ones((2, 3))})
        with pytest.raises(CheckpointError, match=words):
            checkpoints.restore_latest(like)
        assert checkpoints.restore_latest({"w": jnp.ones((2, 3))})[0] == 2


def test_a_full_disk_is_one_sentence_and_keeps_the_others(tmp_path):
    state = {"x": jax.random.normal(jax.random.key(0), (250_000,))}
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, unlimited[1]))
        try:
            with pytest.raises(CheckpointError, match=r"4 cannot .*File too large.* others are"):
                checkpoints.save(4, state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    with Checkpoints(tmp_path) as checkpoints:
        step, restored = checkpoints.restore_latest(state)
        assert step == 3
        assert_same(restored, state)
        checkpoints.save(4, state)
    assert {"2", "3", "4"} == {path.name for path in tmp_path.iterdir()}


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="choose a --workdir"):
        Checkpoints(tmp_path / "file" / "checkpoints")


def test_orbax_is_quiet(tmp_path, capfd, caplog):
    with caplog.at_level(logging.INFO), Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"x": jnp.ones(3)})
        checkpoints.restore_latest({"x": jnp.ones(3)})
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
