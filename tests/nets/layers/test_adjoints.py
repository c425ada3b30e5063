"""The three maps of one trilinear form: the formula, its adjoints, and the programs they become."""

import math
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import nets
from gan_jax.nets.layers import adjoints
from gan_jax.nets.layers.adjoints import Geometry, convolve, convolve_adjoint
from tests.nets.layers.comparison import (
    KEY,
    assert_close,
    compiled_convolutions,
    quickly,
)


def geometries(num):
    """Draw strided, dilated, padded and cropped geometries of one, two and three dimensions."""
    rng = np.random.default_rng(0)
    while num:
        d = 1 + num % 3
        image, kernel, strides = (
            tuple(map(int, rng.integers(1, high, d, endpoint=True))) for high in (5, 4 - d // 3, 3)
        )
        padding = tuple((int(a), int(b)) for a, b in rng.integers(-1, 4, (d, 2)))
        dilation = tuple(map(int, rng.integers(1, 3, d, endpoint=True)))
        geometry = Geometry(image, kernel, strides, padding, dilation)
        padded = [
            n + min(low, 0) + min(high, 0) for n, (low, high) in zip(image, padding, strict=True)
        ]
        if min(padded) >= 1 and min(geometry.map) >= 1:
            num -= 1
            yield geometry


def operands(geometry, dtype, seed=0, channels=3):
    rng = np.random.default_rng(seed)
    shapes = (2, *geometry.image, channels), (*geometry.kernel, channels, 2), (2, *geometry.map, 2)
    return tuple(jnp.asarray(rng.standard_normal(shape), dtype) for shape in shapes)


def adjoint_in_the_kernel(x, y, geometry):
    k = jax.ShapeDtypeStruct((*geometry.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda k: convolve(x, k, geometry), k)(y)[0]


def three_maps(x, k, y, geometry):
    return (
        convolve(x, k, geometry),
        convolve_adjoint(y, k, geometry),
        adjoint_in_the_kernel(x, y, geometry),
    )


def three_plain_maps(x, k, y, geometry):
    """What other platforms than the CPU compute."""
    return (
        adjoints._plain_maps(x, k, geometry),
        adjoints._plain_images(y, k, geometry),
        adjoints._plain_kernel(x, y, geometry),
    )


def test_eager_is_jit():
    """Outside of `jit` the primitives compile themselves."""
    geometry = Geometry((4, 3), (3, 2), (2, 1), ((1, 0), (0, 2)), (1, 2))
    given = operands(geometry, jnp.float32)
    eager = three_maps(*given, geometry)
    assert_close(eager, quickly(partial(three_maps, geometry=geometry))(*given), 1e-6)


def sum_of_taps(x, k, geometry):
    """The formula in `convolve`, read off: zeros lie outside of the images."""
    y = np.zeros((x.shape[0], *geometry.map, k.shape[-1]))
    for i in product(*map(range, geometry.map)):
        for j in product(*map(range, geometry.kernel)):
            at = [
                a * stride + b * dilation - low
                for a, b, _, _, stride, (low, _), dilation in zip(i, j, *geometry, strict=True)
            ]
            if all(0 <= a < n for a, n in zip(at, geometry.image, strict=True)):
                y[(slice(None), *i)] += x[(slice(None), *at)] @ k[j]
    return y


@pytest.mark.parametrize("channels", [3, adjoints.FEW_CHANNELS])
@pytest.mark.parametrize(
    "geometry",
    [
        pytest.param(geometry, marks=pytest.mark.slow if i > 3 else ())
        for i, geometry in enumerate(geometries(6))
    ],
    ids=str,
)
def test_three_maps_of_one_form(geometry, channels):
    """They are the formula, its adjoints, and the same on every platform."""
    with jax.enable_x64(True):
        x, k, y = operands(geometry, jnp.float64, channels=channels)
        maps = quickly(partial(three_maps, geometry=geometry))(x, k, y)
        plain = quickly(partial(three_plain_maps, geometry=geometry))(x, k, y)
    assert_close(maps, plain, 1e-10)
    x, k, y = map(np.asarray, (x, k, y))
    form = np.vdot(sum_of_taps(x, k, geometry), y)
    scale = sum(np.vdot(a, a) for a in (x, k, y))
    for adjoint, argument in zip(maps, (y, x, k), strict=True):
        np.testing.assert_allclose(np.vdot(adjoint, argument), form, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(maps[0], sum_of_taps(x, k, geometry), rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize(
    "mapped",
    [
        pytest.param(mapped, marks=pytest.mark.slow if sum(mapped) == 2 else ())
        for mapped in [*product([False, True], repeat=3)][1:]
    ],
    ids=str,
)
def test_each_map_is_batched_over_any_axis_of_any_operand(mapped):
    """The oracle is a loop."""
    geometry = Geometry((4, 3), (3, 2), (2, 1), ((1, 0), (0, 2)), (1, 2))
    with jax.enable_x64(True):
        alone = [operands(geometry, jnp.float64, seed) for seed in range(3)]
        axes = tuple(axis if on else None for axis, on in zip((2, 3, -1), mapped, strict=True))
        given = [
            column[0] if axis is None else jnp.stack(column, axis)
            for column, axis in zip(zip(*alone, strict=True), axes, strict=True)
        ]
        function = partial(three_maps, geometry=geometry)
        depends = [mapped[0] or mapped[1], mapped[2] or mapped[1], mapped[0] or mapped[2]]
        out_axes = tuple(0 if on else None for on in depends)
        batched = quickly(jax.vmap(function, axes, out_axes))(*given)
        one = quickly(function)
        expected = [
            one(*(a if on else b for a, b, on in zip(each, alone[0], mapped, strict=True)))
            for each in alone
        ]
    for result, on, column in zip(batched, depends, zip(*expected, strict=True), strict=True):
        assert_close(result, jnp.stack(column) if on else column[0], 1e-10)


# Which program is compiled.


GENERATOR = nets.DCGANGenerator(size=16, channels=1, width=adjoints.FEW_CHANNELS)
DISCRIMINATOR = nets.DCGANDiscriminator(width=adjoints.FEW_CHANNELS)


def descents_of_a_dcgan(variables, x, z):
    """Both players' gradients, and that of a penalty on the critic's gradient, inside a scan."""

    def critic(variables, x):
        return jnp.sum(DISCRIMINATOR.apply(variables, x, train=True, mutable="batch_stats")[0])

    def loss(variables):
        fake = GENERATOR.apply(variables[0], z, train=True, mutable="batch_stats")[0]
        slope = jax.grad(critic, 1)(variables[1], x)
        return critic(variables[1], fake) - critic(variables[1], x) + jnp.sum(slope**2)

    def descend(variables, _):
        return jax.tree.map(lambda a, b: a - b, variables, jax.grad(loss)(variables)), None

    return jax.lax.scan(descend, variables, length=2)[0]


@pytest.fixture
def _places_are_told():
    """Without whole tracebacks an operation does not say in which loop it is."""
    name = "jax_include_full_tracebacks_in_locations"
    before = getattr(jax.config, name)
    jax.config.update(name, True)
    yield
    jax.config.update(name, before)


@pytest.mark.usefixtures("_places_are_told")
def test_no_slow_convolution_is_compiled_inside_a_loop():
    """XLA's CPU backend is fast in one layout only, and inside loops it rewrites nothing."""
    x, z = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in [(4, 16, 16, 1), (4, 3)])
    variables = (
        jax.eval_shape(GENERATOR.init, KEY, z),
        jax.eval_shape(DISCRIMINATOR.init, KEY, x),
    )
    lines, slow = compiled_convolutions(descents_of_a_dcgan, variables, x, z)
    assert len(lines) >= 10
    assert all("/while/" in line for line in lines)
    assert not slow


UNUSUAL = [
    Geometry((2, 2), (5, 5), (1, 1), ((2, 2),) * 2, (1, 1)),  # a kernel larger than the image
    Geometry((3, 3), (2, 2), (1, 1), ((2, 2),) * 2, (3, 3)),  # larger by its holes
    Geometry((2, 2), (3, 3), (2, 2), ((3, 3),) * 2, (2, 2)),
    Geometry((2, 2), (5, 5), (2, 2), ((1, 2),) * 2, (1, 1)),
    Geometry((3, 3), (2, 2), (1, 1), ((2, 2),) * 2, (1, 1)),  # maps larger than the image
    Geometry((3, 4), (1, 2), (2, 1), ((3, 3), (2, 2)), (1, 1)),
    Geometry((6, 5), (3, 2), (1, 1), ((1, 1), (0, 0)), (1, 1)),
    Geometry((6, 5), (3, 2), (1, 2), ((1, 1), (0, 0)), (2, 3)),
    Geometry((1, 4, 4), (4, 4, 4), (2, 2, 2), ((1, 2),) * 3, (1, 1, 1)),
]


@pytest.mark.parametrize(
    "geometry",
    [*UNUSUAL[:3], *(pytest.param(geometry, marks=pytest.mark.slow) for geometry in UNUSUAL[3:])],
    ids=str,
)
def test_nor_for_unusual_shapes(geometry):
    """XLA would swap kernel and image where the kernel is the larger, which reverses the window."""

    def scanned(*given):
        def body(given, _):
            return jax.tree.map(lambda a: 1.5 * a, given), three_maps(*given, geometry)

        return jax.lax.scan(body, given, length=2)[1]

    few, many = 3, adjoints.FEW_CHANNELS
    lines, slow = compiled_convolutions(scanned, *operands(geometry, jnp.float32, channels=few))
    assert len(lines) == 2
    assert not slow
    lines, slow = compiled_convolutions(scanned, *operands(geometry, jnp.float32, channels=many))
    steps = (s // math.gcd(s, d) for s, d in zip(geometry.strides, geometry.dilation, strict=True))
    phases = math.prod(map(min, steps, geometry.kernel))
    assert len(lines) == 2 + phases
    assert not slow
