"""README's example does what it says."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {}
    exec(example, names)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [step for step, _ in printed] == ["1", "2", "3"]
    assert names["points"].shape == (1_000, 2)


def test_it_is_at_most_two_screens():
    assert len(README.read_text().splitlines()) <= 120
