"""Which room may know which, and what the core may not import."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gan_jax"
ROOMS = ("losses", "signals", "nets", "games", "systems", "data", "metrics", "plots", "training")
MAY_IMPORT = {
    "losses": set(),
    "signals": set(),
    "nets": {"signals"},
    "games": set(),
    "systems": {"losses", "signals", "nets", "games"},
    "training": {"games"},
    "data": {"signals"},
    "plots": {"signals"},
    "metrics": {"losses", "signals"},
}
CORE = ("losses", "signals", "nets", "games", "systems")
OUTSIDE_THE_CORE = {
    "experiments",
    "grain",
    "matplotlib",
    "mlxtend",
    "orbax",
    "tensorboardX",
    "tensorflow",
    "tensorflow_datasets",
    "tqdm",
    "tyro",
}


def imports(path):
    """The dotted names that a file imports, at its top or inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(room):
    for path in (PACKAGE / room).glob("**/*.py"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "gan_jax" and parts[1] not in ("typing", "errors", "checks"):
                yield parts[1], path


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_it_may_know(room):
    found = {(other, path.name) for other, path in rooms_imported(room) if other != room}
    assert {other for other, _ in found} <= MAY_IMPORT[room], found


def test_the_walk_sees_imports(tmp_path):
    assert {other for other, _ in rooms_imported("systems")} >= {"losses", "games"}
    path = tmp_path / "file.py"
    path.write_text(
        "from gan_jax import nets\nimport gan_jax.losses as l\n"
        "def f():\n    from gan_jax.games.core import Game\n"
    )
    assert set(imports(path)) == {"gan_jax.nets", "gan_jax.losses", "gan_jax.games.core.Game"}


@pytest.mark.parametrize("file", ["typing.py", "errors.py"])
def test_types_and_refusals_know_no_room(file):
    assert not [name for name in imports(PACKAGE / file) if name.startswith("gan_jax")]


def test_every_room_is_listed():
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == set(
        ROOMS
    )


@pytest.mark.parametrize("room", CORE)
def test_the_core_imports_nothing_of_the_extras(room):
    for path in (PACKAGE / room).glob("**/*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & OUTSIDE_THE_CORE, path


@pytest.mark.parametrize(
    ("room", "package"),
    [
        ("losses", "flax"),
        ("losses", "optax"),
        ("signals", "flax"),
        ("signals", "optax"),
        ("nets", "optax"),
        ("plots", "matplotlib.pyplot"),  # needs a display, and keeps state
    ],
)
def test_a_room_does_without(room, package):
    for path in (PACKAGE / room).glob("**/*.py"):
        assert not [name for name in imports(path) if f"{name}.".startswith(f"{package}.")], path


def test_nothing_imports_the_experiments():
    for path in PACKAGE.glob("**/*.py"):
        assert "experiments" not in {name.split(".")[0] for name in imports(path)}, path


def test_importing_the_core_loads_nothing_of_the_extras():
    program = (
        "import sys, gan_jax.losses, gan_jax.signals, gan_jax.nets, gan_jax.games\n"
        "import gan_jax.systems, gan_jax.data\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert result.returncode == 0, result.stderr
    assert {"gan_jax", "flax"} <= set(result.stdout.split())
    assert not set(result.stdout.split()) & OUTSIDE_THE_CORE


@pytest.mark.parametrize("room", ROOMS)
def test_all_that_is_public_is_documented(room):
    module = importlib.import_module(f"gan_jax.{room}")
    assert module.__doc__
    # NamedTuple and dataclass write "Name(fields)" where a class says nothing of itself.
    undocumented = [
        name
        for name in module.__all__
        if callable(getattr(module, name))
        and (getattr(module, name).__doc__ or f"{name}(").startswith(f"{name}(")
    ]
    assert not undocumented
