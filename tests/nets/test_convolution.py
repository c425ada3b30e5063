"""Our convolutions are Flax's in everything but speed: parameters, values, every derivative.

Geometries are drawn at random from fixed seeds; `test_the_draws_cover_the_corners` says what is
among them. The programs are small and run once each, so the compiler need not optimise them.
"""

import math
import re
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax import nets
from gan_jax.nets import convolution
from gan_jax.nets.convolution import Geometry, convolve, convolve_adjoint

KEY = jax.random.key(0)
KINDS = ["Conv", "ConvTranspose"]
SEEDS = range(9)
quickly = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Case(NamedTuple):
    """A layer's arguments and the shape of what it is given."""

    arguments: dict[str, Any]
    shape: tuple[int, ...]


def draw(kind, seed):
    """Draw a layer of one, two or three dimensions that Flax accepts."""
    rng = np.random.default_rng([KINDS.index(kind), 2, seed])
    d = 1 + seed % 3
    size, kernel, strides = (
        rng.integers(1, high, d, endpoint=True) for high in ([8, 5, 3][d - 1], 5 - (d == 3), 3)
    )
    padding = ["SAME", "VALID", "pairs"][seed // 3 % 3]
    if padding == "VALID" and kind == "Conv":
        size = np.maximum(size, kernel)
    elif padding == "pairs":
        dilated = size if kind == "Conv" else (size - 1) * strides + 1
        low, high = rng.choice([-1, 0, 2, 4], (2, d))
        low = np.maximum(low, 1 - dilated)
        high = np.maximum(high, kernel - dilated - low)
        padding = [(int(a), int(b)) for a, b in zip(low, high, strict=True)]
    # The adjoint in the image has a way of its own where the images have few channels.
    many = convolution.FEW_CHANNELS * (seed % 2)
    arguments = {
        "features": many + int(rng.integers(1, 3, endpoint=True)),
        "kernel_size": tuple(map(int, kernel)),
        "strides": tuple(map(int, strides)),
        "padding": padding,
        "use_bias": bool(seed // 2 % 2),
    }
    channels = many + int(rng.integers(1, 3, endpoint=True))
    return Case(arguments, (2, *map(int, size), channels))


def layers(kind, **arguments):
    return getattr(nets, kind)(**arguments), getattr(nn, kind)(**arguments)


def start(layer, shape, dtype=jnp.float32, seed=0):
    """Draw variables and an input with NumPy, which has nothing to compile."""
    rng = np.random.default_rng(seed)
    x = jax.ShapeDtypeStruct(shape, dtype)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape), leaf.dtype),
        (jax.eval_shape(layer.init, KEY, x), x),
    )


def weigh(y):
    """A number that no two elements of y enter alike, with derivatives up to the third order."""
    return jnp.vdot(np.cos(np.arange(y.size)).astype(y.dtype), y.ravel() ** 3)


def derivatives(layer, at, direction, only=None):
    """The value, and one of each mix of modes up to the third order, in params and input."""

    def value(at):
        return weigh(layer.apply(*at))

    def along(function):
        return lambda at: jax.jvp(function, (at,), (direction,))[1]

    def dot(function):
        return lambda at: sum(jax.tree.leaves(jax.tree.map(jnp.vdot, function(at), direction)))

    gradient = jax.grad(value)
    modes = {
        "value": lambda at: layer.apply(*at),
        "forward": along(value),
        "reverse": gradient,
        "forward over reverse": along(gradient),
        "reverse over forward": jax.grad(along(value)),
        "reverse over reverse": jax.grad(dot(gradient)),
        "reverse over forward over reverse": jax.grad(dot(along(gradient))),
        "forward over reverse over reverse": along(jax.grad(dot(gradient))),
    }
    return {mode: modes[mode](at) for mode in only or modes}


# One mix that uses every rule.
most_derivatives = partial(
    derivatives, only=("value", "reverse", "reverse over forward over reverse")
)


def assert_close(ours, theirs, tolerance):
    """Compare trees; round-off is relative to the largest element of a leaf."""
    chex.assert_trees_all_equal_shapes_and_dtypes(ours, theirs)
    for (path, a), b in zip(jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        scale = np.max(np.abs(b), initial=0)
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=name)


