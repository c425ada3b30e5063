"""The command line: flags, mistakes in one line, and a run that no mistake touches."""

import dataclasses
import importlib.util
import io
import json
import os
import shlex
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from experiments import dcgan, gmmn, ring, wgan
from experiments.harness import command
from gan_jax import training
from gan_jax.data import DatasetUnavailable
from gan_jax.errors import MissingPackage, Refusal, require_extra
from gan_jax.training import open_run

SMALL = "--width 4 --batch-size 8 --steps 4 --steps-per-dispatch 1 --evaluate-every 2 "
SMALL += "--checkpoint-every 2 --parallel none"


def name_of(experiment):
    return experiment.__name__.rpartition(".")[2]


@pytest.fixture
def call(monkeypatch, capfd):
    """(experiment, flags) -> exit status, standard output, standard error."""
    monkeypatch.setattr(training, "enable_compilation_cache", lambda: None)
    monkeypatch.setenv("COLUMNS", "100")

    def run(experiment, flags, *, function=None):
        monkeypatch.setattr(sys, "argv", ["file.py", *shlex.split(flags)])
        capfd.readouterr()
        try:
            function = function or experiment.run
            command.main(name_of(experiment), function, experiment.CONFIGS, experiment.__doc__)
            status = 0
        except SystemExit as error:
            status = error.code
            if isinstance(status, str):  # as the interpreter does
                print(status, file=sys.stderr)
                status = 1
        return status, *capfd.readouterr()

    return run


def flags_of(*classes):
    return [
        f"--{field.name.replace('_', '-')}" for cls in classes for field in dataclasses.fields(cls)
    ]


def test_help_names_every_flag_and_says_what_it_does(experiment, call):
    status, output, _ = call(experiment, "--help")
    assert status == 0
    assert f"python -m {experiment.__name__} [{'|'.join(experiment.CONFIGS)}]" in output
    words = output.replace(",", "").split()
    for flag in flags_of(experiment.Config, command.Place):
        assert flag in words
    assert experiment.__doc__.split("\n")[0].split("    ")[0] in output
    assert "How many processes there are." in output


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--evaluate-evry 8", "--evaluate-every"),
        ("--stepss 5", "--steps"),
        ("--see 3", "--seed"),
    ],
)
def test_a_mistyped_flag_suggests_the_right_one(experiment, call, tmp_path, typed, meant):
    status, _, errors = call(experiment, f"--workdir {tmp_path / 'run'} {typed}")
    assert status == 2
    assert "Perhaps you meant" in errors
    assert meant in errors.partition("Perhaps you meant")[2].split()
    assert not (tmp_path / "run").exists()


def test_a_first_word_that_is_no_flag_names_the_configuration(call, monkeypatch):
    configs = []

    def run(config, workdir, *, fresh):
        configs.append((config, workdir, fresh))
        return "done"

    assert call(ring, "grid --seed 3 --fresh", function=run) == (0, "done\n", "")
    assert call(ring, "--seed 4 --workdir here", function=run)[0] == 0
    assert configs == [
        (dataclasses.replace(ring.CONFIGS["grid"], seed=3), Path("runs/ring"), True),
        (dataclasses.replace(ring.CONFIGS["ring"], seed=4), Path("here"), False),
    ]
    status, _, errors = call(ring, "grdi", function=run)
    assert status == 2
    assert "grdi" in errors
    assert "[ring|grid]" in errors


