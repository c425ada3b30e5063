"""The experiments, found in their folder, and small versions of their configurations."""

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

import experiments
from experiments.harness import (
    captions,
    clip_features,
    clip_telling,
    encoders,
    features,
    note_features,
    pictures,
    telling,
)

ALWAYS = {"ring"}
"""The experiment that runs by default; the others are slow tests."""

TINY = {
    "num_frames": 4,
    "width": 4,
    "widths": (4, 4),
    "batch_size": 8,
    "num_seeds": 2,
    "num_samples": 2,
    "num_refinement_steps": 3,
    "num_refinement_samples": 2,
    "num_unseen": 20,
    "num_importance_samples": 50,
    "num_features": 4,
    "embedding_dim": 4,
    "encoder_widths": (4, 4, 4),
    "encoder_hidden": 4,
    "image_width": 2,
    "text_dim": 4,
    "text_width": 4,
    "word_dim": 4,
    "dim": 4,
    "critic_width": 2,
    "max_width": 4,
    "style_dim": 4,
    "mapping_depth": 1,
    "text_steps": 2,
    "stage_one_steps": 2,
    "steps": 2,
    "source_steps": 2,
    "generator_steps": 2,
    "steps_per_dispatch": 1,
    "evaluate_every": 1,
    "checkpoint_every": 1,
    "parallel": "none",
}


NOTES = {
    "frame_length": 64,
    "hop_length": 16,
    "num_frames": 8,
    "rate": 4_000,
    "lowest_pitch": 60,
    "highest_pitch": 62,
}
"""A fiftieth of a second, of three pitches."""


def experiments_found() -> dict[str, ModuleType]:
    """Import every file of the folder, and keep those that have named configurations."""
    names = sorted(path.stem for path in Path(experiments.__path__[0]).glob("*.py"))
    modules = {name: importlib.import_module(f"experiments.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "CONFIGS")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for every `experiment`, for all that are `running`, or for each `named_config`."""
    if "running" in metafunc.fixturenames:
        cases = [
            pytest.param(module, id=name, marks=() if name in ALWAYS else pytest.mark.slow)
            for name, module in experiments_found().items()
        ]
        metafunc.parametrize("running", cases)
    elif "named_config" in metafunc.fixturenames:
        cases = [
            pytest.param(module, config, id=f"{name}-{config}", marks=pytest.mark.slow)
            for name, module in experiments_found().items()
            for config in list(module.CONFIGS)[1:]
        ]
        metafunc.parametrize(("experiment", "named_config"), cases)
    elif "experiment" in metafunc.fixturenames:
        modules = experiments_found()
        metafunc.parametrize("experiment", modules.values(), ids=modules)


@pytest.fixture(scope="session")
def found() -> dict[str, ModuleType]:
    """The experiments that tests run over."""
    return experiments_found()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled programs are kept for as long as these tests run."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", autouse=True)
def _compiled_once(cache: Path) -> Iterator[None]:
    settings = {
        "jax_compilation_cache_dir": str(cache),
        "jax_persistent_cache_min_compile_time_secs": 0.1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Callable[..., Any]:
    """(experiment, name of a configuration) -> the same, as small as it can be.

    Its classifiers, which have hardly learned, are kept where those of whole ones are not looked
    for: both have the same names.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "small"))

    def shrink(experiment: ModuleType, name: str) -> Any:
        for constant in ("NUM_COMPARED", "NUM_SAMPLES", "NUM_AVERAGED", "NUM_POINTS", "NUM_SCORED"):
            if hasattr(experiment, constant):
                monkeypatch.setattr(experiment, constant, 100)
        monkeypatch.setattr(features, "NUM_EPOCHS", 1)
        monkeypatch.setattr(encoders, "NUM_FOUND", 20)
        monkeypatch.setattr(telling, "NUM_TOLD", 20)
        monkeypatch.setattr(clip_telling, "NUM_TOLD", 20)
        monkeypatch.setattr(clip_features, "NUM_PIXELS", 1)
        monkeypatch.setattr(clip_features, "MIN_STEPS", 1)
        monkeypatch.setattr(note_features, "NUM_STEPS", 1)
        monkeypatch.setattr(note_features, "NUM_JUDGED", 24)
        monkeypatch.setattr(captions, "NUM_DRAWN", {"train": 300, "test": 20})
        monkeypatch.setattr(pictures, "NUM_MEASURED", 20)
        config = experiment.CONFIGS[name]
        if hasattr(config, "num_shapes"):
            config = dataclasses.replace(config, image_size=32)
        if hasattr(config, "num_frames") and hasattr(config, "image_size"):
            config = dataclasses.replace(config, image_size=16)
        fields = {field.name for field in dataclasses.fields(config)}
        tiny = TINY | NOTES if "hop_length" in fields else TINY
        return dataclasses.replace(
            config, **{field: value for field, value in tiny.items() if field in fields}
        )

    return shrink