def same_under(program, kind, case, dtype, tolerance):
    """Run one program of (layer, (variables, x), direction) with our layer and with Flax's."""
    ours, theirs = layers(kind, **case.arguments, param_dtype=dtype)
    at, direction = (start(ours, case.shape, dtype, seed) for seed in (0, 1))
    results = [quickly(partial(program, layer))(at, direction) for layer in (ours, theirs)]
    assert_close(*results, tolerance)
    return results[0]


@pytest.mark.parametrize(
    "seed", [*SEEDS[:4], *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[4:])]
)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_derivatives_of_any_geometry(kind, seed):
    with jax.enable_x64(True):
        results = same_under(most_derivatives, kind, draw(kind, seed), jnp.float64, 1e-10)
    assert all(map(np.any, jax.tree.leaves(jax.device_get(results))))


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_every_mode(kind):
    case = Case({"features": 2, "kernel_size": (3, 2), "strides": (2, 1)}, (2, 3, 4, 2))
    with jax.enable_x64(True):
        results = same_under(derivatives, kind, case, jnp.float64, 1e-10)
    assert len(results) == 8
    assert all(map(np.any, jax.tree.leaves(jax.device_get(results))))


CORNERS = {
    "one dimension": lambda n, k, s, p: len(n) == 1,
    "two dimensions": lambda n, k, s, p: len(n) == 2,
    "three dimensions": lambda n, k, s, p: len(n) == 3,
    "no strides": lambda n, k, s, p: set(s) == {1},
    "strides beyond the kernel": lambda n, k, s, p: np.any(np.greater(s, k)),
    "a kernel larger than the image": lambda n, k, s, p: math.prod(k) > math.prod(n),
    "SAME": lambda n, k, s, p: p == "SAME",
    "VALID": lambda n, k, s, p: p == "VALID",
    "cropped": lambda n, k, s, p: isinstance(p, list) and np.min(p) < 0,
    "padded beyond the kernel": lambda n, k, s, p: (
        isinstance(p, list) and np.any(np.max(p, 1) >= k)
    ),
}


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_draws_cover_the_corners(kind, corner):
    cases = [draw(kind, seed) for seed in SEEDS]
    names = "kernel_size", "strides", "padding"
    assert any(CORNERS[corner](c.shape[1:-1], *map(c.arguments.get, names)) for c in cases)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_key_draws_the_same_parameters(kind):
    arguments = {"features": 3, "kernel_size": (3, 2), "bias_init": nn.initializers.normal()}
    drawn = [
        quickly(layer.init)(KEY, jnp.ones((1, 4, 4, 2))) for layer in layers(kind, **arguments)
    ]
    chex.assert_trees_all_equal(*drawn)
    assert set(drawn[0]["params"]) == {"kernel", "bias"}
    ours, theirs = layers(kind, **arguments, use_bias=False)
    shapes = [jax.eval_shape(layer.init, KEY, jnp.ones((1, 4, 4, 2))) for layer in (ours, theirs)]
    chex.assert_trees_all_equal_shapes_and_dtypes(*shapes)
    assert set(shapes[0]["params"]) == {"kernel"}


@pytest.mark.parametrize("kind", KINDS)
def test_in_single_precision(kind):
    case = Case({"features": 3, "kernel_size": (3, 4), "strides": (2, 1)}, (4, 6, 5, 2))
    same_under(most_derivatives, kind, case, jnp.float32, 1e-5)


@pytest.mark.parametrize("more", [0, convolution.FEW_CHANNELS])
@pytest.mark.parametrize("kind", KINDS)
def test_in_bfloat16(kind, more):
    """Flax's values and gradients, and near those of float32; parameters stay float32."""
    arguments = {"features": 3 + more, "kernel_size": (3, 3), "strides": (2, 2), "use_bias": False}
    exact, _ = layers(kind, **arguments)
    at = start(exact, (4, 6, 6, 2 + more))

    def program(layer, at):
        y, pullback = jax.vjp(layer.apply, *at)
        return y, pullback(np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype))

    ours, theirs, exact = (
        quickly(partial(program, layer))(at)
        for layer in (*layers(kind, **arguments, dtype=jnp.bfloat16), exact)
    )
    assert ours[0].dtype == jnp.bfloat16
    assert_close(ours, theirs, 0.01)
    assert_close(ours[1], exact[1], 0.01)


