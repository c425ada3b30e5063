"""Transformations of images, channels last, under any number of leading axes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal


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
    if image.ndim < 3:
        raise Refusal(
            f"An image of shape {image.shape} has no height, width and channels; give it all three "
            "axes (image[..., None] where it has one channel)."
        )
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise Refusal(
            f"The image is {image.dtype}; only floating-point images are resized: scale it first, "
            "for instance with gan_jax.data.signed."
        )
    if len(size) != 2:
        raise Refusal(f"The size is {size}; it must be a height and a width.")
    check_bound(AT_LEAST_1, **{"The height": size[0], "The width": size[1]})
    return jax.image.resize(
        image, (*image.shape[:-3], *size, image.shape[-1]), "linear", antialias=True
    )
