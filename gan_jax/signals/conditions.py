"""What is left of an image when a part of it is taken away: conditions to make it again from.

Images are in [-1, 1], channels last, under any number of leading axes.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.signals.images import check_image, resize

Image = Float[Array, "*batch height width channels"]
Grey = Float[Array, "*batch height width 1"]
LUMA = (0.299, 0.587, 0.114)


def without_lower_half(image: Image) -> Image:
    """Hide the lower half: 0 there, half-way between black and white."""
    check_image(image)
    return image.at[..., image.shape[-3] // 2 :, :, :].set(0)


def without_centre(image: Image) -> Image:
    """Cut a hole: 0 in the middle half of the rows and of the columns."""
    check_image(image)
    height, width = image.shape[-3:-1]
    rows, columns = (slice(side // 4, side - side // 4) for side in (height, width))
    return image.at[..., rows, columns, :].set(0)


def coarse(image: Image, factor: int) -> Image:
    """Show an image as it is when its sides are divided by the factor: smaller, and resized back.

    Raises:
        ValueError: a side is smaller than the factor.
    """
    check_image(image)
    check_bound(AT_LEAST_1, factor=factor)
    height, width = image.shape[-3:-1]
    if min(height, width) < factor:
        raise Refusal(
            f"The image is {height} x {width}; nothing is left of it when it is made {factor} "
            "times smaller: take a larger image."
        )
    return resize(resize(image, (height // factor, width // factor)), (height, width))


def grey(image: Image) -> Grey:
    """Take the luma of red, green and blue, Y = 0.299 R + 0.587 G + 0.114 B; grey stays as it is.

    ITU-R Recommendation BT.601, as Pillow's mode L.

    Raises:
        ValueError: the image has neither one channel nor three.
    """
    check_image(image)
    if image.shape[-1] == 1:
        return image
    if image.shape[-1] != 3:
        raise Refusal(f"The image has {image.shape[-1]} channels; give it 3 (RGB), or 1 (grey).")
    red, green, blue = jnp.split(image, 3, axis=-1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def outline(image: Image) -> Grey:
    """Draw outlines: 1 where grey changes from -1 to 1 within a pixel's 3x3, -1 where it does not.

    The greatest less the least of the nine, less 1: the morphological gradient (Beucher 1979).
    """
    window = (1,) * (image.ndim - 3) + (3, 3, 1)
    ones, values = (1,) * image.ndim, grey(image)
    greatest = jax.lax.reduce_window(values, -jnp.inf, jax.lax.max, window, ones, "SAME")
    least = jax.lax.reduce_window(values, jnp.inf, jax.lax.min, window, ones, "SAME")
    return greatest - least - 1


def pad_to_multiple(image: Image, multiple: int) -> Float[Array, "*batch rows columns channels"]:
    """Repeat the edges until both sides are multiples, as many pixels before as after, or one less.

    `unpad` takes them away again.
    """
    check_image(image)
    pads = [(0, 0)] * (image.ndim - 3) + [_around(side, multiple) for side in image.shape[-3:-1]]
    return jnp.pad(image, [*pads, (0, 0)], mode="edge")


def unpad(
    image: Image, size: tuple[int, int]
) -> Float[Array, "*batch {size[0]} {size[1]} channels"]:
    """Cut out the image of this height and width that `pad_to_multiple` has padded."""
    top, left = ((now - side) // 2 for now, side in zip(image.shape[-3:-1], size, strict=True))
    return image[..., top : top + size[0], left : left + size[1], :]


def _around(side: int, multiple: int) -> tuple[int, int]:
    missing = -side % multiple
    return missing // 2, missing - missing // 2