def test_a_computation_in_bfloat16_adds_in_float32():
    """Read from the program: at run time XLA may keep more bits than it is asked for."""
    layer = nets.ConvTranspose(1, (3, 3), strides=(2, 2), use_bias=False, dtype=jnp.bfloat16)
    lines = jax.jit(layer.apply).lower(*start(layer, (1, 4, 4, 2))).as_text().splitlines()
    sums = [line for line in lines if re.search(r"stablehlo\.(add|dot_general) ", line)]
    assert len(sums) > 9
    assert all(re.search(r"xf32>( loc.*)?$", line) for line in sums)


def in_all_ways_of_vmap(layer, at, direction):
    """Map over the input, the parameters or both, before and after differentiation."""
    stacked = jax.tree.map(lambda a, b: jnp.stack([a, b, a - b], 1), at, direction)

    def loss(variables, x):
        return weigh(layer.apply(variables, x))

    results = {}
    for name, axes in {"params": (1, None), "input": (None, 1), "both": (1, 1)}.items():
        given = [s if axis else a for s, a, axis in zip(stacked, at, axes, strict=True)]
        mapped = jax.vmap(loss, axes)
        results[name] = {
            "value": jax.vmap(layer.apply, axes, out_axes=-1)(*given),
            "grad of vmap": jax.grad(lambda *g, f=mapped: weigh(f(*g)), (0, 1))(*given),
            "vmap of grad": jax.vmap(jax.grad(loss, (0, 1)), axes)(*given),
        }
    return results | {"mixed hessian": jax.jacfwd(jax.grad(loss), 1)(*at)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_vmap_over_parameters_inputs_and_both(kind):
    case = Case({"features": 2, "kernel_size": (3, 2), "strides": (2, 1)}, (2, 4, 3, 2))
    with jax.enable_x64(True):
        same_under(in_all_ways_of_vmap, kind, case, jnp.float64, 1e-10)


def nested_and_looped(layer, at, direction):
    """Seeds of examples, and scans, and derivatives of both, as training nests them."""
    variables, x = at
    seeds = jax.tree.map(lambda a, b: jnp.stack([a, b]), *(tree[0] for tree in (at, direction)))
    examples = x[:, None]

    def loss(variables, x):
        return weigh(layer.apply(variables, x))

    def descend(variables, rate):
        gradient = jax.grad(loss)(variables, x)
        return jax.tree.map(lambda a, b: a - rate * b, variables, gradient), weigh(x)

    def trained(variables):
        return jax.lax.scan(descend, variables, jnp.full(3, 0.1, x.dtype))[0]

    per_example = jax.vmap(jax.grad(loss), (None, 0))
    return {
        "seeds x examples": jax.vmap(per_example, (0, None))(seeds, examples),
        "examples x seeds": jax.vmap(jax.vmap(loss, (0, None)), (None, 0))(seeds, examples),
        "scan": trained(variables),
        "through scan": jax.grad(lambda v: loss(trained(v), x))(variables),
        "seeds of scans": jax.vmap(trained)(seeds),
        "remat": jax.grad(jax.checkpoint(loss))(variables, x),
    }


@pytest.mark.parametrize("kind", ["Conv", pytest.param("ConvTranspose", marks=pytest.mark.slow)])
def test_nested_vmap_and_scan(kind):
    case = Case({"features": 2, "kernel_size": (2, 3), "strides": (1, 2)}, (3, 3, 4, 1))
    with jax.enable_x64(True):
        same_under(nested_and_looped, kind, case, jnp.float64, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "shape"),
    [
        ({"feature_group_count": 2}, (2, 5, 5, 2)),
        ({"kernel_dilation": 2, "strides": 2}, (2, 7, 6, 1)),
        ({"padding": "CIRCULAR", "strides": (2, 1)}, (2, 4, 5, 1)),
        ({"padding": "REFLECT"}, (2, 4, 5, 1)),
        ({"padding": 1}, (2, 4, 1, 1)),
        ({"padding": (0, 2)}, (2, 4, 5, 1)),
        ({"input_dilation": 2, "padding": ((1, 2), (0, 0))}, (2, 4, 5, 1)),
        ({"input_dilation": 2, "padding": 1, "strides": 2}, (2, 4, 5, 1)),
        (
            {"precision": "highest", "mask": jnp.tril(jnp.ones((3, 3)))[..., None, None]},
            (2, 4, 5, 1),
        ),
        ({}, (5, 5, 1)),
        ({}, (2, 1, 5, 5, 1)),
        ({}, (0, 5, 5, 1)),
    ],
)
def test_what_else_flax_s_convolution_takes(more, shape):
    features = 1 if "mask" in more else 2

    def program(layer, at, direction):
        return layer.apply(*at), jax.grad(lambda at: weigh(layer.apply(*at)))(at)

    arguments = {"features": features, "kernel_size": (3, 3), **more}
    same_under(program, "Conv", Case(arguments, shape), jnp.float32, 1e-5)


