"""Bounds are declared on fields, and checked wherever they stand."""

from dataclasses import dataclass, replace

import pytest

from experiments.harness.bounds import (
    Count,
    CountOr0,
    Decay,
    Rate,
    Seed,
    Several,
    Share,
    Weight,
    check_bounds,
)


@dataclass(frozen=True)
class Config:
    num_things: Count = 1
    num_others: CountOr0 = 0
    num_seeds: Several = 2
    rate: Rate | None = None
    weight: Weight = 0.0
    share: Share = 1.0
    decay: Decay = 0.0
    seed: Seed = 0
    widths: tuple[Count, ...] = (1, 2)
    free: int = -1

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True)
class Inherited(Config):
    rate: float | None = 1.0


def test_a_field_that_is_declared_anew_keeps_its_bounds():
    with pytest.raises(ValueError, match=r"--rate is -1\.0; it must be positive"):
        Inherited(rate=-1.0)


def test_what_lies_within_is_taken():
    Config()
    Config(rate=1e-9, widths=(), share=0.0, decay=0.999, seed=2**32 - 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_things": 0}, "--num-things is 0; it must be an integer, at least 1."),
        ({"num_others": -1}, "--num-others is -1; it must be an integer, at least 0."),
        ({"num_seeds": 1}, "--num-seeds is 1; it must be at least 2, for a spread."),
        ({"rate": 0.0}, "--rate is 0.0; it must be positive and finite."),
        ({"rate": float("inf")}, "--rate is inf; it must be positive and finite."),
        ({"rate": float("nan")}, "--rate is nan; it must be positive and finite."),
        ({"weight": -1.0}, "--weight is -1.0; it must be finite, and not below 0."),
        ({"weight": float("nan")}, "--weight is nan; it must be finite, and not below 0."),
        ({"share": 1.5}, "--share is 1.5; it must be in [0, 1]."),
        ({"decay": 1.0}, "--decay is 1.0; it must be in [0, 1)."),
        ({"seed": -1}, "--seed is -1; it must be between 0 and 2^32 - 1."),
        ({"seed": 2**32}, "--seed is 4294967296; it must be between 0 and 2^32 - 1."),
        ({"widths": (3, 0)}, "--widths is 0; it must be an integer, at least 1."),
    ],
)
def test_what_lies_outside_is_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match="--") as refusal:
        replace(Config(), **change)
    assert str(refusal.value) == words
