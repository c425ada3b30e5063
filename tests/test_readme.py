"""What the READMEs show does what they say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


@pytest.mark.slow
def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {}
    exec(example, names)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [step for step, _ in printed] == ["1", "2", "3"]
    assert names["points"].shape == (1_000, 2)


def test_the_example_of_the_games_prints_one_rate_twice(capsys):
    text = (ROOT / "gan_jax/games/README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(example, {})
    found, exact = map(float, capsys.readouterr().out.split())
    assert abs(found - exact) < 1e-6
    assert f"| extragradient | {exact:.4f} |" in text


def test_it_is_at_most_two_screens():
    assert len(README.read_text().splitlines()) <= 120
