"""Convolution, its adjoint in the image and its adjoint in the kernel, as one trilinear form.

For images x, a kernel k and maps y, T(x, k, y) = ⟨conv(x, k), y⟩. Three primitives are the partial
maps (x, k) ↦ y, (k, y) ↦ x and (x, y) ↦ k. Each is bilinear and is differentiated by the other two,
so a derivative of any order, in any mode, is again one of the three.

Why not the rules that JAX has: XLA's CPU backend convolves fast only in the layout NHWC, HWIO, NHWC
and without reversed windows. It rewrites what autodiff makes into that form outside of loops, for
most convolutions, and inside `scan`, `while` and `cond` for none: those run 100 times slower. Here
each of the three is written in that form. On other platforms they are JAX's own convolutions.
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

    @property
    def map(self) -> tuple[int, ...]:
        """The spatial shape of y."""
        axes = _axes(self.image, self.kernel, self.strides, self.padding)
        return tuple((n + sum(pads) - k) // stride + 1 for n, k, stride, pads in axes)


def convolve(x: Images, k: Kernel, geometry: Geometry) -> Maps:
    """Compute y[i] = Σ_j x[i · stride + j - low] k[j]: what networks call a convolution."""
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

    Strided or input-dilated convolutions go through the primitives of this file. What they do not
    cover (kernel dilation, feature groups, both strides and input dilation, an explicit precision)
    goes to `jax.lax`, and so does all with GAN_JAX_PLAIN_CONVOLUTION=1 in the environment.
    """
    ones = (1,) * (lhs.ndim - 2)
    strides, dilation = tuple(window_strides), tuple(lhs_dilation or ones)
    covered = (
        ones in (strides, dilation)
        and tuple(rhs_dilation or ones) == ones
        and feature_group_count == 1
        and precision is None
        and os.environ.get("GAN_JAX_PLAIN_CONVOLUTION") != "1"
    )
    if not covered:
        return lax.conv_general_dilated(
            lhs,
            rhs,
            window_strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            dimension_numbers=dimension_numbers or _channels_last(lhs.ndim - 2),
            feature_group_count=feature_group_count,
            precision=precision,
        )
    size, kernel = lhs.shape[1:-1], rhs.shape[:-2]
    dilated = [(n - 1) * d + 1 for n, d in zip(size, dilation, strict=True)]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(dilated, kernel, strides, padding)
    pads = tuple((int(low), int(high)) for low, high in padding)
    if dilation == ones:
        return convolve(lhs, rhs, Geometry(size, kernel, strides, pads))
    image = tuple(n + sum(pad) - k + 1 for n, k, pad in zip(dilated, kernel, pads, strict=True))
    adjoint_pads = tuple(
        (k - 1 - low, k - 1 - high) for k, (low, high) in zip(kernel, pads, strict=True)
    )
    mirrored = jnp.flip(rhs, range(rhs.ndim - 2)).swapaxes(-1, -2)
    return convolve_adjoint(lhs, mirrored, Geometry(image, kernel, dilation, adjoint_pads))


def _plain_maps(x, k, geometry):
    return _convolve(x, k, window_strides=geometry.strides, padding=geometry.padding)


def _plain_images(y, k, geometry):
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.image, k.shape[-2]), y.dtype)
    return jax.linear_transpose(lambda x: _plain_maps(x, k, geometry), x)(y)[0]


