"""The examples in docstrings print what they say they do."""

import ast
import doctest
import io
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gan_jax"
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def examples_of(path):
    """Read the source: doctest's own finder passes over functions that the import hook wraps."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, DOCUMENTED):
            name, text = getattr(node, "name", path.stem), ast.get_docstring(node) or ""
            example = doctest.DocTestParser().get_doctest(text, {}, name, str(path), 0)
            if example.examples:
                yield example


EXAMPLES = {
    str(path.relative_to(PACKAGE)): examples
    for path in sorted(PACKAGE.rglob("*.py"))
    if (examples := list(examples_of(path)))
}


def slow_where_networks_play(files):
    slow = pytest.mark.slow
    return [pytest.param(f, marks=slow if f.startswith("systems/") else ()) for f in files]


@pytest.mark.parametrize("file", slow_where_networks_play(EXAMPLES))
def test_examples_print_what_they_say(file):
    for example in EXAMPLES[file]:
        report = io.StringIO()
        assert not doctest.DocTestRunner().run(example, out=report.write).failed, report.getvalue()


def test_there_are_examples_in_every_room_that_is_open_without_extras():
    assert sum(map(len, EXAMPLES.values())) >= 12
    rooms = {file.partition("/")[0] for file in EXAMPLES}
    assert rooms >= {"losses", "signals", "nets", "games", "systems", "data", "metrics"}