def test_one_process_says_the_result_for_all(call, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    assert call(ring, "", function=lambda config, workdir, fresh: "done") == (0, "", "")


def snapshot(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def old_run(tmp_path):
    """A folder with what a run wrote, and with a file that it did not."""
    workdir = tmp_path / "run"
    open_run(workdir, {"seed": 5}, experiment="ring", fresh=False)
    (workdir / "checkpoints" / "10").mkdir(parents=True)
    for name in ("checkpoints/10/data", "metrics.jsonl", "samples/000010.png", "notes.txt"):
        (workdir / name).write_text(name)
    return workdir


BAD = [
    (ring, "--steps 0", "--steps is 0; it must be an integer, at least 1."),
    (ring, "--batch-size 0", "--batch-size is 0; it must be an integer, at least 1."),
    (ring, "--batch-size -8", "--batch-size is -8; it must be an integer, at least 1."),
    (ring, "--latent-dim 0", "--latent-dim is 0; it must be an integer, at least 1."),
    (ring, "--width 0", "--width is 0; it must be an integer, at least 1."),
    (ring, "--num-modes 0", "--num-modes is 0; it must be an integer, at least 1."),
    (ring, "--num-discriminator-steps 0", "--num-discriminator-steps is 0"),
    (
        ring,
        "--steps-per-dispatch 0",
        "--steps-per-dispatch is 0; it must be an integer, at least 1.",
    ),
    (ring, "--learning-rate -1", "--learning-rate is -1.0; it must be positive and finite."),
    (ring, "--learning-rate nan", "--learning-rate is nan; it must be positive and finite."),
    (ring, "--learning-rate inf", "--learning-rate is inf; it must be positive and finite."),
    (ring, "--average-decay 1", "--average-decay is 1.0; it must be in [0, 1)."),
    (ring, "--update simultaneous --num-discriminator-steps 2", "both players move once"),
    (ring, "--evaluate-every 700", "evaluations is 700; it must be a multiple of"),
    (ring, "--checkpoint-every 700", "checkpoint_every is 700; it must be a multiple of"),
    (ring, "--mixture grid --num-modes 8", "a grid needs a square number"),
    (ring, "--seed -1", "--seed is -1; it must be between 0 and 2^32 - 1."),
    (ring, "--seed 4294967296", "--seed is 4294967296; it must be between 0 and 2^32 - 1."),
    (ring, "--batch-size 100004", "A step takes 100004 examples, but the dataset has 100000"),
    (ring, "--batch-size 18", "batch_size=18 does not divide over 4 devices"),
    (ring, "--batch-size 18 --parallel pmap", "does not divide over 4 devices"),
    (wgan, "--penalty-weight -1", "--penalty-weight is -1.0; it must be finite, and not below 0."),
    (gmmn, "--batch-size 5000", "A step takes 5000 examples, but the dataset has 4500"),
    (ring, "--num-processes 2", "coordinator_address and process_id must be given as well"),
    (ring, "--num-modes 2501", "--num-modes is 2501; it must be at most 2500, as the samples."),
    (ring, "--width 1048577", "--width is 1048577; it must be at most 2^20."),
    (ring, "--steps 2147483648", "--steps is 2147483648; it must be below 2^31."),
    (gmmn, "--dataset ring", "--dataset ring has no images: choose one that has."),
    (dcgan, "--dataset ''", "Unknown dataset ''"),
    (
        ring,
        "--coordinator-address localhost --num-processes 1 --process-id 0",
        "coordinator_address is 'localhost'",
    ),
    (dcgan, "--dataset nmist", "Unknown dataset 'nmist'"),
    (
        dcgan,
        "--batch-size 2000 --num-discriminator-steps 3",
        "A step takes 6000 examples, but",
    ),
]


@pytest.mark.parametrize(
    ("module", "flags", "words"),
    BAD,
    ids=[f"{name_of(module)} {flags}" for module, flags, _ in BAD],
)
def test_a_bad_value_is_one_line_and_touches_no_run(call, old_run, tmp_path, module, flags, words):
    before = snapshot(old_run)
    for place in (f"--fresh --workdir {old_run}", f"--workdir {tmp_path / 'new'}"):
        status, output, errors = call(module, f"{flags} {place}")
        assert status == 1
        assert output == ""
        assert errors.startswith(f"{name_of(module)}: ")
        assert errors.count("\n") == 1
        assert words in errors
    assert snapshot(old_run) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "flags", ["--loss hing", "--update both", "--steps many", "--parallel gpu"]
)
def test_a_value_of_the_wrong_kind_is_refused_by_the_parser(call, old_run, flags):
    before = snapshot(old_run)
    status, _, errors = call(ring, f"{flags} --fresh --workdir {old_run}")
    assert status == 2
    assert flags.split()[0] in errors
    assert "Traceback" not in errors
    assert snapshot(old_run) == before


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="would download")
def test_a_dataset_that_is_not_at_hand_touches_no_run(call, old_run, tmp_path, monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    before = snapshot(old_run)
    status, _, errors = call(dcgan, f"paper --fresh --workdir {old_run}")
    assert status == 1
    assert errors.startswith("dcgan: Dataset 'mnist' is not prepared in")
    assert errors.count("\n") == 1
    assert snapshot(old_run) == before


@pytest.mark.slow
def test_another_run_is_refused_field_by_field_until_fresh_deletes_it(call, old_run):
    before = snapshot(old_run)
    where = f"{SMALL} --workdir {old_run}"
    status, _, errors = call(ring, where)
    assert status == 1
    assert errors.startswith(f"ring: {old_run} holds a run with another configuration (seed was 5")
    assert "seed was 5 and is 0;" in errors
    assert "update was absent" in errors
    assert errors.count("\n") == 1
    assert snapshot(old_run) == before
    status, output, _ = call(ring, f"{where} --fresh")
    assert status == 0
    assert "of 8 modes" in output
    assert json.loads((old_run / "config.json").read_text())["config"]["seed"] == 0
    assert {path.name for path in (old_run / "checkpoints").iterdir()} == {"2", "4"}
    assert (old_run / "notes.txt").read_text() == "notes.txt"
    status, output, errors = call(ring, where)
    assert status == 0
    assert "of 8 modes" in output
    assert "already at step 4" in errors


@pytest.mark.parametrize("workdir", ["", "gs://bucket/run", "https://host/run", "w\udcff"])
def test_a_directory_that_nothing_can_be_written_to_is_one_line(call, workdir):
    status, _, errors = call(ring, shlex.join(["--workdir", workdir]))
    assert status == 1
    assert errors.startswith("ring: --workdir is '")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 99 GiB"),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 99 bytes"),
        jax.errors.JaxRuntimeError("INTERNAL: Error dispatching computation: Out of memory"),
    ],
)
def test_where_memory_is_short_the_flags_to_lower_are_named(call, error):
    def run(config, workdir, *, fresh):
        raise error

    status, _, errors = call(ring, "", function=run)
    assert status == 1
    assert errors == (
        "ring: there is not memory enough: lower one of --batch-size, --num-modes, --width, "
        "--latent-dim; what was saved before is kept, see runs/ring\n"
    )