@pytest.mark.parametrize(
    ("more", "shape"),
    [
        ({"kernel_size": 3}, (2, 5, 1)),
        ({"strides": 2, "padding": 1}, (2, 5, 5, 1)),
        ({"padding": (2, (0, 1))}, (2, 5, 5, 1)),
        ({}, (5, 5, 1)),
        ({}, (2, 3, 5, 5, 1)),
    ],
)
def test_what_else_flax_s_transposed_convolution_takes(more, shape):
    def program(layer, at, direction):
        return layer.apply(*at), jax.grad(lambda at: weigh(layer.apply(*at)))(at)

    arguments = {"features": 2, "kernel_size": (3, 3), **more}
    same_under(program, "ConvTranspose", Case(arguments, shape), jnp.float32, 1e-5)


def test_an_explicit_precision_is_kept():
    """On a CPU it changes nothing; elsewhere it does."""
    layer = nets.Conv(1, (3,), precision="highest")
    at = start(layer, (1, 4, 1))
    text = jax.jit(layer.apply).trace(*at).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("stablehlo.convolution") == 1
    assert "HIGHEST" in text


def test_an_unknown_padding_of_the_transposed_convolution_is_refused():
    layer = nets.ConvTranspose(1, (3,), padding="CIRCULAR")
    with pytest.raises(ValueError, match='"CIRCULAR"; it must be "SAME", "VALID", or a'):
        jax.eval_shape(layer.init, KEY, jnp.ones((1, 4, 1)))


# The three maps of one trilinear form.


def geometries(num):
    """Draw strided, padded and cropped geometries of one, two and three dimensions."""
    rng = np.random.default_rng(0)
    while num:
        d = 1 + num % 3
        image, kernel, strides = (
            tuple(map(int, rng.integers(1, high, d, endpoint=True))) for high in (5, 4 - d // 3, 3)
        )
        padding = tuple((int(a), int(b)) for a, b in rng.integers(-1, 4, (d, 2)))
        geometry = Geometry(image, kernel, strides, padding)
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
        convolution._plain_maps(x, k, geometry),
        convolution._plain_images(y, k, geometry),
        convolution._plain_kernel(x, y, geometry),
    )


def test_eager_is_jit():
    """Outside of `jit` the primitives compile themselves."""
    geometry = Geometry((4, 3), (3, 2), (2, 1), ((1, 0), (0, 2)))
    given = operands(geometry, jnp.float32)
    eager = three_maps(*given, geometry)
    assert_close(eager, quickly(partial(three_maps, geometry=geometry))(*given), 1e-6)


def sum_of_taps(x, k, geometry):
    """The formula in `convolve`, read off: zeros lie outside of the images."""
    y = np.zeros((x.shape[0], *geometry.map, k.shape[-1]))
    for i in product(*map(range, geometry.map)):
        for j in product(*map(range, geometry.kernel)):
            at = [
                a * s + b - low
                for a, s, b, (low, _) in zip(i, geometry.strides, j, geometry.padding, strict=True)
            ]
            if all(0 <= a < n for a, n in zip(at, geometry.image, strict=True)):
                y[(slice(None), *i)] += x[(slice(None), *at)] @ k[j]
    return y


