"""Bounds are declared on fields, and checked wherever they stand."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal, get_origin

import numpy as np
import pytest

from experiments.harness.bounds import (
    Count,
    CountOr0,
    Decay,
    Finite,
    Rate,
    Seed,
    Several,
    Share,
    Size,
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
    widths: tuple[Size, ...] = (1, 2)
    free: int = -1
    mean: Finite = 0.0
    update: Literal["one", "other"] = "one"
    order: Literal[1, 2] | None = None
    name: str = ""
    whole: bool = False
    parallel: ClassVar[Literal["jit"]] = "jit"

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
    Config(rate=1e-9, widths=(), share=0.0, decay=0.999, seed=2**32 - 1, order=1, weight=1)
    Config(num_things=2**31 - 1, num_seeds=2**16, update="other", whole=True)


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
        ({"widths": 3}, "--widths is 3; it must be a tuple."),
        ({"num_things": 2**31}, "--num-things is 2147483648; it must be below 2^31."),
        ({"num_seeds": 2**16 + 1}, "--num-seeds is 65537; it must be at most 2^16."),
        ({"widths": (1, 2**20 + 1)}, "--widths is 1048577; it must be at most 2^20."),
        ({"mean": float("inf")}, "--mean is inf; it must be finite."),
        ({"update": "both"}, "--update is 'both'; it must be one of 'one', 'other'."),
        ({"update": None}, "--update is None; it must be one of 'one', 'other'."),
        ({"order": 3}, "--order is 3; it must be one of 1, 2."),
        ({"name": None}, "--name is None; it must be a string."),
        ({"rate": "0.1"}, "--rate is 0.1; it must be a float."),
        ({"share": None}, "--share is None; it must be a float."),
        ({"free": 1.5}, "--free is 1.5; it must be an int."),
        ({"num_things": np.int64(3)}, "--num-things is 3; it must be an int."),
        ({"num_things": True}, "--num-things is True; it must be an int."),
        ({"whole": 1}, "--whole is 1; it must be True or False."),
    ],
)
def test_what_lies_outside_is_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match="--") as refusal:
        replace(Config(), **change)
    assert str(refusal.value) == words


@pytest.mark.parametrize("value", ["alternate", None, 0.5])
def test_every_choice_of_every_experiment_is_checked_where_it_is_born(experiment, value):
    config = next(iter(experiment.CONFIGS.values()))
    for field in fields(config):
        if get_origin(field.type) is Literal:
            with pytest.raises(ValueError, match=f"--{field.name.replace('_', '-')} is {value!r}"):
                replace(config, **{field.name: value})


def test_every_number_of_every_experiment_has_a_bound_above(experiment):
    """Beyond 2^31 XLA ends the process, or an index does not fit."""
    config = next(iter(experiment.CONFIGS.values()))
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, int) and get_origin(field.type) is not Literal:
            with pytest.raises(ValueError, match=f"--{field.name.replace('_', '-')} is"):
                replace(config, **{field.name: 2**32})
