"""Our convolutions are Flax's in everything but speed: parameters, values, every derivative.

Geometries are drawn at random from fixed seeds; `test_the_draws_cover_the_corners` says what is
among them.
"""

import math
import re
from functools import partial
from itertools import product

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax import nets
from gan_jax.errors import Refusal
from gan_jax.nets.layers import adjoints
from tests.nets.layers.comparison import (
    KEY,
    KINDS,
    Case,
    assert_close,
    compiled_convolutions,
    derivatives,
    layers,
    most_derivatives,
    quickly,
    same_under,
    start,
    weigh,
)

SEEDS = range(9)
# Both kinds are made of the same primitives: where one is enough by default, it is the first.
TRANSPOSED_SLOW = ["Conv", pytest.param("ConvTranspose", marks=pytest.mark.slow)]
GROUPED = {"Conv": {"feature_group_count": 2}, "ConvTranspose": {}}


def draw(kind, seed):
    """Draw a layer of one, two or three dimensions that Flax accepts."""
    rng = np.random.default_rng([KINDS.index(kind), 77, seed])
    d = 1 + seed % 3
    size, kernel, strides = (
        rng.integers(1, high, d, endpoint=True) for high in ([8, 5, 3][d - 1], 5 - (d == 3), 3)
    )
    dilation = rng.integers(1, 3, d, endpoint=True) if seed // 2 % 2 else np.ones(d, int)
    extent = (kernel - 1) * dilation + 1
    padding = ["SAME", "VALID", "pairs"][seed // 3 % 3]
    if padding == "VALID" and kind == "Conv":
        size = np.maximum(size, extent)
    elif padding == "pairs":
        dilated = size if kind == "Conv" else (size - 1) * strides + 1
        low, high = rng.choice([-1, 0, 2, 4], (2, d))
        low = np.maximum(low, 1 - dilated)
        high = np.maximum(high, extent - dilated - low)
        padding = [(int(a), int(b)) for a, b in zip(low, high, strict=True)]
    # The adjoint in the image has a way of its own where the images have few channels.
    many = adjoints.FEW_CHANNELS * (seed % 2)
    grouped = GROUPED[kind] if seed % 4 in (1, 2) else {}
    groups = 2 if grouped else 1
    arguments = grouped | {
        "features": groups * (many + int(rng.integers(1, 3, endpoint=True))),
        "kernel_size": tuple(map(int, kernel)),
        "strides": tuple(map(int, strides)),
        "padding": padding,
        "kernel_dilation": tuple(map(int, dilation)),
        "use_bias": bool(seed // 2 % 2),
    }
    channels = groups * (many + int(rng.integers(1, 3, endpoint=True)))
    return Case(arguments, (2, *map(int, size), channels))


@pytest.mark.parametrize(
    "seed", [*SEEDS[:3], *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[3:])]
)
@pytest.mark.parametrize("kind", TRANSPOSED_SLOW)
def test_values_and_derivatives_of_any_geometry(kind, seed):
    with jax.enable_x64(True):
        results = same_under(most_derivatives, kind, draw(kind, seed), jnp.float64, 1e-10)
    assert all(map(np.any, jax.tree.leaves(jax.device_get(results))))


@pytest.mark.parametrize("kind", TRANSPOSED_SLOW)
def test_derivatives_of_every_mode(kind):
    arguments = {"features": 2, "kernel_size": (2, 2), "strides": (2, 1), "kernel_dilation": (1, 2)}
    case = Case(arguments | GROUPED[kind], (2, 3, 4, 2))
    with jax.enable_x64(True):
        results = same_under(derivatives, kind, case, jnp.float64, 1e-10)
    assert len(results) == 8
    assert all(map(np.any, jax.tree.leaves(jax.device_get(results))))


def on_an_axis(holds):
    """Whether an axis with more than one tap has such a dilation and stride."""
    return lambda n, k, s, d, p: any(
        size > 1 and holds(hole, stride) for size, stride, hole in zip(k, s, d, strict=True)
    )


CORNERS = {
    "one dimension": lambda n, k, s, d, p: len(n) == 1,
    "two dimensions": lambda n, k, s, d, p: len(n) == 2,
    "three dimensions": lambda n, k, s, d, p: len(n) == 3,
    "no strides": lambda n, k, s, d, p: set(s) == {1},
    "strides beyond the kernel": lambda n, k, s, d, p: np.any(np.greater(s, k)),
    "a kernel larger than the image": lambda n, k, s, d, p: math.prod(k) > math.prod(n),
    "no kernel dilation": lambda n, k, s, d, p: set(d) == {1},
    "kernel dilation without strides": on_an_axis(lambda d, s: d > 1 == s),
    "kernel dilation and strides of one factor": on_an_axis(lambda d, s: math.gcd(d, s) > 1),
    "kernel dilation and other strides": on_an_axis(lambda d, s: min(d, s) > 1 == math.gcd(d, s)),
    "SAME": lambda n, k, s, d, p: p == "SAME",
    "VALID": lambda n, k, s, d, p: p == "VALID",
    "cropped": lambda n, k, s, d, p: isinstance(p, list) and np.min(p) < 0,
    "padded beyond the kernel": lambda n, k, s, d, p: (
        isinstance(p, list) and np.any(np.max(p, 1) >= k)
    ),
}


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_draws_cover_the_corners(kind, corner):
    cases = [draw(kind, seed) for seed in SEEDS]
    names = "kernel_size", "strides", "kernel_dilation", "padding"
    assert any(CORNERS[corner](c.shape[1:-1], *map(c.arguments.get, names)) for c in cases)


@pytest.mark.parametrize("kind", TRANSPOSED_SLOW)
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


@pytest.mark.parametrize("kind", TRANSPOSED_SLOW)
def test_in_single_precision(kind):
    case = Case({"features": 3, "kernel_size": (3, 4), "strides": (2, 1)}, (4, 6, 5, 2))
    same_under(most_derivatives, kind, case, jnp.float32, 1e-5)


@pytest.mark.parametrize("more", [0, pytest.param(adjoints.FEW_CHANNELS, marks=pytest.mark.slow)])
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


FRAMES = [0, pytest.param(3, marks=pytest.mark.slow)]
"""Images, or clips of so many frames."""


def of_frames(frames, case):
    """Add a first spatial axis, with two taps and a stride of 2, to the case of images."""
    if not frames:
        return case
    more = {"kernel_size": 2, "strides": 2, "kernel_dilation": 1}
    longer = {name: (first, *case.arguments[name]) for name, first in more.items()}
    return Case(case.arguments | longer, (case.shape[0], frames, *case.shape[1:]))


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
@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_vmap_over_parameters_inputs_and_both(kind, frames):
    arguments = {"features": 2, "kernel_size": (3, 2), "strides": (2, 1), "kernel_dilation": (1, 2)}
    case = of_frames(frames, Case(arguments | GROUPED[kind], (2, 4, 3, 2)))
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


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("kind", TRANSPOSED_SLOW)
def test_nested_vmap_and_scan(kind, frames):
    arguments = {"features": 2, "kernel_size": (2, 2), "strides": (1, 2), "kernel_dilation": (1, 2)}
    case = of_frames(frames, Case(arguments | GROUPED[kind], (3, 3, 4, 2)))
    with jax.enable_x64(True):
        same_under(nested_and_looped, kind, case, jnp.float64, 1e-10)


def penalised(layer, at, direction):
    """A value, its derivatives and those of a penalty on its gradient: alone, mapped in a scan."""

    def critic(at):
        return weigh(layer.apply(*at))

    def loss(at):
        slope = jax.grad(critic)(at)[1]
        return critic(at) + jnp.vdot(slope, slope)

    def derived(at):
        return layer.apply(*at), jax.grad(critic)(at), jax.grad(loss)(at)

    nested = jax.tree.map(
        lambda a, b: jnp.stack([jnp.stack([a, b]), jnp.stack([b, a])]), at, direction
    )
    return derived(at), jax.lax.map(jax.vmap(derived), nested)


HALVING = {"kernel_size": (4, 4, 4), "strides": (2, 2, 2)}
WINDOWS = [
    HALVING,
    {"kernel_size": (2, 4, 4), "strides": (1, 2, 2)},
    {"kernel_size": (3, 3, 3), "strides": (1, 1, 1)},
]
PADDINGS = ["SAME", "VALID", ((1, 0), (0, 2), (-1, 1))]
BY_DEFAULT = {("Conv", 0, 0), ("ConvTranspose", 1, 2)}


@pytest.mark.parametrize(
    ("kind", "window", "padding"),
    [
        pytest.param(*case, marks=() if case in BY_DEFAULT else pytest.mark.slow)
        for case in product(KINDS, range(len(WINDOWS)), range(len(PADDINGS)))
    ],
)
def test_gradient_penalties_of_clips(kind, window, padding):
    images, maps = adjoints.FEW_CHANNELS if window == padding else 1, 2
    channels, features = (images, maps) if kind == "Conv" else (maps, images)
    arguments = {"features": features, "padding": PADDINGS[padding], **WINDOWS[window]}
    case = Case(arguments, (2, 4, 5, 5, channels))
    with jax.enable_x64(True):
        results = same_under(penalised, kind, case, jnp.float64, 1e-10)
    assert all(map(np.any, jax.tree.leaves(jax.device_get(results))))


@pytest.mark.parametrize("groups", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_groups_and_kernel_dilation_of_dilated_images(groups):
    arguments = {
        "features": 4,
        "kernel_size": (3, 2),
        "padding": ((1, 2), (0, 1)),
        "input_dilation": (2, 3),
        "kernel_dilation": (2, 1),
        "feature_group_count": groups,
    }
    case = Case(arguments, (2, 3, 4, 2))
    with jax.enable_x64(True):
        same_under(most_derivatives, "Conv", case, jnp.float64, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "shape"),
    [
        ({"feature_group_count": 2}, (0, 5, 5, 2)),
        ({"feature_group_count": 2, "strides": 2, "input_dilation": 2, "padding": 1}, (2, 4, 5, 2)),
        ({"feature_group_count": 2, "precision": "highest"}, (2, 4, 5, 2)),
        ({"kernel_dilation": 2, "padding": "CIRCULAR"}, (2, 7, 6, 1)),
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
        ({"strides": 2, "padding": 1, "kernel_dilation": 2}, (2, 5, 5, 1)),
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
    with pytest.raises(Refusal, match='"CIRCULAR"; it must be "SAME", "VALID", or a'):
        jax.eval_shape(layer.init, KEY, jnp.ones((1, 4, 1)))


@pytest.mark.parametrize(
    ("layer", "shape", "kernel", "padded"),
    [
        (nets.Conv(2, (3, 5), padding="VALID"), (1, 3, 4, 1), "3x5", "3x4"),
        (nets.Conv(2, (2,), kernel_dilation=4, padding=1), (1, 2, 1), "5", "4"),
        (nets.Conv(2, (1,), padding=-2), (1, 4, 1), "1", "0"),
        (nets.Conv(2, (4,), 2, "VALID", feature_group_count=2), (1, 3, 2), "4", "3"),
        (nets.Conv(2, (4,), padding="VALID", precision="highest"), (1, 3, 1), "4", "3"),
        (nets.ConvTranspose(2, (4, 2), 2, padding=0), (1, 2, 2, 1), "4x2", "3x3"),
    ],
)
def test_empty_maps_are_refused(layer, shape, kernel, padded):
    with pytest.raises(Refusal) as refusal:
        jax.eval_shape(layer.init, KEY, jnp.ones(shape))
    assert str(refusal.value) == (
        f"A kernel of {kernel} has no place in images that are {padded} with their padding: it may "
        "be as large as they are; take larger images, more padding or a smaller kernel."
    )


def test_a_kernel_as_large_as_the_image_is_the_largest():
    for layer in (nets.Conv(2, (3, 5), padding="VALID"), nets.ConvTranspose(2, (3, 5), padding=0)):
        y, _ = jax.eval_shape(layer.init_with_output, KEY, jnp.ones((1, 3, 5, 1)))
        assert y.shape == (1, 1, 1, 2)


@pytest.mark.parametrize(
    ("channels", "features", "groups"), [(3, 4, 2), (4, 3, 2), (2, 2, 0), (2, 4, 4)]
)
def test_channels_that_do_not_fall_into_groups_are_refused(channels, features, groups):
    layer = nets.Conv(features, (3,), feature_group_count=groups)
    sentence = (
        f"A convolution from {channels} to {features} channels has no {groups} feature groups: "
        "their number must be at least 1 and divide both; choose another, or other channels."
    )
    with pytest.raises(Refusal) as refusal:
        jax.eval_shape(layer.init, KEY, jnp.ones((1, 4, channels)))
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("kind", KINDS)
def test_the_environment_can_choose_jax_s_own_rules(kind, monkeypatch):
    arguments = {"features": 2, "kernel_size": (3, 2), "strides": (2, 3), "kernel_dilation": (1, 2)}
    case = Case(arguments | GROUPED[kind], (2, 4, 3, 2))
    ours, _ = layers(kind, **case.arguments)
    at = start(ours, case.shape)

    def primitives():
        jaxpr = jax.make_jaxpr(jax.grad(lambda at: weigh(ours.apply(*at))))(at)
        return set(re.findall(r"\b(gan_jax_\w+|conv_general_dilated)\[", str(jaxpr)))

    names = {"gan_jax_convolution", "gan_jax_convolution_images", "gan_jax_convolution_kernel"}
    assert primitives() == names
    monkeypatch.setenv("GAN_JAX_PLAIN_CONVOLUTION", "1")
    assert primitives() == {"conv_general_dilated"}
    same_under(partial(derivatives, only=("value", "reverse")), kind, case, jnp.float32, 1e-5)


IN_2D = {"kernel_size": (5, 5)}
VARIANTS = [
    ("Conv", {"strides": (2, 2)} | IN_2D),
    ("Conv", {"feature_group_count": 2, "kernel_dilation": (2, 2)} | IN_2D),
    ("ConvTranspose", {"strides": (2, 2)} | IN_2D),
    ("Conv", HALVING),
    ("ConvTranspose", HALVING),
]


@pytest.mark.parametrize(("kind", "more"), VARIANTS)
def test_only_flax_s_convolutions_are_slow_inside_a_loop(kind, more):
    """Should Flax's be fast, XLA has learnt what we do here."""
    ours, theirs = (loop_of_descents(layer) for layer in layers(kind, features=4, **more))
    assert not compiled_convolutions(*ours)[1]
    assert compiled_convolutions(*theirs)[1]


def loop_of_descents(layer):
    at = start(layer, (4, *(8 for _ in layer.kernel_size), 2))

    def descend(at, _):
        gradient = jax.grad(lambda at: weigh(layer.apply(*at)))(at)
        return jax.tree.map(lambda a, b: a - b, at, gradient), None

    return lambda at: jax.lax.scan(descend, at, length=2)[0], at


@pytest.mark.parametrize(("kind", "more"), VARIANTS)
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_other_platforms_get_jax_s_own_convolutions(kind, more, platform):
    """The programs lowered for an accelerator have the convolutions that Flax's layer has."""
    num_convolutions = []
    for layer in layers(kind, features=2, **more):
        at = start(layer, (2, *(4 for _ in layer.kernel_size), 2))
        gradient = jax.jit(jax.grad(lambda at, layer=layer: weigh(layer.apply(*at))))
        text = gradient.trace(at).lower(lowering_platforms=(platform,)).as_text()
        assert "optimization_barrier" not in text
        assert "while" not in text
        num_convolutions.append(text.count("stablehlo.convolution"))
        groups = re.findall(r"(?:feature|batch)_group_count = ([2-9])", text)
        assert groups == ["2"] * (3 if "feature_group_count" in more else 0)
    assert num_convolutions == [3, 3]


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


@pytest.mark.parametrize("num_devices", [4, pytest.param(2, marks=pytest.mark.slow)])
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


@pytest.mark.parametrize("kind", TRANSPOSED_SLOW)
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
