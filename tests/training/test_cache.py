"""A second start compiles nothing, and no choice of the user is overruled."""

import os
import subprocess
import sys

import jax
import pytest

from gan_jax.training.cache import MIN_COMPILE_SECONDS, enable_compilation_cache

PROGRAM = """
import jax
import jax.numpy as jnp

from gan_jax.training.cache import enable_compilation_cache

enable_compilation_cache()
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event))


@jax.jit
def slow_to_compile(x):
    for i in range(40):
        x = jnp.sort(jnp.tanh(x @ x.T + i), axis=-1)
    return x.sum()


slow_to_compile(jnp.ones((16, 16)))
print(hits.count("/jax/compilation_cache/cache_hits"))
"""


def environment(home):
    kept = {name: value for name, value in os.environ.items() if "CACHE" not in name}
    return kept | {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(home)}


def start(home):
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


@pytest.mark.slow
def test_a_second_start_compiles_nothing(tmp_path):
    assert start(tmp_path) == 0
    assert start(tmp_path) == 1
    assert list((tmp_path / "gan_jax").glob("jit_slow_to_compile-*"))


@pytest.fixture
def updates(monkeypatch):
    """What is changed in JAX's configuration, where nothing is chosen beforehand."""
    updates = {}
    monkeypatch.setattr(jax.config, "update", updates.__setitem__)
    choose(monkeypatch, None)
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    return updates


def choose(monkeypatch, directory):
    monkeypatch.setattr(type(jax.config), "jax_compilation_cache_dir", directory, raising=False)


def test_programs_are_kept_in_the_users_cache(tmp_path, updates, monkeypatch):
    threshold = {"jax_persistent_cache_min_compile_time_secs": MIN_COMPILE_SECONDS}
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for xdg, folder in [("", "home/.cache"), (str(tmp_path / "xdg"), "xdg")]:
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
        enable_compilation_cache()
        directory = tmp_path / folder / "gan_jax"
        assert updates == {**threshold, "jax_compilation_cache_dir": str(directory)}
        assert directory.is_dir()


def test_what_the_environment_sets_is_left_alone(tmp_path, updates, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "7")
    choose(monkeypatch, "/chosen")
    enable_compilation_cache()
    assert updates == {}
    assert not (tmp_path / "gan_jax").exists()


def test_a_directory_that_cannot_be_written_is_no_error(tmp_path, updates, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    enable_compilation_cache()
    assert "jax_compilation_cache_dir" not in updates
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    enable_compilation_cache()
    assert "jax_compilation_cache_dir" not in updates
