"""Transformations of images, channels last, under any number of leading axes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Shaped

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.typing import KeyArray


def resize(
    image: Float[Array, "*batch height width channels"], size: tuple[int, int]
) -> Float[Array, "*batch {size[0]} {size[1]} channels"]:
    """Resize images to a height and a width, antialiased where they shrink.

    Pixel i of n is the mean of the old pixels j of m under a triangle, centred at (i + 1/2) m/n
    and as wide to each side as the larger of an old and a new pixel; at the edges only the pixels
    that exist count. A mean leaves the range of the values as it is, which a cubic kernel would
    not: no clipping is needed. What Pillow's `resize(size, BILINEAR)` computes.

    >>> import jax.numpy as jnp
    >>> from gan_jax import signals
    >>> image = jnp.array([[[0.0], [1.0]]])
    >>> signals.resize(image, (1, 4)).ravel().tolist()
    [0.0, 0.25, 0.75, 1.0]

    Raises:
        ValueError: a size is below 1, there are fewer than three axes, or the values are no
            floating-point numbers.
    """
    check_image(image)
    if len(size) != 2:
        raise Refusal(f"The size is {size}; it must be a height and a width.")
    check_bound(AT_LEAST_1, **{"The height": size[0], "The width": size[1]})
    return jax.image.resize(
        image, (*image.shape[:-3], *size, image.shape[-1]), "linear", antialias=True
    )


def check_image(image: Array) -> None:
    """Raise ValueError unless it has height, width and channels, and floating-point numbers."""
    if image.ndim < 3:
        raise Refusal(
            f"An image of shape {image.shape} has no height, width and channels; give it all three "
            "axes (image[..., None] where it has one channel)."
        )
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise Refusal(
            f"The image is {image.dtype}; only floating-point images are filtered: scale it first, "
            "for instance with gan_jax.data.signed."
        )


def flip(
    key: KeyArray, images: Shaped[Array, "num height width channels"]
) -> Shaped[Array, "num height width channels"]:
    """Mirror each image at random, left to right, with probability 1/2."""
    is_mirrored = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(is_mirrored, images[:, :, ::-1], images)


def random_crop(
    key: KeyArray,
    images: Shaped[Array, "num height width channels"],
    extents: Int32[Array, "num 2"],
    size: int,
) -> Shaped[Array, "num {size} {size} channels"]:
    """Cut a square out of each image, wherever it lies inside, every place as likely as another.

    An image fills the top left of its canvas, to its `extent`, a height and a width. One key cuts
    images of the same extents at the same places: both images of a pair.
    """
    corners = jax.random.randint(key, extents.shape, 0, extents - size + 1)
    return _cut(images, corners, size)


def center_crop(
    images: Shaped[Array, "num height width channels"], extents: Int32[Array, "num 2"], size: int
) -> Shaped[Array, "num {size} {size} channels"]:
    """Cut the square at the centre out of each image. Arguments as `random_crop`."""
    return _cut(images, (extents - size) // 2, size)


def random_patches(
    key: KeyArray, images: Shaped[Array, "num height width channels"], num_patches: int, size: int
) -> Shaped[Array, "num {num_patches} {size} {size} channels"]:
    """Cut squares out of each image, every place as likely as another; they may overlap.

    Raises:
        ValueError: the images are smaller than a patch, or a number is below 1.
    """
    check_bound(AT_LEAST_1, num_patches=num_patches, size=size)
    num, height, width, _ = images.shape
    if min(height, width) < size:
        raise Refusal(
            f"The images are {height} x {width}; patches of {size} x {size} do not fit: take "
            "larger images, or smaller patches."
        )
    extents = jnp.tile(jnp.array([[height, width]], jnp.int32), (num, 1))
    cut = jax.vmap(lambda key: random_crop(key, images, extents, size), out_axes=1)
    return cut(jax.random.split(key, num_patches))


def _cut(images: jax.Array, corners: jax.Array, size: int) -> jax.Array:
    def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (*corner, 0), (size, size, image.shape[-1]))

    return jax.vmap(cut)(images, corners)