def _plain_kernel(x, y, geometry):
    k = jax.ShapeDtypeStruct((*geometry.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda k: _plain_maps(x, k, geometry), k)(y)[0]


def _cpu_maps(x, k, geometry):
    return _convolve_unswapped(x, k, geometry.padding, window_strides=geometry.strides)


def _cpu_images(y, k, geometry):
    """Make each phase of the images, the pixels of one residue modulo the strides, on its own.

    Pixel q · stride + r is the sum over a of y[q + shift - a] times tap first + a · stride, where
    r + low = shift · stride + first: a convolution without strides or holes.
    """
    strides, d = geometry.strides, len(geometry.kernel)
    size = [-(-n // stride) for n, stride in _axes(geometry.image, strides)]
    make = _by_products if k.shape[-2] < FEW_CHANNELS else _by_convolution
    phase = make(y, k, size, geometry)

    def interleaved(starts):
        """Merge the phases that have these (shift, first) along the first axes."""
        axis = len(starts)
        if axis == d:
            return phase(*zip(*starts, strict=True))
        low, stride = geometry.padding[axis][0], strides[axis]
        phases = [interleaved((*starts, divmod(r + low, stride))) for r in range(stride)]
        return lax.collapse(jnp.stack(phases, axis + 2), axis + 1, axis + 3)

    return interleaved(())[(slice(None), *map(slice, geometry.image))]


def _by_convolution(y, k, size, geometry):
    """A phase is y convolved with its taps, reversed."""

    def phase(shifts, firsts):
        taps = k[tuple(slice(first, None, s) for first, s in _axes(firsts, geometry.strides))]
        if 0 in taps.shape:
            return jnp.zeros((y.shape[0], *size, k.shape[-2]), y.dtype)
        mirrored = jnp.flip(taps, range(len(size))).swapaxes(-1, -2)
        per_axis = _axes(mirrored.shape[:-2], shifts, size, geometry.map)
        pads = [(count - 1 - shift, n + shift - m) for count, shift, n, m in per_axis]
        return _convolve_unswapped(y, mirrored, pads)

    return phase


def _by_products(y, k, size, geometry):
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
            per_axis = _axes(taps, geometry.strides, shifts, size, geometry.map)
            grown = [(j // stride - shift, n - m) for j, stride, shift, n, m in per_axis]
            pads = [(before, total - before, 0) for before, total in grown]
            return lax.pad(tap, zero, [(0, 0, 0), *pads, (0, 0, 0)])

        ranges = [range(*axis) for axis in _axes(firsts, geometry.kernel, geometry.strides)]
        zeros = jnp.zeros((y.shape[0], *size, k.shape[-2]), products.dtype)
        return sum(map(shifted, product(*ranges)), start=zeros).astype(y.dtype)

    return phase


def _cpu_kernel(x, y, geometry):
    """Convolve the images with the dilated maps, batch and channels changing places."""
    padding = [
        (low, (m - 1) * stride + size - n - low)
        for n, size, m, stride, (low, _) in _axes(
            geometry.image, geometry.kernel, geometry.map, geometry.strides, geometry.padding
        )
    ]
    gradient = _convolve_unswapped(
        x.swapaxes(0, -1), jnp.moveaxis(y, 0, -2), padding, rhs_dilation=geometry.strides
    )
    return jnp.moveaxis(gradient, 0, -2)


def _convolve_unswapped(x, k, padding, **arguments):
    """Pad before, where the kernel is larger than the images.

    XLA would otherwise let the two change places, which reverses the window: the slow path.
    """
    if math.prod(k.shape[:-2]) > math.prod(x.shape[1:-1]):
        pads = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
        x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), pads))
        padding = [(0, 0)] * len(padding)
    return _convolve(x, k, padding=padding, **arguments)


def _convolve(x, k, *, padding, window_strides=None, **dilation):
    d = x.ndim - 2
    return lax.conv_general_dilated(
        x,
        k,
        window_strides=window_strides or (1,) * d,
        padding=padding,
        dimension_numbers=_channels_last(d),
        **dilation,
    )


def _channels_last(d):
    images = (0, d + 1, *range(1, d + 1))
    return lax.ConvDimensionNumbers(images, (d + 1, d, *range(d)), images)


_axes = partial(zip, strict=True)


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
    return moved.reshape(*moved.shape[:into], -1, *moved.shape[into + 2 :])


def _unfold(array, size, axis):
    axis %= array.ndim
    return array.reshape(*array.shape[:axis], size, -1, *array.shape[axis + 1 :]), axis


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
