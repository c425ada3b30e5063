"""SSIM and MS-SSIM against values of another package, SciPy, and where they are known."""

import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from scipy import ndimage

from gan_jax.metrics import ms_ssim, ssim
from tests.signals.waves import picture

RNG = np.random.default_rng(0)
PAIR = [picture(phase, 192, 256)[None] for phase in (0, 0.3)]
measure = jax.jit(ms_ssim, static_argnames="data_range")
single = jax.jit(ssim)


def test_it_is_what_piq_computes():
    """piq 0.8.0 in float64: multi_scale_ssim, and ssim without its own shrinking."""
    with jax.enable_x64(True):
        x, y = map(jnp.asarray, PAIR)
        np.testing.assert_allclose(measure(x, y), 0.554007542543, atol=5e-13)
        np.testing.assert_allclose(single(x, y), 0.606229364584, atol=5e-13)
    x, y = map(jnp.float32, PAIR)
    np.testing.assert_allclose(measure(x, y), 0.554007542543, rtol=1e-6)


def by_definition(x, y, data_range):
    """One channel of one pair, in float64: weighted variances about weighted means."""
    result = 1
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        size = min(11, *x.shape)
        at = np.arange(size) - (size - 1) / 2
        window = np.exp(-(at**2) / (2 * (1.5 * size / 11) ** 2))
        window = np.outer(window, window) / window.sum() ** 2
        views = [np.lib.stride_tricks.sliding_window_view(z, (size, size)) for z in (x, y)]
        mx, my = (np.sum(window * view, (-1, -2), keepdims=True) for view in views)
        dx, dy = views[0] - mx, views[1] - my
        vx, vy, vxy = (np.sum(window * d, (-1, -2)) for d in (dx * dx, dy * dy, dx * dy))
        c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
        factor = (2 * vxy + c2) / (vx + vy + c2)
        if scale == 4:
            mx, my = mx[..., 0, 0], my[..., 0, 0]
            factor = factor * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        result *= max(factor.mean(), 0) ** weight
        # Every second mean of a pixel and the next ones, the last repeated: 2 x 2 blocks.
        x, y = (
            ndimage.convolve(z, np.full((2, 2), 0.25), mode="reflect")[::2, ::2] for z in (x, y)
        )
    return result


@pytest.mark.parametrize("shape", [(28, 28), (7, 35)])
def test_windows_shrink_on_small_images_and_sides_may_be_odd(shape):
    x = RNG.uniform(-1, 1, (2, *shape, 2))
    y = np.clip(x + RNG.normal(0, 0.5, x.shape), -1, 1)
    expected = [
        np.mean([by_definition(a[..., c], b[..., c], 2) for c in range(2)])
        for a, b in zip(x, y, strict=True)
    ]
    assert 0.05 < min(expected) < max(expected) < 0.95
    np.testing.assert_allclose(
        measure(jnp.float32(x), jnp.float32(y), data_range=2), expected, rtol=2e-6
    )


@pytest.mark.parametrize("size", [1, 24])
def test_equal_images_opposite_ones_and_constants(size):
    x = jnp.asarray(RNG.integers(0, 256, (3, size, size, 3)), jnp.uint8)
    np.testing.assert_allclose(measure(x, x), 1, rtol=1e-6)
    np.testing.assert_allclose(single(x, x), 1, rtol=1e-6)
    if size > 1:
        np.testing.assert_array_equal(measure(x, 255 - x), 0)
    u, v, c1 = 40.0, 200.0, 2.55**2
    same = [jnp.full((1, size, size, 1), value) for value in (u, v)]
    luminance = (2 * u * v + c1) / (u**2 + v**2 + c1)
    np.testing.assert_allclose(measure(*same), luminance**0.1333, rtol=1e-5)
    np.testing.assert_allclose(single(*same), luminance, rtol=1e-5)


def test_a_far_offset_costs_no_digits():
    x, y = np.float32(RNG.normal(0, 1, (2, 28, 28)) + 1_000)
    y = (x + y) / 2
    found = measure(*(jnp.tile(z[None, :, :, None], (2, 1, 1, 2)) for z in (x, y)), data_range=2)
    expected = by_definition(*(np.float64(z) for z in (x, y)), data_range=2)
    assert 0.1 < expected < 0.9
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_it_is_computed_in_single_precision_at_least():
    x, y = (jnp.bfloat16(z[:, :16, :16]) for z in PAIR)
    wide = single(x.astype(jnp.float32), y.astype(jnp.float32))
    assert wide.dtype == single(x, y).dtype == jnp.float32
    np.testing.assert_allclose(single(x, y), wide, rtol=1e-6)


def test_rows_over_devices_give_the_same():
    rows = NamedSharding(jax.make_mesh((2,), ("data",), (AxisType.Auto,)), P("data"))
    x, y = jnp.float32(RNG.uniform(0, 255, (2, 2, 3, 4, 1)))
    found = single(*(jax.device_put(z, rows) for z in (x, y)))
    np.testing.assert_allclose(found, single(x, y), rtol=1e-6)
    assert len(found.sharding.device_set) == 2


def test_a_traced_image_that_is_not_finite_spoils_its_own_pair():
    x = jnp.full((3, 4, 4, 1), 5.0)
    both = jax.jit(lambda y: (ms_ssim(x, y), ssim(x, y)))
    for bad in (jnp.nan, jnp.inf):
        for values in both(x.at[1, 3, 3, 0].set(bad)):
            np.testing.assert_array_equal(np.isnan(values), [False, True, False])


IMAGE = jnp.ones((1, 4, 4, 1))


@pytest.mark.parametrize("function", [ssim, ms_ssim])
@pytest.mark.parametrize(
    ("x", "y", "data_range", "sentence"),
    [
        (IMAGE, IMAGE[:, :1], 1, "x has the shape (1, 4, 4, 1), y has (1, 1, 4, 1); give both"),
        (
            IMAGE[0],
            IMAGE[0],
            1,
            "x has the shape (4, 4, 1); give it as images, (num, height, width, channels), at "
            "least one.",
        ),
        (IMAGE[:0], IMAGE[:0], 1, "x has the shape (0, 4, 4, 1); give it as images"),
        (IMAGE, IMAGE * jnp.nan, 1, "y holds nan; every number in it must be finite."),
        (IMAGE, IMAGE, 0, "data_range is 0; it must be positive and finite."),
    ],
)
def test_what_are_no_pairs_is_refused(function, x, y, data_range, sentence, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        function(x, y, data_range=data_range)
