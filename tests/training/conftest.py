"""What the tests of whole runs share."""

import functools

import pytest

from gan_jax.training import loop
from gan_jax.training.runtime import runtime

_compiled_once = functools.cache(runtime)


@pytest.fixture
def compiled_once(monkeypatch):
    """Compile one program for all runs of the same step on the same feed."""
    monkeypatch.setattr(loop, "runtime", _compiled_once)
