"""Damage run directories at random, and run them again.    python -m tests.training.random_damages

Whatever was done to its files, a run either ends in the bits of an undamaged one, or refuses in
one sentence and leaves everything as it was. Damages are drawn with a fixed seed, so that the first
of any number of them are the same.
"""

import argparse
import contextlib
import functools
import io
import json
import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.data import ArrayDataset, resident_feed
from gan_jax.errors import Refusal
from gan_jax.games import PlayerOutcome, Weights, descent_step, init_descent
from gan_jax.training import Evaluation, Hook, Timetable, loop, read_log, restore, train
from gan_jax.training.logs import WALL_CLOCK_FIELDS

OPTIMIZER = optax.adam(0.1)
X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
FEED = resident_feed(ArrayDataset({"x": X}), {"x": None}, batch_size=8, seed=0)


class Note:
    """A file that an evaluation leaves."""

    suffix = ".txt"

    def save(self, path: Path) -> None:
        path.write_text("a note\n")


def step(key, state, batch):
    def objective(*, weights, batch, key):
        target = jnp.sum(batch["x"] ** 2, axis=-1) + jax.random.normal(key, (8,))
        return PlayerOutcome(jnp.mean((batch["x"] @ weights.params - target) ** 2))

    return descent_step(key, state, batch, objective=objective, optimizer=OPTIMIZER)


def look(step, state) -> Evaluation:
    return Evaluation({"note": Note()}, {"one": 1.0})


def run(workdir: Path, *, seed: int = 0, steps: int = 30, step=step, feed=FEED, look=look):
    """Train, or go on."""
    return train(
        step,
        init_descent(weights=Weights(params=jnp.zeros(3)), optimizer=OPTIMIZER),
        feed,
        key=jax.random.key(seed),
        timetable=Timetable(steps, 5, 10),
        batch_size=8,
        workdir=workdir,
        config={"seed": seed, "steps": steps},
        parallel="none",
        hooks=[Hook(10, look)],
        shown=("loss",),
    ).state


def _cut(rng: random.Random, path: Path, other: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) + 1)])


