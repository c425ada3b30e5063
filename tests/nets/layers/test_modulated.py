"""Modulated convolution: the norm of its kernels, each example's own kernel, scales, doubling."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets.layers import EqualisedConv, EqualisedDense, ModulatedConv, convolve_each
from gan_jax.signals import smooth_up

X = jax.random.normal(jax.random.key(0), (3, 6, 4, 5))
STYLES = 1 + 0.5 * jax.random.normal(jax.random.key(1), (3, 5))


def started(layer, *inputs):
    variables = jax.jit(layer.init)(jax.random.key(2), *inputs)
    return partial(jax.jit(layer.apply), variables), variables["params"]


def kernels(kernel, styles, *, demodulate):
    """Equations (1) and (3), a kernel for each example."""
    kernel = (kernel / np.sqrt(np.prod(kernel.shape[:-1])))[None]
    scaled = kernel * styles[:, None, None, :, None]
    norm = jnp.sqrt(jnp.sum(scaled**2, axis=(1, 2, 3), keepdims=True) + 1e-8)
    return scaled / norm if demodulate else scaled


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_the_scaled_form_is_a_kernel_for_each_example(kernel_size, demodulate):
    """In value and in both gradients; of equation (3) each kernel then has norm 1."""
    layer = ModulatedConv(7, kernel_size, demodulate)
    _, params = started(layer, X, STYLES)

    def fused(params, x, styles):
        return convolve_each(x, kernels(params["kernel"], styles, demodulate=demodulate))

    def scaled(params, x, styles):
        return layer.apply({"params": params}, x, styles)

    if demodulate:
        norms = jnp.sum(jnp.square(kernels(params["kernel"], STYLES, demodulate=True)), (1, 2, 3))
        np.testing.assert_allclose(norms, 1, rtol=1e-5)

    def slopes(function):
        def loss(params, x, styles):
            return jnp.sum(jnp.tanh(function(params, x, styles)))

        return jax.jit(lambda *at: (function(*at), jax.grad(loss, (0, 1, 2))(*at)))(
            params, X, STYLES
        )

    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, slopes(scaled), slopes(fused))


def test_scaling_all_styles_changes_only_what_is_not_demodulated():
    y, _ = started(ModulatedConv(7, 3), X, STYLES)
    np.testing.assert_allclose(y(X, 30 * STYLES), y(X, STYLES), rtol=1e-4, atol=1e-5)
    assert (y(X, 0 * STYLES) == 0).all()
    y, _ = started(ModulatedConv(7, 3, demodulate=False), X, STYLES)
    np.testing.assert_allclose(y(X, 30 * STYLES), 30 * y(X, STYLES), rtol=1e-4, atol=1e-4)


def test_demodulation_gives_unit_variance_of_unit_noise():
    """Equation (2): whatever the styles, for inputs that are independent and of variance 1."""
    noise = jax.random.normal(jax.random.key(3), (2, 40, 40, 16))
    y, _ = started(ModulatedConv(8, 3), noise, jnp.ones((2, 16)))
    styles = jnp.exp(jax.random.normal(jax.random.key(4), (2, 16)))
    inside = y(noise, styles)[:, 1:-1, 1:-1]
    np.testing.assert_allclose(jnp.std(inside, axis=(1, 2)), 1, atol=0.15)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_doubling_is_zeros_between_then_kernel_and_filter(kernel_size):
    """Away from the edges both orders of the two convolutions are one."""
    layer = ModulatedConv(7, kernel_size, upsample=True)
    y, params = started(layer, X, STYLES)
    found = y(X, STYLES)
    assert found.shape == (3, 12, 8, 7)
    bank = kernels(params["kernel"], STYLES, demodulate=True)
    expected = convolve_each(smooth_up(X), bank)
    edge = kernel_size // 2
    inside = (slice(None), slice(1 + edge, -1 - edge), slice(1 + edge, -1 - edge))
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-4, atol=1e-5)


def test_it_computes_in_bfloat16():
    y, _ = started(ModulatedConv(7, 3, dtype=jnp.bfloat16), X, STYLES)
    exact, _ = started(ModulatedConv(7, 3), X, STYLES)
    assert y(X, STYLES).dtype == jnp.bfloat16
    np.testing.assert_allclose(y(X, STYLES), exact(X, STYLES), atol=0.1)


def test_equalised_layers_start_alike_and_are_scaled_in_use():
    """Of rate r: kernels from N(0, 1/r²), times r gain / √fan-in; the bias, at 0, times r."""
    x = jax.random.normal(jax.random.key(5), (4, 400))
    y, params = started(EqualisedDense(300, gain=2.0, rate=0.1), x)
    assert float(params["kernel"].std()) == pytest.approx(10, rel=0.01)
    assert not params["bias"].any()
    found = EqualisedDense(300, gain=2.0, rate=0.1).apply(
        {"params": {**params, "bias": params["bias"] + 5}}, x
    )
    np.testing.assert_allclose(found, x @ params["kernel"] * 0.2 / 20 + 0.5, rtol=1e-4, atol=1e-5)
    image = jax.random.normal(jax.random.key(6), (2, 8, 6, 10))
    layer = EqualisedConv(30, (3, 1), strides=2, gain=2.0)
    y, params = started(layer, image)
    assert float(params["kernel"].std()) == pytest.approx(1, rel=0.05)
    assert y(image).shape == (2, 4, 3, 30)
    plain = jax.lax.conv_general_dilated(
        image,
        params["kernel"] * 2 / np.sqrt(30),
        (2, 2),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(y(image), plain, rtol=1e-4, atol=1e-5)
    shifted = layer.apply({"params": {**params, "bias": jnp.arange(30.0)}}, image)
    np.testing.assert_allclose(
        shifted - plain, jnp.broadcast_to(jnp.arange(30.0), (2, 4, 3, 30)), atol=1e-4
    )
    assert "bias" not in started(EqualisedConv(3, use_bias=False), image)[1]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: ModulatedConv(0, 3), "features is 0"),
        (lambda: ModulatedConv(3, 0), "kernel_size is 0"),
        (lambda: ModulatedConv(3, 2, upsample=True), "kernel_size is 2; it must be one of 1, 3, 5"),
        (lambda: EqualisedDense(0), "features is 0"),
        (lambda: EqualisedDense(3, rate=0.0), "rate is 0"),
        (lambda: EqualisedConv(3, (0, 3)), "height is 0"),
        (lambda: EqualisedConv(3, gain=-1.0), "gain is -1"),
    ],
)
def test_what_is_refused(made, said):
    with pytest.raises(ValueError, match=said):
        made()
