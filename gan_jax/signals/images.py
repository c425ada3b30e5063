"""Transformations of images, channels last, under any number of leading axes."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Shaped

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.signals.filters import Image, mean_down, nearest_up
from gan_jax.typing import KeyArray

Resample: TypeAlias = Callable[[Array], Array]
"""Images -> images of half or twice the height and width."""


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


def laplacian_pyramid(
    images: Image, *, num_levels: int, down: Resample = mean_down, up: Resample = nearest_up
) -> tuple[Array, ...]:
    """Split images into what each halving loses, finest first, and the smallest image, last.

    h_k = I_k - u(I_{k+1}), where I_0 is the image and I_{k+1} = d(I_k); the last of the
    `num_levels` is I itself. Values keep their scale, and the details of a constant are 0. Half of
    an odd side is rounded up, and what is enlarged again is cut to it.

    Args:
        down: d, which halves height and width, as `mean_down` or `binomial_down`.
        up: u, which doubles them, as `nearest_up` or `binomial_up`.

    >>> import jax.numpy as jnp
    >>> from gan_jax import signals
    >>> image = jnp.arange(35.0).reshape(7, 5, 1)
    >>> bands = signals.laplacian_pyramid(image, num_levels=3)
    >>> [band.shape for band in bands]
    [(7, 5, 1), (4, 3, 1), (2, 2, 1)]
    >>> bool((signals.from_laplacian_pyramid(bands) == image).all())
    True

    Burt & Adelson 1983, equation (3); Denton et al. (LAPGAN) 2015, equation (3).

    Raises:
        ValueError: `num_levels` is below 1, or a side is 1 before it is halved for the last time;
            there are fewer than three axes, the values are no floating-point numbers, or `up` and
            `down` do not double and halve.
    """
    check_image(images)
    check_bound(AT_LEAST_1, num_levels=num_levels)
    height, width = images.shape[-3:-1]
    smallest = 1 + 2 ** (num_levels - 2) if num_levels > 1 else 1
    if min(height, width) < smallest:
        raise Refusal(
            f"The images are {height} x {width}; a pyramid of {num_levels} levels halves them "
            f"{num_levels - 1} times, so height and width must be at least {smallest}: take fewer "
            "levels, or larger images."
        )
    bands = []
    for _ in range(num_levels - 1):
        smaller = down(images)
        bands.append(images - enlarged(smaller, images.shape, up=up))
        images = smaller
    return (*bands, images)


def from_laplacian_pyramid(bands: Sequence[Array], *, up: Resample = nearest_up) -> Array:
    """Build images again: I_k = u(I_{k+1}) + h_k, from the last of the bands on.

    The inverse of `laplacian_pyramid` with the same `up`, whatever `down` was: to the bit for whole
    numbers (by the default filters), else up to rounding.

    Denton et al. (LAPGAN) 2015, equation (4).

    Raises:
        ValueError: there is no band, or one has not twice the height and width of the next.
    """
    check_bound(AT_LEAST_1, **{"The number of levels": len(bands)})
    *finer, images = bands
    for band in reversed(finer):
        images = enlarged(images, band.shape, up=up) + band
    return images


def enlarged(images: Array, shape: tuple[int, ...], *, up: Resample = nearest_up) -> Array:
    """u(I), without the last row or column where the side that was halved is odd.

    Raises:
        ValueError: doubled and cut it has another shape.
    """
    height, width = shape[-3:-1]
    large = up(images)
    cut = large[..., :height, :width, :]
    if cut.shape != shape or (large.shape[-3] - height, large.shape[-2] - width) != (
        height % 2,
        width % 2,
    ):
        raise Refusal(
            f"A level has the shape {shape}, the next one {images.shape}, and {large.shape} when "
            "it is enlarged; `down` must halve height and width, and `up` double them."
        )
    return cut


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
