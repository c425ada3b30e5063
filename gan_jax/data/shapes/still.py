"""Scenes of still pictures, and five sentences that say all of each."""

from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from gan_jax.errors import Refusal

SIZES = ("large", "small")
COLOURS = ("red", "green", "blue", "yellow", "cyan", "magenta", "white")
SHAPES = ("circle", "square", "triangle")
PLACES = ("upper left", "upper right", "lower left", "lower right")
ATTRIBUTES = {"size": SIZES, "colour": COLOURS, "shape": SHAPES, "place": PLACES}

PHRASES = (
    "a {size} {colour} {shape} in the {place}",
    "a {shape} in the {place} corner, {size} and {colour}",
    "in the {place} there is a {colour} {shape}, and it is {size}",
    "the {shape} in the {place} is {size} and {colour}",
    "{colour} is the {shape} in the {place}, which is {size}",
)


class Scenes(NamedTuple):
    """What pictures or clips show, and the sentences of each.

    codes: the attributes of each figure of a scene: size, colour, shape and place, as places in
        `ATTRIBUTES`, or size, colour, shape, motion and direction, as places in
        `MOVING_ATTRIBUTES`.
    """

    codes: Int32[np.ndarray, "scenes figures attributes"]
    sentences: tuple[tuple[str, ...], ...]


def scenes(split: str = "train", *, num_shapes: int = 1) -> Scenes:
    """All scenes of one figure, 144 in `train` and 24 in `test`, or of two.

    Six of the 42 combinations of size, colour and shape are held out: there is one of each size
    and shape, and no scene of `train` shows any; every scene of `test` does.

    >>> from gan_jax.data import shapes
    >>> shapes.scenes("test").sentences[0][0]
    'a large green circle in the upper left'

    Raises:
        ValueError: another split, or another number of figures.
    """
    check_scenes(split, num_shapes)
    figures = np.array(list(product(*(range(len(names)) for names in ATTRIBUTES.values()))))
    singles = figures.reshape(-1, 1, len(ATTRIBUTES)).astype(np.int32)
    codes = singles if num_shapes == 1 else _pairs(singles)
    codes = codes[are_held_out(codes, len(COLOURS)) == (split == "test")]
    return Scenes(codes, tuple(map(_sentences, codes)))


def sentences() -> list[str]:
    """All sentences on one figure, those of `train` first: five of each of the 168."""
    return [one for split in ("train", "test") for five in scenes(split).sentences for one in five]


def check_scenes(split: str, num_shapes: int) -> None:
    """Raise ValueError at another split, or another number of figures."""
    if split not in ("train", "test") or num_shapes not in (1, 2):
        raise Refusal(
            f"There are no scenes {split!r} of {num_shapes} figures: choose train or test, and 1 "
            "or 2."
        )


def are_held_out(codes: np.ndarray, num_colours: int) -> np.ndarray:
    """Whether scenes show a combination that `train` does not: one of each size and shape."""
    size, colour, shape = np.moveaxis(codes[..., :3], -1, 0)
    return np.any(colour == (3 * size + shape + 1) % num_colours, axis=1)


def _pairs(singles: np.ndarray) -> np.ndarray:
    """Any two figures, of different quarters, in the order of these."""
    pairs = np.array(list(combinations(singles[:, 0], 2)))
    first, second = np.moveaxis(pairs[..., -1], 1, 0)
    return np.where((first < second)[:, None, None], pairs, pairs[:, ::-1])[first != second]


def _sentences(figures: np.ndarray) -> tuple[str, ...]:
    said = [
        {name: names[index] for (name, names), index in zip(ATTRIBUTES.items(), code, strict=True)}
        for code in figures
    ]
    return tuple(" and ".join(phrase.format(**words) for words in said) for phrase in PHRASES)
