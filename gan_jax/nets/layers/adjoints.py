"""Convolution, its adjoint in the image and its adjoint in the kernel, as one trilinear form.

For images x, a kernel k and maps y, T(x, k, y) = ⟨conv(x, k), y⟩. Three primitives are the partial
maps (x, k) ↦ y, (k, y) ↦ x and (x, y) ↦ k. Each is bilinear and is differentiated by the other two,
so a derivative of any order, in any mode, is again one of the three.

Why not the rules that JAX has: XLA's CPU backend convolves fast only in the layout NHWC, HWIO, NHWC
and without reversed windows. It rewrites what autodiff makes into that form outside of loops, for
most convolutions, and inside `scan`, `while` and `cond` for none: those run 100 times slower. Here
each of the three is written in that form. On 8 images of 16x16 with 64 channels, a value and both
gradients inside `scan` are 12 times as fast as JAX's for 4 groups (5x5, to 128 channels) and for
dilation 2 (3x3), and 10 times for 64 groups (4x4); outside of it 10 times, equally and 1.4 times.
On other platforms the three are JAX's own convolutions.
The environment variable GAN_JAX_PLAIN_CONVOLUTION=1 uses JAX's own rules everywhere.
"""

import math
import os
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from gan_jax.errors import Refusal

Images = Float[Array, "num *image in"]
Kernel = Float[Array, "*kernel in out"]
Maps = Float[Array, "num *map out"]

FEW_CHANNELS = 16
"""Where the images have fewer, their adjoint is the faster as a product."""


class Geometry(NamedTuple):
    """The spatial shapes of x and k, and how the one slides over the other."""

    image: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, ...]:
        """The spatial shape of k with its holes."""
        return _dilated(self.kernel, self.dilation)

    @property
    def map(self) -> tuple[int, ...]:
        """The spatial shape of y."""
        axes = _axes(self.image, self.extent, self.strides, self.padding)
        return tuple((n + sum(pads) - k) // stride + 1 for n, k, stride, pads in axes)


def convolve(x: Images, k: Kernel, geometry: Geometry) -> Maps:
    """Compute y[i] = Σ_j x[i · stride + j · dilation - low] k[j]: a network's convolution."""
    return _maps.bind(x[None], k[None], geometry=geometry)[0]


def convolve_adjoint(y: Maps, k: Kernel, geometry: Geometry) -> Images:
    """Compute the x for which ⟨x', x⟩ = ⟨convolve(x', k), y⟩ for all x': convolve transposed."""
    return _images.bind(y[None], k[None], geometry=geometry)[0]


def conv_general_dilated(
    lhs,
    rhs,
    window_strides,
    padding,
    lhs_dilation=None,
    rhs_dilation=None,
    dimension_numbers=None,
    feature_group_count=1,
    precision=None,
):
    """Convolve as `jax.lax.conv_general_dilated` does, for images channels last.

    Strides or input dilation, kernel dilation and feature groups go through the primitives of this
    file. What they do not cover (both strides and input dilation, an explicit precision) goes to
    `jax.lax`, and so does all with GAN_JAX_PLAIN_CONVOLUTION=1 in the environment.

    Raises:
        ValueError: the maps would be empty, the channels are no multiple of the groups, or the
            dimension numbers are not those of channels last.
    """
    numbers = _channels_last(lhs.ndim - 2)
    if lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers or numbers) != numbers:
        raise Refusal(
            f"dimension_numbers are {dimension_numbers}; this convolution takes images and kernels "
            "with channels last, as in NHWC and HWIO: transpose them first."
        )
    check_groups(lhs.shape[-1], rhs.shape[-1], feature_group_count)
    ones = (1,) * (lhs.ndim - 2)
    strides = tuple(window_strides)
    lhs_dilation, rhs_dilation = (tuple(d or ones) for d in (lhs_dilation, rhs_dilation))
    image, kernel = _dilated(lhs.shape[1:-1], lhs_dilation), rhs.shape[:-2]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(image, _dilated(kernel, rhs_dilation), strides, padding)
    pads = tuple((int(low), int(high)) for low, high in padding)
    geometry = Geometry(image, kernel, strides, pads, rhs_dilation)
    _check_maps(geometry)
    plain = os.environ.get("GAN_JAX_PLAIN_CONVOLUTION") == "1"
    if plain or precision is not None or ones not in (strides, lhs_dilation):
        return lax.conv_general_dilated(
            lhs,
            rhs,
            strides,
            pads,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            dimension_numbers=numbers,
            feature_group_count=feature_group_count,
            precision=precision,
        )
    function = partial(convolve, geometry=geometry)
    if lhs_dilation != ones:
        function = partial(_convolve_dilated, geometry=geometry, dilation=lhs_dilation)
    return _by_group(function, lhs, rhs, feature_group_count)


