"""Every notebook runs from top to bottom, and is committed with what it shows."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import experiments

NOTEBOOKS = sorted((Path(experiments.__path__[0]).parent / "notebooks").glob("*.ipynb"))


def printed(notebook):
    return [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_with_its_pictures(path):
    assert path.stat().st_size < 500_000
    notebook = nbformat.read(path, 4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of Jupyter's own packages
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(path.parent.parent))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.delitem(os.environ, "PYTHONWARNINGS", raising=False)
    committed, notebook = (nbformat.read(path, 4) for _ in range(2))
    NotebookClient(notebook, timeout=1200, kernel_name="python3", coalesce_streams=True).execute()
    assert len(printed(notebook)) == len(printed(committed))


def test_there_are_notebooks():
    assert {path.stem[:2] for path in NOTEBOOKS} >= {f"{number:02d}" for number in range(1, 17)}
