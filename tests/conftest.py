"""One strict setting for every test.

Several CPU devices, no silent broadcasting, warnings as errors (in pyproject.toml), and the shapes
and types in gan_jax's annotations checked at every call.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401 (the hook looks it up by name)

jax.config.update("jax_num_cpu_devices", 4)
# Programs of several CPU devices that run at once can wait for each other's threads for ever: a
# sum over devices holds the thread it is called on. So one program at a time, and threads enough.
jax.config.update("jax_cpu_enable_async_dispatch", False)
NUM_THREADS = "16"
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_include_full_tracebacks_in_locations", False)  # a twentieth of the time
install_import_hook("gan_jax", "tests.typechecker.check_functions")
# Tracing makes many small objects that live on: to look through them often is another twentieth.
gc.set_threshold(100_000, 50, 50)
QUICK_FLAGS = ["--xla_cpu_parallel_codegen_split_count=1"]
if jax.__version_info__ < (0, 11):  # with it, a quarter of compiling; later versions refuse it
    QUICK_FLAGS.append("--xla_cpu_use_fusion_emitters=false")


def _with_those_given(*flags: str) -> str:
    """Flags of XLA before those of the environment, as the last one of a name holds."""
    return " ".join([*flags, os.environ.get("XLA_FLAGS", "")])


def pytest_configure(config: pytest.Config) -> None:
    """Compile without optimisation what runs for a moment, and slow tests with little.

    More than a third of their time is compiling, and networks this small train as fast.
    """
    flags = [*QUICK_FLAGS]
    if "not slow" in config.option.markexpr:
        jax.config.update("jax_disable_most_optimizations", True)
    else:
        flags.append("--xla_backend_optimization_level=1")
    # Devices that wait for each other give up after 40 s, which a crowded machine can take.
    patience = "--xla_cpu_collective_call_terminate_timeout_seconds=600"
    os.environ["XLA_FLAGS"] = _with_those_given(patience)
    with pytest.MonkeyPatch.context() as patch:  # what tests start compiles as users' programs do
        patch.setenv("NPROC", NUM_THREADS)
        patch.setenv("XLA_FLAGS", _with_those_given(*flags))
        jax.devices()  # starts the backend, which reads these


@contextmanager
def _compiling_quickly() -> Iterator[None]:
    """Without optimisation, here and in what is started as a process."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        patch.setenv("XLA_FLAGS", _with_those_given(*QUICK_FLAGS))
        yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def compiled_quickly() -> Iterator[None]:
    """For slow tests, and what they start, that run for a moment: most of their time is compiling.

    From the first test that asks on, to the end of its file.
    """
    with _compiling_quickly():
        yield


@pytest.fixture
def one_compiled_quickly() -> Iterator[None]:
    """The same for one test among others that train long."""
    with _compiling_quickly():
        yield


@pytest.fixture(scope="session")
def real() -> Path:
    """Folders of real pictures and notes, where there are any."""
    if "GAN_JAX_FOLDERS" not in os.environ:
        pytest.skip("GAN_JAX_FOLDERS names no folders")
    return Path(os.environ["GAN_JAX_FOLDERS"])