def test_a_failure_of_jax_that_is_no_lack_of_memory_keeps_its_traceback(call):
    def run(config, workdir, *, fresh):
        raise jax.errors.JaxRuntimeError("INTERNAL: a bug")

    with pytest.raises(jax.errors.JaxRuntimeError, match="a bug"):
        call(ring, "", function=run)


def test_a_run_that_is_interrupted_where_nothing_can_be_saved_says_what_is_kept(call, monkeypatch):
    monkeypatch.setattr(os, "_exit", sys.exit)

    def run(config, workdir, *, fresh):
        raise KeyboardInterrupt

    assert call(ring, "", function=run) == (
        130,
        "",
        "ring: stopped; what was saved before is kept, see runs/ring\n",
    )


def test_streams_that_are_closed_are_open_to_nothing(call, monkeypatch):
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    opened = []

    def run(config, workdir, *, fresh):
        opened.extend([sys.stdin, sys.stdout, sys.stderr])
        print("something", file=sys.stderr)
        return "done"

    assert call(ring, "", function=run) == (0, "", "")
    for stream in opened:
        stream.close()
    assert len(opened) == 3


def test_a_letter_that_the_terminal_has_not_is_escaped(call, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    call(ring, "", function=lambda config, workdir, fresh: "θ")
    assert written.getvalue() == b"\\u03b8\n"


def of_one_line(body):
    """A run that does this."""

    def run(config, workdir, *, fresh):
        exec(body, {"jnp": jnp, "Refusal": Refusal, "require_extra": require_extra})

    return run


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("int('seven')", ValueError),
        ("jnp.broadcast_to(jnp.ones(3), (4,))", ValueError),
        ("{}['loss']", KeyError),
        ("raise ValueError('of a package')", ValueError),
        ("import nowhere.to_be_found", ModuleNotFoundError),
        ("open('/')", None),
        ("require_extra('nowhere')", None),
        ("raise Refusal('give another')", None),
    ],
)
def test_a_bug_keeps_its_traceback_and_a_mistake_gets_one_line(call, body, error):
    if error is not None:
        with pytest.raises(error):
            call(ring, "", function=of_one_line(body))
        return
    status, _, errors = call(ring, "", function=of_one_line(body))
    assert status == 1
    assert errors.startswith("ring: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("error", [*vars(training).values(), DatasetUnavailable, MissingPackage])
def test_every_error_of_this_library_is_a_refusal(error):
    if isinstance(error, type) and issubclass(error, Exception):
        assert issubclass(error, Refusal)
