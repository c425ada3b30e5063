"""The filter (1, 3, 3, 1)/8: up and down against the definition, and what they keep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from gan_jax import signals

smooth = jax.jit(signals.smooth, static_argnames=("pads", "stride", "gain"))
smooth_up, smooth_down = jax.jit(signals.smooth_up), jax.jit(signals.smooth_down)
IMAGE = jax.random.normal(jax.random.key(0), (2, 3, 6, 4, 2))
TAPS = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def filtered(image, pads):
    edges = [(0, 0)] * (image.ndim - 3) + [pads, pads, (0, 0)]
    padded = np.pad(np.asarray(image, np.float64), edges)
    kernel = TAPS[(None,) * (image.ndim - 3)][..., None]
    full = ndimage.correlate(padded, kernel, mode="constant")
    return full[..., 2:-1, 2:-1, :]


def test_the_filter_as_scipy_has_it():
    for pads in ((1, 1), (2, 1), (2, 2)):
        np.testing.assert_allclose(smooth(IMAGE, pads), filtered(IMAGE, pads), atol=1e-6)
    found = smooth(IMAGE, (2, 2), stride=2, gain=3.0)
    np.testing.assert_allclose(found, 3 * filtered(IMAGE, (2, 2))[..., ::2, ::2, :], atol=1e-6)


def test_up_is_zeros_behind_and_the_filter_times_4():
    spread = np.zeros((2, 3, 12, 8, 2))
    spread[..., ::2, ::2, :] = IMAGE
    np.testing.assert_allclose(smooth_up(IMAGE), 4 * filtered(spread, (2, 1)), atol=1e-6)


def test_down_is_the_filter_and_every_second_pixel():
    found = smooth_down(IMAGE)
    np.testing.assert_allclose(found, filtered(IMAGE, (1, 1))[..., ::2, ::2, :], atol=1e-6)


@pytest.mark.parametrize("resample", [smooth_up, smooth_down])
def test_what_is_constant_stays_so_inside(resample):
    np.testing.assert_allclose(resample(jnp.full((8, 8, 1), 3.0))[1:-1, 1:-1], 3, rtol=1e-6)


def test_down_is_the_adjoint_of_up_over_4():
    image, half = IMAGE[0], jax.random.normal(jax.random.key(1), (3, 3, 2, 2))
    _, pull = jax.vjp(smooth_up, half)
    np.testing.assert_allclose(pull(image)[0], 4 * smooth_down(image), rtol=1e-5, atol=1e-5)
