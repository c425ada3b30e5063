"""How our layers are compared with Flax's: in values, in derivatives, in what is compiled."""

import re
from functools import partial
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import nets

KEY = jax.random.key(0)
KINDS = ["Conv", "ConvTranspose"]
# The programs run once, so the compiler need not optimise them.
quickly = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Case(NamedTuple):
    """A layer's arguments and the shape of what it is given."""

    arguments: dict[str, Any]
    shape: tuple[int, ...]


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


def compiled_convolutions(function, *arguments):
    """List the convolutions of the compiled program, and those that are slow among them."""
    text = jax.jit(function).lower(*arguments).compile().as_text()
    lines = [line for line in text.splitlines() if " convolution(" in line]
    slow = [
        line
        for line in lines
        if "rhs_reversal" in line or not re.search(r"dim_labels=b(\d+)f_\1io->b\1f\b", line)
    ]
    return lines, slow
