"""Scenes of clips, a sentence of each, and the clips, drawn inside the compiled step."""

from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_jax.checks import Bound, check_bound
from gan_jax.data.shapes.drawing import HALF_TRIANGLE, RADII, SIDE, quarter_centre, show
from gan_jax.data.shapes.still import (
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Scenes,
    are_held_out,
    check_scenes,
)
from gan_jax.typing import KeyArray

MOVING_COLOURS = ("red", "blue", "green", "yellow", "white")
"""Those that the clips have, of `COLOURS`."""
COMPASS = ("north", "south", "east", "west")
DIAGONALS = ("northeast", "northwest", "southeast", "southwest")
WAYS = {"straight": COMPASS, "zigzag": COMPASS, "diagonal": DIAGONALS}
MOTIONS, DIRECTIONS = tuple(WAYS), COMPASS + DIAGONALS
MOVING_ATTRIBUTES = {
    "size": SIZES,
    "colour": COLOURS,
    "shape": SHAPES,
    "motion": MOTIONS,
    "direction": DIRECTIONS,
}
PHRASES = {
    "straight": "straight line towards {}",
    "zigzag": "zigzag path towards {}",
    "diagonal": "diagonal path in the {} direction",
}

HEADINGS = np.array(
    [[-1, 0], [1, 0], [0, 1], [0, -1], [-1, 1], [-1, -1], [1, 1], [1, -1]], np.float32
)
"""Down and to the right, of each direction."""
TRAVEL = 3 / 8
"""How far a figure goes along its heading, as a share of the side; a diagonal, each way."""
SWAY = 1 / 16
"""How far a zigzag goes to either side of its line."""
EDGE = 1 / 50
"""How far figures keep from the edges: the corners of antialiased triangles reach 0.31 pixels too
far, at most 1/50 of a side of 16."""

LENGTH = Bound(lambda x: x >= 4, "at least 4, for a zigzag to be told from a straight line")
PAIR_SIDE = Bound(
    lambda x: x >= 32 and x % 2 == 0,
    "even and at least 32 for two figures, each of which has a quarter of the picture",
)


def moving_scenes(split: str = "train", *, num_shapes: int = 1) -> Scenes:
    """All scenes of one moving figure, 288 in `train` and 72 in `test`, or any two of those.

    A figure is large or small, of one of five colours, a circle, square or triangle; it goes
    straight or in a zigzag towards one of four directions, or diagonally in one of four: 360 in
    all. Each scene has one sentence, in the paper's grammar; two figures are joined by "and".

    What is held out is our choice, as in `scenes`: six of the 30 combinations of size, colour and
    shape, one of each size and shape, with all of their motions. No scene of `train` shows any;
    every scene of `test` does. Of two figures there are 41,328 scenes and 23,292.

    >>> from gan_jax.data import shapes
    >>> shapes.moving_scenes("test").sentences[0]
    ('A large blue circle is moving in a straight line towards north',)

    Balaji, Min, Bai, Chellappa & Graf (TFGAN) 2019, section 4.

    Raises:
        ValueError: another split, or another number of figures.
    """
    check_scenes(split, num_shapes)
    ways = [
        (MOTIONS.index(motion), DIRECTIONS.index(direction))
        for motion, directions in WAYS.items()
        for direction in directions
    ]
    looks = product(range(len(SIZES)), range(len(MOVING_COLOURS)), range(len(SHAPES)))
    singles = np.array([[*look, *path] for look, path in product(looks, ways)], np.int32)
    codes = singles[:, None]
    if num_shapes == 2:
        codes = singles[np.stack(np.triu_indices(len(singles), 1), axis=1)]
    codes = codes[are_held_out(codes, len(MOVING_COLOURS)) == (split == "test")]
    codes[..., 1] = np.array([COLOURS.index(name) for name in MOVING_COLOURS])[codes[..., 1]]
    return Scenes(codes, tuple((_sentence(figures),) for figures in codes.tolist()))


def moving_sentences() -> list[str]:
    """All 360 sentences on one moving figure, those of `train` first."""
    return [one for split in ("train", "test") for (one,) in moving_scenes(split).sentences]


def draw_moving(
    key: KeyArray, codes: Int[Any, "num figures 5"], *, num_frames: int = 8, size: int = 32
) -> Float[Array, "num {num_frames} {size} {size} 3"]:
    """Draw a clip in [-1, 1] of each scene. Figures and edges are those of `draw`, on black.

    A figure goes at constant speed, 3/8 of the side in all, along its heading, and as far each way
    where that is diagonal. A zigzag is a triangle wave across the heading, 1/16 of the side to
    either side, with turns at 1/4, 1/2 and 3/4 of the way. The start is uniform where the whole
    figure stays inside in every frame. Two figures are half as large and go half as far, each in
    a quarter of the picture of its own, drawn at random, so that they never overlap. The paper
    says none of this: all is our choice.

    Raises:
        ValueError: the clip is smaller than 16 pixels, with two figures smaller than 32 or odd, or
            shorter than 4 frames.
    """
    is_pair = codes.shape[1] > 1
    check_bound(PAIR_SIDE if is_pair else SIDE, size=size)
    check_bound(LENGTH, num_frames=num_frames)
    key_start, key_quarter = jax.random.split(key)
    of_size, colour, shape, motion, direction = jnp.moveaxis(codes, -1, 0)
    radius = jnp.asarray(RADII)[of_size]
    path = paths(motion, direction, num_frames)
    margin = (HALF_TRIANGLE * radius + EDGE)[..., None]
    low, high = margin - jnp.min(path, axis=-2), 1 - margin - jnp.max(path, axis=-2)
    start = low + (high - low) * jax.random.uniform(key_start, low.shape)
    centre = start[..., None, :] + path
    if is_pair:
        order = jnp.argsort(jax.random.uniform(key_quarter, (len(codes), len(PLACES))), axis=1)
        quarter = quarter_centre(order[:, : codes.shape[1]])
        centre, radius = quarter[..., None, :] + (centre - 0.5) / 2, radius / 2
    over_frames = jax.vmap(
        lambda centre: show(centre, radius, shape, colour, size=size), in_axes=2, out_axes=1
    )
    return over_frames(centre)


def paths(
    motion: Int[Array, "..."], direction: Int[Array, "..."], num_frames: int
) -> Float[Array, "... {num_frames} 2"]:
    """Where figures go, down and to the right, as shares of the side."""
    heading = jnp.asarray(HEADINGS)[direction]
    is_zigzag = (motion == MOTIONS.index("zigzag"))[..., None]
    across = jnp.where(is_zigzag, heading[..., ::-1], 0)
    ways = jnp.stack([TRAVEL * heading, SWAY * across])
    return jnp.einsum("c...x,ct->...tx", ways, courses(num_frames))


def courses(num_frames: int) -> Float[np.ndarray, "2 {num_frames}"]:
    """The way that is gone at each frame, from 0 to 1, and the zigzag's wave, from -1 to 1."""
    line = np.linspace(0, 1, num_frames, dtype=np.float32)
    return np.stack([line, 1 - 2 * np.abs((4 * line) % 2 - 1)])


def _sentence(figures: list[list[int]]) -> str:
    said = []
    for size, colour, shape, motion, direction in figures:
        path = PHRASES[MOTIONS[motion]].format(DIRECTIONS[direction])
        said.append(f"{SIZES[size]} {COLOURS[colour]} {SHAPES[shape]} is moving in a {path}")
    return "A " + " and a ".join(said)
