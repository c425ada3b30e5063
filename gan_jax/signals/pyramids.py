"""Laplacian pyramids of images (Burt & Adelson 1983), and filters that halve and double them."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.signals.filters import correlate
from gan_jax.signals.images import check_image

Image: TypeAlias = Float[Array, "*batch height width channels"]
Half: TypeAlias = Float[Array, "*batch (height+1)//2 (width+1)//2 channels"]
Double: TypeAlias = Float[Array, "*batch 2*height 2*width channels"]
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def binomial_down(image: Image) -> Half:
    """Halve images: the taps (1, 4, 6, 4, 1)/16 along both axes, then every second pixel.

    Edges are mirrored without repeating the last pixel. An odd side keeps its last pixel.

    Burt & Adelson 1983, equation (1).
    """
    return _binomial(image, stride=2, gain=1)


def binomial_up(image: Image) -> Double:
    """Double images: zeros between the pixels, the filter of `binomial_down`, times 4.

    Burt & Adelson 1983, equation (2).
    """
    between = [(0, 0, 0)] * (image.ndim - 3) + [(0, 1, 1), (0, 1, 1), (0, 0, 0)]
    spread = jax.lax.pad(image, jnp.zeros((), image.dtype), between)
    return _binomial(spread, stride=1, gain=2)


def mean_down(image: Image) -> Half:
    """Halve images by means of 2 x 2 pixels; the last row or column of an odd side counts twice."""
    *batch, height, width, channels = image.shape
    odd = [(0, 0)] * len(batch) + [(0, height % 2), (0, width % 2), (0, 0)]
    blocks = (*batch, (height + 1) // 2, 2, (width + 1) // 2, 2, channels)
    return jnp.pad(image, odd, mode="edge").reshape(blocks).mean(axis=(-4, -2))


def laplacian_pyramid(
    image: Image,
    num_levels: int,
    *,
    down: Callable[[Array], Array] = binomial_down,
    up: Callable[[Array], Array] = binomial_up,
) -> tuple[Array, ...]:
    """Split images into what each halving loses, finest first, and the smallest image, last.

    L_k = G_k - up(G_{k+1}), where G_0 is the image and G_{k+1} = down(G_k); the last of the
    `num_levels` is G itself. Values keep their scale, and the details of a constant are 0.

    Args:
        down: halves height and width, as `binomial_down` or `mean_down`.
        up: doubles them, as `binomial_up`.

    >>> import jax.numpy as jnp
    >>> from gan_jax import signals
    >>> image = jnp.eye(8)[..., None]
    >>> levels = signals.laplacian_pyramid(image, 3)
    >>> [level.shape for level in levels]
    [(8, 8, 1), (4, 4, 1), (2, 2, 1)]
    >>> bool(jnp.allclose(signals.from_laplacian_pyramid(levels), image, atol=1e-6))
    True

    Burt & Adelson 1983, equation (3); Denton et al. (LAPGAN) 2015, equation (3).

    Raises:
        ValueError: `num_levels` is below 1, height or width no multiple of 2^(num_levels - 1),
            there are fewer than three axes, the values are no floating-point numbers, or `up` and
            `down` do not double and halve.
    """
    check_image(image)
    check_bound(AT_LEAST_1, num_levels=num_levels)
    height, width = image.shape[-3:-1]
    multiple = 2 ** (num_levels - 1)
    if height % multiple or width % multiple:
        raise Refusal(
            f"The image is {height} x {width}; a pyramid of {num_levels} levels halves it "
            f"{num_levels - 1} times, so height and width must be multiples of {multiple}: take "
            "fewer levels, or resize it."
        )
    levels = []
    for _ in range(num_levels - 1):
        smaller = down(image)
        levels.append(image - _enlarged(up, smaller, image.shape))
        image = smaller
    return (*levels, image)


def from_laplacian_pyramid(
    levels: Sequence[Array], *, up: Callable[[Array], Array] = binomial_up
) -> Array:
    """Build images again: G_k = L_k + up(G_{k+1}), from the last level on.

    The inverse of `laplacian_pyramid` with the same `up`, up to rounding, whatever `down` was.

    Denton et al. (LAPGAN) 2015, equation (4).

    Raises:
        ValueError: there is no level, or a level has not twice the height and width of the next.
    """
    check_bound(AT_LEAST_1, **{"The number of levels": len(levels)})
    *details, image = levels
    for detail in reversed(details):
        image = detail + _enlarged(up, image, detail.shape)
    return image


def _enlarged(up: Callable[[Array], Array], image: Array, shape: tuple[int, ...]) -> Array:
    large = up(image)
    if large.shape != shape:
        raise Refusal(
            f"A level has the shape {shape}, the next one {image.shape}, and {large.shape} when it "
            "is enlarged; `down` must halve height and width, and `up` double them."
        )
    return large


def _binomial(image: Array, *, stride: int, gain: int) -> Array:
    """The filter along height and along width, each time with this stride and this gain."""
    taps = [gain * tap for tap in BINOMIAL]
    for axis in (-3, -2):
        edges = [(0, 0)] * image.ndim
        edges[axis] = (2, 2)
        image = correlate(jnp.pad(image, edges, mode="reflect"), taps, axis, stride=stride)
    return image
