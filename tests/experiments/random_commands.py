"""Random command lines.    python -m tests.experiments.random_commands --count 200

Draws an experiment or a benchmark and flags whose values are good, odd, mistyped or out of range,
and runs each line for a few steps of tiny networks, in a directory of its own. A line must end with
a result, or in a sentence: no traceback, no signal, no waiting for ever.
"""

import argparse
import dataclasses
import importlib
import os
import random
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from experiments.harness.bounds import BELOW_2_31
from tests.experiments.conftest import TINY, experiments_found

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 300
BENCHMARKS = ("population", "speed", "vae")  # methods compiles for minutes
SHORT = {"num_steps": 1, "repeats": 1, "num_alone": 1, "num_unrolled_steps": 1, "network": "mlp"}

WHOLE = ["1", "2", "3", "8", "0", "-1", "1.5", "many", "", "nan", "0x10", "1e3", "١", "1_0"]
TOO_LARGE = [str(2**31), str(2**63), str(10**30), "9" * 5_000]
REAL = ["0.5", "1e-3", "1", "0", "-1", "nan", "inf", "-inf", "1e300", "1e-300", "1e999", "1,5", ""]
WORDS = ["digits", "ring", "mnist", "nosuch", "", "../x", "mnist/3.0.1", "DIGITS", "a b", "ü", "*"]
SEQUENCES = ["4", "4 4", "4 4 4", "0", "x", "", "4 -1", "1e3"]
OF_PLACE = {
    "workdir": [
        "here",
        "a/b",
        "a b",
        "ü",
        "",
        "gs://x",
        "file",
        "file/x",
        "x" * 300,
        ".",
        "/proc/x",
    ],
    "coordinator-address": ["localhost", "", "localhost:x", "localhost:99999", "a b:1"],
    "num-processes": ["0", "-1", "x", "", "2"],
    "process-id": ["-1", "5", "", "0"],
}
ODD = [
    ["--nosuch", "3"],
    ["grdi"],
    ["--"],
    ["-h"],
    ["--fresh"],
    ["--fresh", "--fresh"],
    ["ü"],
    [""],
]


class Line(NamedTuple):
    """What stands after `python -m experiments.`"""

    name: str
    arguments: list[str]

    def __str__(self) -> str:
        return shlex.join([self.name, *self.arguments])


def drawn(count: int, seed: int = 0) -> Iterator[Line]:
    """Give so many lines, the same for a seed."""
    chance = random.Random(seed)
    experiments = experiments_found()
    benchmarks = {
        f"benchmarks.{name}": importlib.import_module(f"experiments.benchmarks.{name}")
        for name in BENCHMARKS
    }
    for _ in range(count):
        of = experiments if chance.random() < 0.85 else benchmarks
        name = chance.choice(list(of))
        yield Line(name, _arguments(chance, of[name]))


def _arguments(chance: random.Random, module: Any) -> list[str]:
    is_experiment = hasattr(module, "CONFIGS")
    fields = {field.name: field for field in dataclasses.fields(module.Config)}
    small = {name: value for name, value in (SHORT | TINY).items() if name in fields}
    flags = {name: _words(value) for name, value in small.items()}
    for name in chance.sample(sorted(fields), min(len(fields), chance.choice([0, 1, 1, 2, 3]))):
        flags[name] = _value(chance, fields[name])
    arguments = [word for name, words in flags.items() for word in _flag(name, words)]
    if is_experiment and chance.random() < 0.2:
        arguments.insert(0, chance.choice(list(module.CONFIGS)))
    if is_experiment and chance.random() < 0.3:
        name = chance.choice(list(OF_PLACE))
        arguments += _flag(name, [chance.choice(OF_PLACE[name])])
    if chance.random() < 0.1:
        arguments += chance.choice(ODD)
    return arguments


def _flag(name: str, words: list[str]) -> list[str]:
    return [f"--{name.replace('_', '-')}", *words]


def _words(value: Any) -> list[str]:
    return [str(word) for word in (value if isinstance(value, tuple) else [value])]


def _value(chance: random.Random, field: dataclasses.Field) -> list[str]:
    hint, default = field.type, field.default
    if get_origin(hint) is Literal:
        choice = str(chance.choice(get_args(hint)))
        return [chance.choice([choice, choice, choice.upper(), f"{choice}x", ""])]
    if isinstance(default, bool):
        return []
    if isinstance(default, tuple):
        return chance.choice(SEQUENCES).split()
    if isinstance(default, str):
        return [chance.choice(WORDS)]
    if isinstance(default, float) or default is None:
        return [chance.choice(REAL)]
    sizes = [] if BELOW_2_31 in get_args(hint) else [str(2**20 + 1)]
    return [chance.choice([*WHOLE, *TOO_LARGE, *sizes])]


def ended(line: Line, status: int, output: str, errors: str) -> str:
    """What is wrong with the way in which a line ended; nothing where it is right."""
    if status not in (0, 1, 2):
        return f"status {status}"
    if "Traceback" in errors:
        return "a traceback"
    if status == 0 and not output.strip():
        return "no result"
    last = errors.strip().splitlines()[-1:] or [""]
    if status == 1 and not last[0].startswith(f"{line.name}: "):
        return "no sentence"
    return "" if status != 2 or errors.strip() else "nothing said"


def run(line: Line, scratch: Path, cache: Path) -> tuple[int, str, str]:
    """Run a line as a process in a new directory, with one file in it; 124: it took too long."""
    (scratch / "file").touch()
    environment: Mapping[str, str] = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
        "TFDS_DATA_DIR": str(scratch / "tfds"),
        "XDG_CACHE_HOME": str(cache),
    }
    command = [sys.executable, "-m", f"experiments.{line.name}", *line.arguments]
    try:
        done = subprocess.run(
            command,
            cwd=scratch,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return 124, "", "it took too long"
    return done.returncode, done.stdout, done.stderr


def main(count: int, seed: int, cache: Path) -> int:
    """Run the lines, print those that end badly, and how many ended how; give the number of bad."""
    ways, bad = Counter(), 0
    for line in drawn(count, seed):
        with tempfile.TemporaryDirectory() as scratch:
            status, output, errors = run(line, Path(scratch), cache)
        ways[status] += 1
        if fault := ended(line, status, output, errors):
            bad += 1
            print(f"{fault}: {str(line)[:1_000]}\n{errors[-1_500:]}\n", flush=True)
    print(f"{count} lines, {bad} bad; by status: {dict(sorted(ways.items()))}")
    return bad


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        sys.exit(1 if main(chosen.count, chosen.seed, Path(cache)) else 0)