@pytest.mark.parametrize("channels", [3, convolution.FEW_CHANNELS])
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
        found = quickly(partial(three_maps, geometry=geometry))(x, k, y)
        plain = quickly(partial(three_plain_maps, geometry=geometry))(x, k, y)
    assert_close(found, plain, 1e-10)
    x, k, y = map(np.asarray, (x, k, y))
    form = np.vdot(sum_of_taps(x, k, geometry), y)
    scale = sum(np.vdot(a, a) for a in (x, k, y))
    for adjoint, argument in zip(found, (y, x, k), strict=True):
        np.testing.assert_allclose(np.vdot(adjoint, argument), form, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(found[0], sum_of_taps(x, k, geometry), rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("mapped", [*product([False, True], repeat=3)][1:], ids=str)
def test_each_map_is_batched_over_any_axis_of_any_operand(mapped):
    """The oracle is a loop."""
    geometry = Geometry((4, 3), (3, 2), (2, 1), ((1, 0), (0, 2)))
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
        found = quickly(jax.vmap(function, axes, out_axes))(*given)
        one = quickly(function)
        expected = [
            one(*(a if on else b for a, b, on in zip(each, alone[0], mapped, strict=True)))
            for each in alone
        ]
    for result, on, column in zip(found, depends, zip(*expected, strict=True), strict=True):
        assert_close(result, jnp.stack(column) if on else column[0], 1e-10)


# Which program is compiled.


@pytest.mark.parametrize("kind", KINDS)
def test_the_environment_can_choose_jax_s_own_rules(kind, monkeypatch):
    case = Case({"features": 2, "kernel_size": (3, 3), "strides": (2, 3)}, (2, 4, 3, 1))
    ours, _ = layers(kind, **case.arguments)
    at = start(ours, case.shape)

    def primitives():
        jaxpr = jax.make_jaxpr(jax.grad(lambda at: weigh(ours.apply(*at))))(at)
        return set(re.findall(r"\b(gan_jax_\w+|conv_general_dilated)\[", str(jaxpr)))

    names = {"gan_jax_convolution", "gan_jax_convolution_images", "gan_jax_convolution_kernel"}
    assert primitives() == names
    monkeypatch.setenv("GAN_JAX_PLAIN_CONVOLUTION", "1")
    assert primitives() == {"conv_general_dilated"}
    with jax.enable_x64(True):
        same_under(most_derivatives, kind, case, jnp.float64, 1e-10)


GENERATOR = nets.DCGANGenerator(size=16, channels=1, width=convolution.FEW_CHANNELS)
DISCRIMINATOR = nets.DCGANDiscriminator(width=convolution.FEW_CHANNELS)


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


def compiled_convolutions(function, *arguments):
    """List the convolutions of the compiled program, and those that are slow among them."""
    text = jax.jit(function).lower(*arguments).compile().as_text()
    lines = [line for line in text.splitlines() if " convolution(" in line]
    slow = [
        line
        for line in lines
        if "rhs_reversal" in line or not re.search(r"dim_labels=b01f_01io->b01f\b", line)
    ]
    return lines, slow


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


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((6, 5), (3, 2), (1, 1), ((1, 1), (0, 0))),
        Geometry((2, 2), (5, 5), (1, 1), ((2, 2), (2, 2))),  # the kernel is larger than the image
        Geometry((2, 2), (5, 5), (2, 2), ((1, 2), (1, 2))),
        Geometry((3, 3), (2, 2), (1, 1), ((2, 2), (2, 2))),  # the maps are larger than the image
        Geometry((3, 4), (1, 2), (2, 1), ((3, 3), (2, 2))),
    ],
    ids=str,
)
def test_nor_for_unusual_shapes(geometry):
    """XLA would swap kernel and image where the kernel is the larger, which reverses the window."""

    def scanned(*given):
        def body(given, _):
            return jax.tree.map(lambda a: 1.5 * a, given), three_maps(*given, geometry)

        return jax.lax.scan(body, given, length=2)[1]

    few, many = 3, convolution.FEW_CHANNELS
    lines, slow = compiled_convolutions(scanned, *operands(geometry, jnp.float32, channels=few))
    assert len(lines) == 2
    assert not slow
    lines, slow = compiled_convolutions(scanned, *operands(geometry, jnp.float32, channels=many))
    phases = math.prod(map(min, geometry.strides, geometry.kernel))
    assert len(lines) == 2 + phases
    assert not slow


