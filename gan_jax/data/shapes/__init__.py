"""Captioned shapes: pictures and clips drawn inside the compiled step, and what they may show.

A figure is large or small, of one of seven colours, and a circle, square or triangle, on black;
figures of one size have one area. A picture shows one in one of its four quarters, or two in
different quarters, so that they never overlap; five sentences say all of it. In a clip a figure
goes straight, in a zigzag or diagonally; one sentence says all of it. An oracle reads pictures and
clips from their pixels.
"""

from gan_jax.data.shapes.drawing import RADII, RGB, draw
from gan_jax.data.shapes.moving import (
    DIRECTIONS,
    HEADINGS,
    MOTIONS,
    MOVING_ATTRIBUTES,
    MOVING_COLOURS,
    draw_moving,
    moving_scenes,
    moving_sentences,
)
from gan_jax.data.shapes.oracle import read_attributes, read_places
from gan_jax.data.shapes.still import (
    ATTRIBUTES,
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Scenes,
    scenes,
    sentences,
)

__all__ = [
    "ATTRIBUTES",
    "COLOURS",
    "DIRECTIONS",
    "HEADINGS",
    "MOTIONS",
    "MOVING_ATTRIBUTES",
    "MOVING_COLOURS",
    "PLACES",
    "RADII",
    "RGB",
    "SHAPES",
    "SIZES",
    "Scenes",
    "draw",
    "draw_moving",
    "moving_scenes",
    "moving_sentences",
    "read_attributes",
    "read_places",
    "scenes",
    "sentences",
]