def _flip(rng: random.Random, path: Path, other: Path) -> None:
    data = bytearray(path.read_bytes() or b"\0")
    for _ in range(rng.choice([1, 1, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _empty(rng: random.Random, path: Path, other: Path) -> None:
    path.write_bytes(b"")


def _remove(rng: random.Random, path: Path, other: Path) -> None:
    path.unlink()


def _add(rng: random.Random, path: Path, other: Path) -> None:
    garbage = [rng.randbytes(30), b"{}\n", b'{"step": 15}\n', b"[" * 20_000, b"\0" * 1_000]
    path.write_bytes(path.read_bytes() + rng.choice(garbage))


def _of_another(rng: random.Random, path: Path, other: Path) -> None:
    files = [file for file in other.rglob("*") if file.is_file()]
    same = [file for file in files if file.name == path.name]
    shutil.copy(rng.choice(same or files), path)


def _make_folder(rng: random.Random, path: Path, other: Path) -> None:
    path.unlink()
    path.mkdir()


def _age(rng: random.Random, path: Path, other: Path) -> None:
    os.utime(path, (4e9, 4e9))


def _remove_folder(rng: random.Random, path: Path, other: Path) -> None:
    shutil.rmtree(path.parent)


def _checkpoints(path: Path) -> Path:
    return next(p for p in path.parents if (p / "config.json").exists()) / "checkpoints"


def _rename_checkpoint(rng: random.Random, path: Path, other: Path) -> None:
    checkpoint = rng.choice(sorted(_checkpoints(path).iterdir()))
    checkpoint.rename(checkpoint.with_name(str(rng.choice([15, 25, 99_999]))))


def _copy_checkpoint(rng: random.Random, path: Path, other: Path) -> None:
    checkpoint = rng.choice(sorted(_checkpoints(rng.choice([path, other / "x"])).iterdir()))
    name = rng.choice(["15", "25", "99999", checkpoint.name])
    shutil.copytree(checkpoint, _checkpoints(path) / name, dirs_exist_ok=True)


def _leave_lock(rng: random.Random, path: Path, other: Path) -> None:
    place = _checkpoints(path).parent / "running.json"
    said = {"host": "b", "machine": ["b"], "pid": 1, "started": "1"}
    place.write_text(rng.choice(["", "{", json.dumps(said), json.dumps({"pid": os.getpid()})]))


DAMAGES: dict[str, Callable[[random.Random, Path, Path], None]] = {
    name.removeprefix("_"): damage
    for name, damage in list(globals().items())
    if name in {"_cut", "_flip", "_empty", "_remove", "_add", "_of_another", "_make_folder", "_age"}
    or name.endswith(("_folder", "_checkpoint", "_lock"))
}


def snapshot(workdir: Path) -> dict[str, bytes | None]:
    """The contents of every file, and every folder."""
    return {
        str(path.relative_to(workdir)): path.read_bytes() if path.is_file() else None
        for path in sorted(workdir.rglob("*"))
    }


def lines(workdir: Path) -> list[dict]:
    """The log, without its clock."""
    clock = WALL_CLOCK_FIELDS
    return [{k: v for k, v in line.items() if k not in clock} for line in read_log(workdir)]


def bits(state) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def outcomes(count: int, scratch: Path, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Damage and run again `count` times; give what was done, and what came of it.

    Raises:
        AssertionError: a wrong result, a trace, or a whole file lost.
    """
    whole, other = scratch / "whole", scratch / "other"
    ended = bits(run(whole))
    run(other, seed=1)
    stopped = scratch / "stopped"
    run(stopped, steps=20)
    rng = random.Random(seed)
    for index in range(count):
        place = scratch / str(index)
        shutil.copytree(rng.choice([stopped, stopped, whole]), place)
        done = []
        for _ in range(rng.choice([1, 1, 2])):
            files = sorted(path for path in place.rglob("*") if path.is_file())
            if not files:
                break
            path, name = rng.choice(files), rng.choice(sorted(DAMAGES))
            done.append(f"{name} {path.relative_to(place)}")
            with contextlib.suppress(OSError, StopIteration, IndexError):
                DAMAGES[name](rng, path, other)
        try:
            outcome = _go_on(place, ended, lines(whole), done)
        except BaseException as error:
            error.add_note(f"damage {index}: {'; '.join(done)}")
            raise
        yield "; ".join(done), outcome
        shutil.rmtree(place)


def _go_on(place: Path, ended: list[bytes], log: list[dict], done: list[str]) -> str:
    """Run what was damaged; see that the result is right, or that nothing was touched."""
    before, said, state, refusal = snapshot(place), io.StringIO(), None, ""
    with contextlib.redirect_stderr(said):
        try:
            state = run(place)
        except Refusal as error:
            refusal = str(error)
    if state is None:
        has_begun = "steps/s" in said.getvalue()
        _see_that_nothing_is_lost(before, snapshot(place), refusal, has_begun)
        return f"refused: {refusal}"
    assert bits(state) == ended, said.getvalue()
    assert sorted(bits(restore(place).state)) == sorted(ended)
    kept = {line["step"]: line for line in lines(place)}
    may_differ = any("metrics.jsonl" in damage or "folder" in damage for damage in done)
    for line in log:
        assert kept.get(line["step"]) == line or may_differ, (line, kept.get(line["step"]))
        assert line["step"] in kept or "lacks" in said.getvalue(), said.getvalue()
    words = [text for text in said.getvalue().splitlines() if "steps/s" not in text]
    return f"went on: {' | '.join(words)}"


def _see_that_nothing_is_lost(before: dict, after: dict, refusal: str, has_begun: bool) -> None:
    assert "\n" not in refusal
    for name, data in before.items():
        written_anew = "running.json" in name or "events.out" in name
        written_anew |= has_begun and not name.startswith("samples")  # older checkpoints make room
        aside = re.sub(r"^(checkpoints/\d+)", r"\1.damaged", name)
        kept = data in [after.get(at, b"gone") for at in (name, aside)]
        assert kept or written_anew, (name, refusal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    loop.runtime = functools.cache(loop.runtime)
    refused = 0
    with tempfile.TemporaryDirectory() as scratch:
        for done, outcome in outcomes(arguments.count, Path(scratch), arguments.seed):
            print(f"{done}\n    {outcome}", flush=True)
            refused += outcome.startswith("refused")
    print(f"{arguments.count} damages: {refused} refused, the others went on")


if __name__ == "__main__":
    main()
