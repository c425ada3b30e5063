"""Augmentations of images that gradients go through, each image by a draw of its own.

Zhao et al. 2020 (DiffAugment), and the authors' code. Values are not cut to a range.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.typing import KeyArray

Images: TypeAlias = Float[Array, "num height width channels"]
Augment: TypeAlias = Callable[[KeyArray, Images], Images]

SHIFT = 1 / 8
CUT = 1 / 2


def recolour(
    images: Images,
    brightness: Float[Array, " num"],
    saturation: Float[Array, " num"],
    contrast: Float[Array, " num"],
) -> Images:
    """Add to all values, then move them from the mean of their pixel, then from that of the image.

        x + b,    m_c + s (x - m_c),    m + c (x - m)

    b = 0 and s = c = 1 change nothing.
    """
    of_each = (slice(None), None, None, None)
    images = images + brightness[of_each]
    grey = jnp.mean(images, axis=-1, keepdims=True)
    images = grey + saturation[of_each] * (images - grey)
    mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + contrast[of_each] * (images - mean)


def shift(images: Images, by: Int[Array, "num 2"]) -> Images:
    """Move each image down and to the right by so many pixels; zeros come in."""

    def along(axis: int, image: Array, steps: Array) -> Array:
        size = image.shape[axis]
        pads = [(size, size) if one == axis else (0, 0) for one in range(3)]
        return jax.lax.dynamic_slice_in_dim(jnp.pad(image, pads), size - steps, size, axis)

    for axis in (0, 1):
        images = jax.vmap(partial(along, axis))(images, by[:, axis])
    return images


def cut_out(images: Images, centre: Int[Array, "num 2"], size: tuple[int, int]) -> Images:
    """Make zeros of a rectangle of this height and width in each image, as far as it lies inside.

    It begins half of its size, rounded down, above and left of the centre.
    """
    inside = []
    for axis in (0, 1):
        start = centre[:, axis, None] - size[axis] // 2
        place = jnp.arange(images.shape[axis + 1])[None]
        inside.append((place >= start) & (place < start + size[axis]))
    is_cut = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return jnp.where(is_cut, 0, images)


def random_colour(key: KeyArray, images: Images) -> Images:
    """`recolour` by b uniform in [-0.5, 0.5], s in [0, 2] and c in [0.5, 1.5]."""
    ranges = ((-0.5, 0.5), (0.0, 2.0), (0.5, 1.5))
    return recolour(
        images,
        *(
            jax.random.uniform(key, (len(images),), images.dtype, low, high)
            for key, (low, high) in zip(jax.random.split(key, 3), ranges, strict=True)
        ),
    )


def random_shift(key: KeyArray, images: Images) -> Images:
    """`shift` along both axes by up to an eighth of the side, all whole numbers as likely."""
    most = jnp.array([int(SHIFT * side + 0.5) for side in images.shape[1:3]])[None]
    return shift(images, jax.random.randint(key, (len(images), 2), -most, most + 1))


def random_cutout(key: KeyArray, images: Images) -> Images:
    """`cut_out` half of both sides, around a place that is anywhere from edge to edge."""
    height, width = images.shape[1:3]
    size = int(CUT * height + 0.5), int(CUT * width + 0.5)
    last = jnp.array([[height - size[0] % 2, width - size[1] % 2]])
    centre = jax.random.randint(key, (len(images), 2), 0, last + 1)
    return cut_out(images, centre, size)


def in_turn(*augments: Augment) -> Augment:
    """One augmentation after the other, each by a key of its own.

    >>> import jax
    >>> from gan_jax.signals import augment
    >>> both = augment.in_turn(augment.random_shift, augment.random_cutout)
    >>> both(jax.random.key(0), jax.numpy.ones((2, 8, 8, 1))).shape
    (2, 8, 8, 1)
    """

    def augmented(key: KeyArray, images: Images) -> Images:
        keys = jax.random.split(key, len(augments))
        for own, augment in zip(keys, augments, strict=True):
            images = augment(own, images)
        return images

    return augmented