def check_groups(channels: int, features: int, groups: int) -> None:
    """Raise ValueError unless channels and features fall into groups of one size each."""
    if groups < 1 or channels % groups or features % groups:
        raise Refusal(
            f"A convolution from {channels} to {features} channels has no {groups} feature groups: "
            "their number must be at least 1 and divide both; choose another, or other channels."
        )


def _check_maps(geometry):
    if min(geometry.map, default=1) < 1:
        padded = (n + sum(pads) for n, pads in _axes(geometry.image, geometry.padding))
        image, kernel = ("x".join(map(str, size)) for size in (padded, geometry.extent))
        raise Refusal(
            f"A kernel of {kernel} has no place in images that are {image} with their padding: it "
            "may be as large as they are; take larger images, more padding or a smaller kernel."
        )


def _convolve_dilated(x, k, geometry, dilation):
    """Convolve the images dilated by `dilation`: the adjoint of a convolution with that stride."""
    pads = tuple(
        (size - 1 - low, size - 1 - high)
        for size, (low, high) in _axes(geometry.extent, geometry.padding)
    )
    mirrored = jnp.flip(k, range(k.ndim - 2)).swapaxes(-1, -2)
    return convolve_adjoint(
        x, mirrored, Geometry(geometry.map, geometry.kernel, dilation, pads, geometry.dilation)
    )


def _by_group(function, x, k, groups):
    """Convolve each group of channels on its own; `vmap` makes the primitives' axis of groups."""
    if groups == 1:
        return function(x, k)
    split = (a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups) for a in (x, k))
    y = jax.vmap(function, -2, -2)(*split)
    return lax.collapse(y, y.ndim - 2)


def _plain_maps(x, k, geometry):
    return _convolve(
        x,
        k,
        window_strides=geometry.strides,
        padding=geometry.padding,
        rhs_dilation=geometry.dilation,
    )


def _plain_images(y, k, geometry):
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.image, k.shape[-2]), y.dtype)
    return jax.linear_transpose(lambda x: _plain_maps(x, k, geometry), x)(y)[0]


