"""Structural similarity of pairs of images, at one scale and at five."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from gan_jax.checks import FINITE, POSITIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_same_shape, check_values
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.blocks import placed
from gan_jax.signals import mean_down
from gan_jax.signals.filters import correlate

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # as printed, of sum 1.0001
WINDOW, DEVIATION = 11, 1.5


def ssim(
    x: Num[Array | np.ndarray, "num height width channels"],
    y: Num[Array | np.ndarray, "num height width channels"],
    *,
    data_range: float | int = 255,
) -> Float[Array, " num"]:
    """Compare pairs by l c, luminance times contrast, averaged over the image and its channels.

    l = (2μ_x μ_y + C₁)/(μ_x² + μ_y² + C₁), c = (2σ_xy + C₂)/(σ_x² + σ_y² + C₂); C₁ = (0.01 L)²,
    C₂ = (0.03 L)². The moments are under a Gaussian window of 11 x 11 pixels and deviation 1.5, at
    each place where it lies inside the image; where a side is below 11 the window shrinks to it,
    its deviation in proportion. From -1 to 1, which equal images have.

    Args:
        data_range: L, what lies between the least and the largest possible value: 255 for bytes, 2
            for images in [-1, 1], 1 for those in [0, 1].

    Wang et al. 2004, equation (13) and section III.C.

    Raises:
        ValueError: x and y are no images of one shape, or hold a number that is not finite (traced,
            their pair gives nan); `data_range` is not positive and finite.
    """
    pair, offsets = _checked(x, y, data_range)
    return jnp.mean(_structure(pair, offsets, data_range)[0], axis=-1)


def ms_ssim(
    x: Num[Array | np.ndarray, "num height width channels"],
    y: Num[Array | np.ndarray, "num height width channels"],
    *,
    data_range: float | int = 255,
) -> Float[Array, " num"]:
    """Compare pairs at five scales: Π_j c_j^w_j for j = 1 ... 4, times (l c)_5^w_5.

    l and c as in `ssim`, each mean over an image 0 where it is below; a scale is the 2 x 2 means of
    the one before (`signals.mean_down`). The weights w are those that were printed, of sum 1.0001.
    The product is taken for each channel; the result, in [0, 1], is their mean. Windows shrink as
    in `ssim`, at the last scale of all images below 161 pixels: compare numbers of one size only.

    The diversity of a set is told by its mean over random pairs, `ms_ssim(x[::2], x[1::2])`, beside
    that of data: more alike means fewer modes. Odena, Olah & Shlens 2017, section 4.2.

    Arguments as `ssim`.

    Wang, Simoncelli & Bovik 2003, equation (7); the window as in TensorFlow's models.

    Raises:
        ValueError: as `ssim`.
    """
    pair, offsets = _checked(x, y, data_range)
    product = jnp.ones(())
    for weight in WEIGHTS[:-1]:
        contrast = _structure(pair, offsets, data_range)[1]
        product = product * jnp.maximum(contrast, 0) ** weight
        pair = mean_down(pair)
    similarity = _structure(pair, offsets, data_range)[0]
    return jnp.mean(product * jnp.maximum(similarity, 0) ** WEIGHTS[-1], axis=-1)


def _checked(x: Any, y: Any, data_range: float | int) -> tuple[Array, Array]:
    """Both about the means of their images, and these means: E z² - (E z)² cancels less so."""
    check_same_shape(x=x, y=y)
    if np.ndim(x) != 4 or not np.size(x):
        raise Refusal(
            f"x has the shape {np.shape(x)}; give it as images, (num, height, width, channels), at "
            "least one."
        )
    check_values(FINITE, x=x, y=y)
    check_bound(POSITIVE, data_range=data_range)
    pair = jnp.stack([at_least_float32(placed(images)) for images in (x, y)])
    offsets = jnp.mean(pair, axis=(-3, -2), keepdims=True)
    return pair - offsets, offsets


def _structure(
    pair: Float[Array, "2 num height width channels"],
    offsets: Float[Array, "2 num 1 1 channels"],
    data_range: float | int,
) -> tuple[Float[Array, "num channels"], Float[Array, "num channels"]]:
    """SSIM and its second factor, each a mean over the image."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    x, y = pair
    ux, uy, uxx, uyy, uxy = _windowed(jnp.stack([x, y, x * x, y * y, x * y]))
    variances, covariance = uxx - ux * ux + uyy - uy * uy, uxy - ux * uy
    contrast = (2 * covariance + c2) / (variances + c2)
    ux, uy = ux + offsets[0], uy + offsets[1]
    luminance = (2 * ux * uy + c1) / (ux * ux + uy * uy + c1)
    return jnp.mean(luminance * contrast, axis=(1, 2)), jnp.mean(contrast, axis=(1, 2))


def _windowed(images: Array) -> Array:
    """Means under the Gaussian window, at each place where it lies inside the image."""
    size = min(WINDOW, *images.shape[-3:-1])
    deviation = DEVIATION * size / WINDOW
    window = np.exp(-np.square((np.arange(size) - (size - 1) / 2) / deviation) / 2)
    taps = (window / window.sum()).tolist()
    return correlate(correlate(images, taps, -3), taps, -2)
