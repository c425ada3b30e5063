"""Whatever is typed, a command ends with a result or in a sentence."""

import importlib
import sys

import pytest

from experiments.benchmarks import timing
from experiments.harness import command
from gan_jax import training
from tests.experiments import random_commands

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def test_what_is_typed_is_parsed_or_refused_in_words(monkeypatch, capfd):
    monkeypatch.setattr(training, "enable_compilation_cache", lambda: None)
    statuses = set()
    for line in random_commands.drawn(15, seed=1):
        module = importlib.import_module(f"experiments.{line.name}")
        monkeypatch.setattr(sys, "argv", ["file.py", *line.arguments])
        status, said = 0, ""
        try:
            if hasattr(module, "CONFIGS"):
                command.main(line.name, lambda *_, **__: "done", module.CONFIGS, "")
            else:
                name = line.name.removeprefix("benchmarks.")
                timing.command(name, lambda _: print("done"), module.Config, "")
        except SystemExit as ending:
            said = ending.code if isinstance(ending.code, str) else ""
            status = 1 if said else ending.code
        output, errors = capfd.readouterr()
        fault = random_commands.ended(line, status, output, errors + said)
        assert not fault, f"{fault}: {line}\n{errors}{said}"
        statuses.add(status)
    assert len(statuses) > 1


@pytest.mark.slow
def test_random_commands_end_with_a_result_or_in_a_sentence(tmp_path, cache, capsys):
    bad = random_commands.main(12, seed=0, cache=cache)
    assert not bad, capsys.readouterr().out
