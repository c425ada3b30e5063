"""A few random damages by default, more among the slow tests; any number by the command."""

import pytest

from gan_jax.training import lock
from tests.training.random_damages import outcomes

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.mark.parametrize("count", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_a_damaged_run_ends_in_the_same_bits_or_is_refused(tmp_path, monkeypatch, count):
    monkeypatch.setattr(lock, "WATCHED_FOR", 0.2)
    assert len(list(outcomes(count, tmp_path))) == count