def _plain_kernel(x, y, geometry):
    k = jax.ShapeDtypeStruct((*geometry.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda k: _plain_maps(x, k, geometry), k)(y)[0]


def _cpu_maps(x, k, geometry):
    return _convolve_unswapped(
        x, k, geometry.padding, window_strides=geometry.strides, rhs_dilation=geometry.dilation
    )


def _cpu_images(y, k, geometry):
    """Make each phase of the images, the pixels of one residue modulo the strides, on its own.

    Pixel q · stride + r meets tap j where r + low - j · dilation is a multiple of the stride: for
    one tap of every `step`. Their maps lie `spacing` apart, and the first of them at q + shift: a
    phase is a convolution without strides.
    """
    strides, d = geometry.strides, len(geometry.kernel)
    size = [-(-n // stride) for n, stride in _axes(geometry.image, strides)]
    make = _by_products if k.shape[-2] < FEW_CHANNELS else _by_convolution
    common = [math.gcd(*axis) for axis in _axes(strides, geometry.dilation)]
    step, spacing = (
        [n // c for n, c in _axes(axes, common)] for axes in (strides, geometry.dilation)
    )
    phase = make(y, k, size, step, spacing, geometry.map)

    def interleaved(starts):
        """Merge the phases that have these (shift, first) along the first axes."""
        axis = len(starts)
        if axis == d:
            return phase(*zip(*starts, strict=True))
        low, stride, dilation = geometry.padding[axis][0], strides[axis], geometry.dilation[axis]
        phases = [
            interleaved((*starts, _first_tap(r + low, stride, dilation, geometry.kernel[axis])))
            for r in range(stride)
        ]
        return lax.collapse(jnp.stack(phases, axis + 2), axis + 1, axis + 3)

    return interleaved(())[(slice(None), *map(slice, geometry.image))]


def _first_tap(position, stride, dilation, num_taps):
    """Find the map and the tap for which map · stride + tap · dilation is the position."""
    for tap in range(num_taps):
        shift, rest = divmod(position - tap * dilation, stride)
        if not rest:
            return shift, tap
    return 0, num_taps


def _by_convolution(y, k, size, step, spacing, maps):
    """A phase is y convolved with its taps, reversed."""

    def phase(shifts, firsts):
        taps = k[tuple(slice(*axis) for axis in _axes(firsts, k.shape[:-2], step))]
        if 0 in taps.shape:
            return jnp.zeros((y.shape[0], *size, k.shape[-2]), y.dtype)
        mirrored = jnp.flip(taps, range(len(size))).swapaxes(-1, -2)
        per_axis = _axes(_dilated(mirrored.shape[:-2], spacing), shifts, size, maps)
        pads = [(extent - 1 - shift, n + shift - m) for extent, shift, n, m in per_axis]
        return _convolve_unswapped(y, mirrored, pads, rhs_dilation=tuple(spacing))

    return phase


def _by_products(y, k, size, step, spacing, maps):
    """A phase is the sum of its taps' products with y, shifted; all products are made at once."""
    d = len(size)
    products = lax.dot_general(
        y,
        k,
        (((d + 1,), (d + 1,)), ((), ())),
        preferred_element_type=jnp.promote_types(y.dtype, jnp.float32),
    )
    zero = jnp.zeros((), products.dtype)

    def phase(shifts, firsts):
        def shifted(taps):
            tap = products[(slice(None), *[slice(None)] * d, *taps)]
            per_axis = _axes(taps, step, spacing, shifts, size, maps)
            grown = [(j // by * apart - shift, n - m) for j, by, apart, shift, n, m in per_axis]
            pads = [(before, total - before, 0) for before, total in grown]
            return lax.pad(tap, zero, [(0, 0, 0), *pads, (0, 0, 0)])

        ranges = [range(*axis) for axis in _axes(firsts, k.shape[:-2], step)]
        zeros = jnp.zeros((y.shape[0], *size, k.shape[-2]), products.dtype)
        return sum(map(shifted, product(*ranges)), start=zeros).astype(y.dtype)

    return phase


def _cpu_kernel(x, y, geometry):
    """Convolve the images with the maps, batch and channels, strides and dilation, exchanged."""
    padding = [
        (low, (m - 1) * stride + size - n - low)
        for n, size, m, stride, (low, _) in _axes(
            geometry.image, geometry.extent, geometry.map, geometry.strides, geometry.padding
        )
    ]
    gradient = _convolve_unswapped(
        x.swapaxes(0, -1),
        jnp.moveaxis(y, 0, -2),
        padding,
        window_strides=geometry.dilation,
        rhs_dilation=geometry.strides,
    )
    return jnp.moveaxis(gradient, 0, -2)


def _convolve_unswapped(x, k, padding, *, window_strides=None, rhs_dilation=None):
    """Convolve in at most two dimensions; pad before, where the kernel is larger than the images.

    XLA would otherwise let the two change places, which reverses the window: the slow path.
    """
    d = x.ndim - 2
    strides, dilation = window_strides or (1,) * d, rhs_dilation or (1,) * d
    if d > 2:
        return _by_frames(x, k, padding, strides, dilation)
    if math.prod(k.shape[:-2]) > math.prod(x.shape[1:-1]):
        pads = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
        x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), pads))
        padding = [(0, 0)] * d
    return _convolve(x, k, padding=padding, window_strides=strides, rhs_dilation=dilation)


def _by_frames(x, k, padding, strides, dilation):
    """Join the frames that meet one frame's taps as channels, and convolve without the first axis.

    A step of the GAN in `experiments.benchmarks.video` is 4.5 times as fast as by XLA's convolution
    in three dimensions, for images that are copied `taps / stride` times.
    """
    pads = [(0, 0, 0)] * x.ndim
    pads[1] = (*padding[0], 0)
    x = lax.pad(x, jnp.zeros((), x.dtype), pads)
    num_taps, stride, hole = k.shape[0], strides[0], dilation[0]
    last = x.shape[1] - (num_taps - 1) * hole
    met = [lax.slice_in_dim(x, j * hole, j * hole + last, stride, 1) for j in range(num_taps)]
    joined = jnp.concatenate(met, -1)
    taps = lax.collapse(jnp.moveaxis(k, 0, -3), k.ndim - 3, k.ndim - 1)
    y = _convolve_unswapped(
        lax.collapse(joined, 0, 2),
        taps,
        padding[1:],
        window_strides=strides[1:],
        rhs_dilation=dilation[1:],
    )
    return y.reshape(*joined.shape[:2], *y.shape[1:])


def _convolve(x, k, *, padding, window_strides=None, rhs_dilation=None):
    d = x.ndim - 2
    return lax.conv_general_dilated(
        x,
        k,
        window_strides=window_strides or (1,) * d,
        padding=padding,
        rhs_dilation=rhs_dilation,
        dimension_numbers=_channels_last(d),
    )


def _channels_last(d):
    images = (0, d + 1, *range(1, d + 1))
    return lax.ConvDimensionNumbers(images, (d + 1, d, *range(d)), images)


_axes = partial(zip, strict=True)


def _dilated(sizes, dilation):
    return tuple((n - 1) * d + 1 for n, d in _axes(sizes, dilation))


# Each operand has a leading axis of groups, which do not mix. Two operands share one more axis
# each, and `vmap` folds into it what is mapped in one operand alone.
_SHARED_AXIS = {
    ("x", "y"): 1,
    ("y", "x"): 1,
    ("x", "k"): -1,
    ("k", "x"): -2,
    ("y", "k"): -1,
    ("k", "y"): -1,
}


def _primitive(name: str, operands: str, result: str, plain: Callable, cpu: Callable):
    primitive = Primitive(f"gan_jax_{name}")

    def grouped(function, map_groups, a, b, *, geometry):
        if a.shape[0] == 1:
            return function(a[0], b[0], geometry)[None]
        return map_groups(lambda pair: function(*pair, geometry), (a, b))

    def batch(arrays, axes, *, geometry):
        bind = partial(primitive.bind, geometry=geometry)
        if None not in axes:
            folded = [_fold(array, axis, 0) for array, axis in zip(arrays, axes, strict=True)]
            return _unfold(bind(*folded), arrays[0].shape[axes[0]], 0)
        which = 0 if axes[1] is None else 1
        shared_in = _SHARED_AXIS[operands[which], result]
        shared_out = _SHARED_AXIS[result, operands[which]]
        folded = list(arrays)
        folded[which] = _fold(arrays[which], axes[which], shared_in)
        return _unfold(bind(*folded), arrays[which].shape[axes[which]], shared_out)

    # JAX maps a convolution over both operands as one with feature groups, also for the adjoints.
    everywhere = partial(grouped, plain, lambda f, pair: jax.vmap(f)(pair))
    on_cpu = partial(grouped, cpu, lax.map)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames="geometry"))
    primitive.def_abstract_eval(
        lambda a, b, *, geometry: a.update(
            shape=jax.eval_shape(partial(everywhere, geometry=geometry), a, b).shape
        )
    )
    mlir.register_lowering(primitive, mlir.lower_fun(everywhere, multiple_results=False))
    mlir.register_lowering(
        primitive, mlir.lower_fun(on_cpu, multiple_results=False), platform="cpu"
    )
    batching.primitive_batchers[primitive] = batch
    return primitive


def _fold(array, axis, into):
    """Move the mapped axis before the axis `into` of the rest, and merge the two."""
    into %= array.ndim - 1
    moved = jnp.moveaxis(array, axis, into)
    return lax.collapse(moved, into, into + 2)


def _unfold(array, size, axis):
    axis %= array.ndim
    rest = array.shape[axis] // size
    return array.reshape(*array.shape[:axis], size, rest, *array.shape[axis + 1 :]), axis


_maps = _primitive("convolution", "xk", "y", _plain_maps, _cpu_maps)
_images = _primitive("convolution_images", "yk", "x", _plain_images, _cpu_images)
_kernel = _primitive("convolution_kernel", "xy", "k", _plain_kernel, _cpu_kernel)

ad.defbilinear(
    _maps,
    lambda y, x, k, *, geometry: _images.bind(y, k, geometry=geometry),
    lambda y, x, k, *, geometry: _kernel.bind(x, y, geometry=geometry),
)
ad.defbilinear(
    _images,
    lambda x, y, k, *, geometry: _maps.bind(x, k, geometry=geometry),
    lambda x, y, k, *, geometry: _kernel.bind(x, y, geometry=geometry),
)
ad.defbilinear(
    _kernel,
    lambda k, x, y, *, geometry: _images.bind(y, k, geometry=geometry),
    lambda k, x, y, *, geometry: _maps.bind(x, k, geometry=geometry),
)
