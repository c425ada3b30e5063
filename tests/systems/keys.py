"""How a program uses its random keys, read off its jaxpr: nothing is drawn."""

from collections import Counter

import jax
import numpy as np
from jax.extend.core import Literal, jaxprs_in_params

UNKNOWN = object()


class Keys:
    """Numbers instead of keys: 0 for the first, and one for each child of another.

    split(k)[i] is fold_in(k, i), and so the same child. `uses` counts what is done with each:
    "bits" are drawn from it, or a child is made.
    """

    def __init__(self):
        self.numbers = {}
        self.uses = Counter()

    def child(self, key, number):
        self.uses[key, number] += 1
        return self.numbers.setdefault((key, number), len(self.numbers) + 1)

    def used_twice(self):
        """A child made twice, or bits drawn twice, or from a key that has children, too."""
        drawn = {key for key, what in self.uses if what == "bits"}
        parents = {key for key, what in self.uses if what != "bits"}
        return [use for use, num in self.uses.items() if num > 1] + sorted(drawn & parents)


def keys_of(function, key, *arguments):
    """Follow the keys that a function makes of this one."""
    traced = jax.make_jaxpr(function)(key, *arguments)
    others = len(traced.jaxpr.invars) - 1
    keys = Keys()
    unknown = [UNKNOWN] * len(traced.consts)
    _follow(traced.jaxpr, unknown, [np.int32(0), *[UNKNOWN] * others], keys)
    return keys


def _follow(jaxpr, consts, inputs, keys):
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))
    for equation in jaxpr.eqns:
        values = [
            v.val if isinstance(v, Literal) else known.get(v, UNKNOWN) for v in equation.invars
        ]
        inner = list(jaxprs_in_params(equation.params))
        if len(inner) == 1 and len(inner[0].invars) == len(values):
            made = _follow(inner[0], [UNKNOWN] * len(inner[0].constvars), values, keys)
        elif any(value is UNKNOWN for value in values) or not values:
            made = [UNKNOWN] * len(equation.outvars)
        else:
            made = _made(equation, values, keys)
        known |= dict(zip(equation.outvars, made, strict=True))
    return [v.val if isinstance(v, Literal) else known.get(v, UNKNOWN) for v in jaxpr.outvars]


def _made(equation, values, keys):
    name = equation.primitive.name
    if name == "random_bits":
        keys.uses.update((int(key), "bits") for key in np.ravel(values[0]))
        return [UNKNOWN]
    if name == "random_fold_in":
        return [np.int32(keys.child(int(values[0]), int(values[1])))]
    if name == "random_split":
        shape = equation.params["shape"]
        children = [keys.child(int(values[0]), i) for i in range(np.prod(shape))]
        return [np.reshape(children, shape).astype(np.int32)]
    x, params = np.asarray(values[0]), equation.params
    if name == "slice":
        bounds = zip(params["start_indices"], params["limit_indices"], strict=True)
        return [x[tuple(slice(*pair) for pair in bounds)]]
    if name == "unstack":  # of JAX 0.12
        return list(np.moveaxis(x, params["axis"], 0))
    if name == "squeeze":
        return [np.squeeze(x, params["dimensions"])]
    if name == "convert_element_type":
        return [x.astype(params["new_dtype"])]
    made = [out.aval for out in equation.outvars]
    assert not any(jax.dtypes.issubdtype(out.dtype, jax.dtypes.prng_key) for out in made), name
    return [UNKNOWN] * len(made)