@pytest.mark.parametrize("kind", KINDS)
def test_flax_s_convolutions_are_slow_inside_a_loop(kind):
    """So the test above sees what it is for. Should this fail, XLA has learnt what we do here."""
    layer = layers(kind, features=4, kernel_size=(5, 5), strides=(2, 2))[1]
    variables, x = start(layer, (4, 8, 8, 3))

    def descend(variables, _):
        gradient = jax.grad(lambda v: weigh(layer.apply(v, x)))(variables)
        return jax.tree.map(lambda a, b: a - b, variables, gradient), None

    assert compiled_convolutions(lambda v: jax.lax.scan(descend, v, length=2)[0], variables)[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_other_platforms_get_jax_s_own_convolutions(kind, platform):
    """The programs lowered for an accelerator have the convolutions that Flax's layer has."""
    found = []
    for layer in layers(kind, features=2, kernel_size=(5, 5), strides=(2, 2)):
        at = start(layer, (2, 4, 4, 1))
        gradient = jax.jit(jax.grad(lambda at, layer=layer: weigh(layer.apply(*at))))
        text = gradient.trace(at).lower(lowering_platforms=(platform,)).as_text()
        assert "optimization_barrier" not in text
        assert "while" not in text
        found.append(text.count("stablehlo.convolution"))
    assert found == [3, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_one_program_for_several_platforms(kind):
    ours, theirs = layers(kind, features=2, kernel_size=(3, 3), strides=(2, 2))
    at = start(ours, (2, 4, 4, 1))
    exported = jax.export.export(jax.jit(ours.apply), platforms=("cpu", "cuda", "tpu"))(*at)
    assert_close(exported.call(*at), theirs.apply(*at), 1e-5)


# Several devices.


def layer_gradient(kind):
    ours, _ = layers(kind, features=2, kernel_size=(3, 3), strides=(2, 2))
    variables, x = start(ours, (8, 4, 4, 1))

    def gradient(variables, x):
        def loss(variables, x):
            return jnp.mean(jnp.square(ours.apply(variables, x) - 1))

        return jax.grad(loss, (0, 1))(variables, x)

    return gradient, variables, x


@pytest.mark.parametrize("num_devices", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_sharded_jit_gives_the_same_gradients(kind, num_devices):
    gradient, variables, x = layer_gradient(kind)
    mesh = Mesh(np.array(jax.devices()[:num_devices]), ("data",))
    sharded = NamedSharding(mesh, PartitionSpec("data"))
    replicated = NamedSharding(mesh, PartitionSpec())
    step = quickly(
        gradient, in_shardings=(replicated, sharded), out_shardings=(replicated, sharded)
    )
    assert_close(step(variables, x), gradient(variables, x), 1e-5)
    text = step.lower(variables, x).compile().as_text()
    assert "all-reduce" in text
    assert not re.search("all-gather|all-to-all|collective-permute", text)


@pytest.mark.parametrize("kind", KINDS)
def test_pmap_and_shard_map_give_the_same_gradients(kind):
    gradient, variables, x = layer_gradient(kind)
    expected = gradient(variables, x)
    halves = x.reshape(2, 4, *x.shape[1:])
    mesh = Mesh(np.array(jax.devices()[:2]), ("data",))
    data, everywhere = PartitionSpec("data"), PartitionSpec()

    def step(variables, x):
        in_variables, in_x = gradient(variables, x)
        return jax.lax.pmean(in_variables, "data"), in_x / 2

    mapped = jax.pmap(step, axis_name="data", in_axes=(None, 0), devices=jax.devices()[:2])
    in_variables, in_x = mapped(variables, halves)
    assert_close(
        (jax.tree.map(lambda a: a[1], in_variables), in_x.reshape(x.shape)), expected, 1e-5
    )
    sharded = jax.shard_map(
        step,
        mesh=mesh,
        in_specs=(everywhere, data),
        out_specs=(everywhere, data),
        check_vma=False,
    )
    assert_close(quickly(sharded)(variables, x), expected, 1e-5)
