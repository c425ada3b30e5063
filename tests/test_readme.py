"""What the READMEs show does what they say."""

import re
from pathlib import Path

import jax
import pytest

from experiments import dcgan
from experiments.harness.runs import RunAgain, opened
from gan_jax import training

pytestmark = pytest.mark.usefixtures("compiled_quickly")

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def examples(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.slow
def test_the_example_runs(capsys):
    example, _ = examples(README)
    names = {}
    exec(example, names)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [step for step, _ in printed] == ["1", "2", "3"]
    assert names["points"].shape == (1_000, 2)


@pytest.mark.slow
def test_what_a_run_has_learnt_is_read_from_its_directory(tmp_path, monkeypatch):
    _, example = examples(README)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dcgan, "NUM_COMPARED", 10)
    config = dcgan.Config(steps=1, width=2, batch_size=4, steps_per_dispatch=1)
    dcgan.run(config, Path("runs/dcgan"))
    names = {"training": training, "dcgan": dcgan, "key": jax.random.key(0)}
    exec(example, names)
    assert names["images"].shape == (16, 28, 28, 1)


@pytest.mark.slow
def test_a_run_of_images_is_opened_again_as_experiments_say(tmp_path, monkeypatch):
    (example,) = [text for text in examples(ROOT / "experiments/README.md") if "opened(" in text]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dcgan, "NUM_COMPARED", 10)
    dcgan.run(
        dcgan.Config(steps=1, width=2, batch_size=4, steps_per_dispatch=1), Path("runs/dcgan")
    )
    names = {"opened": opened, "RunAgain": RunAgain, "key": jax.random.key(0)}
    exec(example, names)
    assert names["images"].shape == names["at_given_latents"].shape == (16, 28, 28, 1)


def test_the_example_of_the_games_prints_one_rate_twice(capsys):
    path = ROOT / "gan_jax/games/README.md"
    (example,) = examples(path)
    exec(example, {})
    computed, exact = map(float, capsys.readouterr().out.split())
    assert abs(computed - exact) < 1e-6
    assert f"| extragradient | {exact:.4f} |" in path.read_text()


def test_it_is_at_most_two_screens():
    assert len(README.read_text().splitlines()) <= 120
