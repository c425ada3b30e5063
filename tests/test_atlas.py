"""The atlas of the lectures: all that it names is there, and is counted."""

import ast
import importlib
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from gan_jax import systems

ROOT = Path(__file__).parent.parent
ATLAS = ROOT / "notebooks/ATLAS.md"
SECTIONS = {part.partition("\n")[0]: part for part in ATLAS.read_text().split("\n## ")[1:]}
COLUMNS = ["statement", "function", "test", "picture"]
TEST = re.compile(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)")
LINK = re.compile(r"\]\(([^)]+)\)")
NOTEBOOK = re.compile(r"\[(\d\d)\]\(([\w.]+\.ipynb)\)")
FILE = re.compile(r"\[(\w+\.png)\]\((\.\./experiments/pictures/\1)\)")
COMMAND = re.compile(r"`python -m experiments\.(\w+)(?: (\w[\w-]*))?`")
OUT_OF_REACH = "[out of reach](#out-of-reach)"
NO_SYSTEMS = {"Bound", "Gaussian", "Round", "interpolated", "lazy_adam"}
"""What is public beside systems, but for modules: types, a term, an optimiser."""


def rows_of(section):
    """The cells of its table, by column; a bar inside of one is escaped."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert cells[0] == COLUMNS, section[:80]
    for row in cells:
        assert len(row) == len(COLUMNS), row
    return [dict(zip(COLUMNS, row, strict=True)) for row in cells[2:]]


LECTURES = {
    title.partition(":")[0]: section for title, section in SECTIONS.items() if "\n|" in section
}
ROWS = {lecture: rows_of(section) for lecture, section in LECTURES.items()}
every_lecture = pytest.mark.parametrize("lecture", LECTURES)


def resolved(name):
    """What a dotted name stands for; a part that is no attribute is a module to be imported."""
    path, *parts = name.split(".")
    found = importlib.import_module(path)
    for part in parts:
        path = f"{path}.{part}"
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(path)
    return found


@cache
def parsed(file):
    return ast.parse((ROOT / file).read_text())


def functions_of(file):
    return {node.name for node in parsed(file).body if isinstance(node, ast.FunctionDef)}


def is_of_an_experiment(name):
    """Whether there is such a file, and such a name in it: to import them all takes seconds."""
    _, module, *names = name.split(".")
    nodes = parsed(f"experiments/{module}.py").body
    targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    bound = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return set(names) <= bound | {target.id for target in targets if isinstance(target, ast.Name)}


def is_run(module, config):
    """Whether the file of an experiment has a command, and such a configuration."""
    file = f"experiments/{module}.py"
    words = {node.value for node in ast.walk(parsed(file)) if isinstance(node, ast.Constant)}
    return "command.main(" in (ROOT / file).read_text() and (not config or config in words)


@cache
def has_a_picture(file):
    cells = json.loads((ATLAS.parent / file).read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return any("image/png" in output.get("data", {}) for output in outputs)


def test_there_are_five_lectures():
    assert list(LECTURES) == ["Nguyen", "Kim", "Lai", "Khalooei", "Min"]
    assert sum(map(len, ROWS.values())) >= 150


@every_lecture
def test_every_function_can_be_imported(lecture):
    for row in ROWS[lecture]:
        names = re.findall(r"`([^`]+)`", row["function"])
        assert row["function"] == ", ".join(f"`{name}`" for name in names), row
        assert names or row["test"] == OUT_OF_REACH, row
        for name in names:
            assert is_of_an_experiment(name) if name.startswith("experiments.") else resolved(name)


@every_lecture
def test_every_test_is_in_its_file(lecture):
    for row in ROWS[lecture]:
        tests = TEST.findall(row["test"])
        assert len(tests) == row["test"].count("[test_"), row
        for name, file in tests:
            assert name in functions_of(file), (name, file)
        assert tests or row["test"] == OUT_OF_REACH or row["test"].startswith("no test: "), row


@every_lecture
def test_every_picture_is_drawn(lecture):
    for row in ROWS[lecture]:
        pictures = row["picture"].split(", ") if row["picture"] else []
        for picture in pictures:
            if notebook := NOTEBOOK.fullmatch(picture):
                number, file = notebook.groups()
                assert file.startswith(number), picture
                assert has_a_picture(file), picture
            elif drawn := FILE.fullmatch(picture):
                assert (ATLAS.parent / drawn[2]).is_file(), picture
            else:
                command = COMMAND.fullmatch(picture)
                assert command, picture
                assert is_run(*command.groups()), picture


@every_lecture
def test_rows_are_counted(lecture):
    rows = ROWS[lecture]
    tested = [row for row in rows if TEST.search(row["test"])]
    num_in_part = sum("in part" in row["test"] for row in tested)
    num_pictures = sum(bool(row["picture"]) for row in rows)
    counted = (
        f"Of {len(rows)} rows {len(tested)} have a test, {num_in_part} of them in part, and "
        f"{num_pictures} have a picture."
    )
    assert counted in LECTURES[lecture]


def test_every_link_leads_somewhere():
    anchors = {"#" + re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in SECTIONS}
    for link in LINK.findall(ATLAS.read_text()):
        assert link in anchors or (ATLAS.parent / link).is_file(), link


def tree():
    """The systems of each of its branches, by the branch's name."""
    *_, branches = SECTIONS["The tree of unsupervised learning"].partition("\n- ")
    branches, _, _ = branches.partition("\n\n")
    named = (branch.partition("\n") for branch in branches.split("\n- "))
    return {name: re.findall(r"`(\w+)`", below) for name, _, below in named}


def test_every_system_stands_in_the_tree():
    modules = {name for name in systems.__all__ if isinstance(getattr(systems, name), ModuleType)}
    found = [name for branch in tree().values() for name in branch]
    assert sorted(found) == sorted(set(systems.__all__) - modules - NO_SYSTEMS)


def test_densities_are_bounded_where_the_tree_says_so():
    """By importance weights; but for SVI, which refines the bound of a VAE."""
    for branch, names in tree().items():
        for name in names:
            system = getattr(systems, name)
            if isinstance(system, type):
                is_explicit = branch == "explicit density" and name != "SVI"
                assert hasattr(system, "log_weights") == is_explicit, name
