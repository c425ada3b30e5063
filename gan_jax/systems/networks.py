"""How systems run networks: their start, their training, their answers, and several in one player.

A network is called as `network(*inputs, *conditions, train=...)`: a generator as `(latents, y)`, a
discriminator as `(x, y)`, whatever y is (labels, an embedding, an image), each condition in a place
of its own. It returns an array, or a tuple whose first entry is that array (examples, logits) and
whose rest is for further terms of a loss (class logits, a mean and a log-variance, a mask). It
always has the random streams `dropout` and `noise`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, FINITE, check_bound
from gan_jax.errors import Refusal
from gan_jax.games import Weights
from gan_jax.typing import KeyArray

_MISFITS = (
    flax.errors.ScopeCollectionNotFound,
    flax.errors.ScopeParamNotFoundError,
    flax.errors.ScopeParamShapeError,
    flax.errors.ScopeVariableNotFoundError,
)

Latents: TypeAlias = Callable[[KeyArray, int], Array]
"""(key, num) -> that many latents."""

Run: TypeAlias = Callable[..., tuple[Any, Weights]]
"""`train`, or `asked`: (network, weights, key, *inputs) -> (output, weights)."""


@dataclass(frozen=True)
class Normal:
    """What `normal` gives. `of_normal` makes latents of noise from N(0, I): the same."""

    shape: tuple[int, ...]

    def __call__(self, key: KeyArray, num: int) -> Array:
        return jax.random.normal(key, (num, *self.shape))

    def of_normal(self, noise: Float[Array, "num *shape"]) -> Array:
        return noise


@dataclass(frozen=True)
class Uniform:
    """What `uniform` gives. `of_normal` makes latents of noise from N(0, I)."""

    shape: tuple[int, ...]
    low: float
    high: float

    def __call__(self, key: KeyArray, num: int) -> Array:
        return jax.random.uniform(key, (num, *self.shape), minval=self.low, maxval=self.high)

    def of_normal(self, noise: Float[Array, "num *shape"]) -> Array:
        """low + (high - low) Φ(noise)."""
        return self.low + (self.high - self.low) * jax.scipy.stats.norm.cdf(noise)


def normal(*shape: int) -> Normal:
    """z ~ N(0, I), of this shape for each example.

    >>> import jax
    >>> from gan_jax.systems import networks
    >>> networks.normal(100)(jax.random.key(0), 4).shape
    (4, 100)
    """
    _check_shape(shape)
    return Normal(shape)


def uniform(*shape: int, low: float = -1.0, high: float = 1.0) -> Uniform:
    """z ~ U[low, high), independently for each number of this shape: a vector, or a plane."""
    _check_shape(shape)
    check_bound(FINITE, low=low, high=high)
    if low >= high:
        raise Refusal(f"low is {low} and high {high}; low must be below high.")
    return Uniform(shape, low, high)


def check_latents(latents: Any) -> None:
    """Raise ValueError unless it can draw latents."""
    if not callable(latents) or latents in (normal, uniform):
        said = getattr(latents, "__name__", repr(latents))
        raise Refusal(
            f"latents is {said}; give what draws them, such as networks.normal(100) for 100 "
            "numbers from N(0, 1)."
        )


def start(network: nn.Module, key: KeyArray, *inputs: Any) -> tuple[Any, Weights]:
    """Draw a network's weights; give also what it makes of these inputs."""
    key_params, key_streams = jax.random.split(key)
    rngs = {"params": key_params, **streams(key_streams)}
    output, variables = network.init_with_output(rngs, *inputs)
    state = {name: kept for name, kept in variables.items() if name != "params"}
    return output, Weights(params=variables.get("params", {}), state=state)


def train(
    network: nn.Module, weights: Weights, key: KeyArray, *inputs: Any, method: str | None = None
) -> tuple[Any, Weights]:
    """Run a network as it is trained: its output, and its weights with the state that it leaves.

    `method` names another of its methods than `__call__`.

    Raises:
        ValueError: the weights are not those of this network on such inputs.
    """
    told = {"train": True, "mutable": list(weights.state), "rngs": streams(key), "method": method}
    output, state = _apply(network, weights, inputs, **told)
    return output, weights.replace(state=dict(state))


def infer(
    network: nn.Module,
    weights: Weights,
    *inputs: Any,
    key: KeyArray | None = None,
    method: str | None = None,
    **options: Any,
) -> Any:
    """Ask a network, which stays as it is. Without a key its random streams are always the same.

    `method` names another of its methods than `__call__`, which may take options.

    Raises:
        ValueError: the weights are not those of this network on such inputs.
    """
    return _apply(network, weights, inputs, rngs=streams(fixed(key)), method=method, **options)


def _apply(network: nn.Module, weights: Weights, inputs: tuple[Any, ...], **arguments: Any) -> Any:
    try:
        return network.apply(variables_of(weights), *inputs, **arguments)
    except _MISFITS:
        shapes = ", ".join(str(jnp.shape(leaf)) for leaf in jax.tree.leaves(inputs))
        raise Refusal(
            f"The weights are not those of this {type(network).__name__} for inputs of shape "
            f"{shapes}: give the weights that the same networks and sizes were started with."
        ) from None


def asked(network: nn.Module, weights: Weights, key: KeyArray, *inputs: Any) -> tuple[Any, Weights]:
    """`infer` in the form of `train`."""
    return infer(network, weights, *inputs, key=key), weights


def variables_of(weights: Weights) -> dict[str, Any]:
    """A network's variables, as Flax has them."""
    return {"params": weights.params, **weights.state}


def fixed(key: KeyArray | None) -> KeyArray:
    """The key, or always the same one where there is none."""
    return jax.random.key(0) if key is None else key


def streams(key: KeyArray) -> dict[str, KeyArray]:
    """A key for each random stream that a network may draw from."""
    dropout, noise = jax.random.split(key)
    return {"dropout": dropout, "noise": noise}


def first(output: Any) -> Any:
    """What a network is for, where it returns more."""
    return output[0] if isinstance(output, tuple) else output


def part(weights: Weights, name: str) -> Weights:
    """Take one network of a player who has several."""
    return Weights(params=weights.params[name], state=weights.state.get(name, {}))


def join(parts: Mapping[str, Weights]) -> Weights:
    """Make one player of several networks; those that keep no state have no entry there."""
    return Weights(
        params={name: weights.params for name, weights in parts.items()},
        state={name: weights.state for name, weights in parts.items() if weights.state},
    )


def of_part(run: Run, name: str) -> Run:
    """Run one network of a player who has several: from and to the weights of the whole player."""

    def run_part(network: nn.Module, weights: Weights, key: KeyArray, *inputs: Any):
        output, after = run(network, part(weights, name), key, *inputs)
        state = {**weights.state, name: after.state} if after.state else weights.state
        return output, weights.replace(state=state)

    return run_part


class Frozen(nn.Module):
    """A network inside another, with variables that no gradient moves.

    They are the collection "frozen", hence in `Weights.state`: kept in checkpoints, averaged by
    nobody, and put there by `freeze`. The network answers as it is asked, also where it is a part
    of one that is trained; gradients pass through it to what is below.
    """

    network: nn.Module

    @nn.compact
    def __call__(self, *inputs: Any, train: bool = False) -> Any:
        network = self.network.clone(parent=None, name=None)
        # Flax gives "noise" and "dropout" the key of "params" where a start has no others.
        streams = ("params", "dropout", "noise")
        kept = self.variable(
            "frozen",
            "variables",
            lambda: network.init({name: self.make_rng(name) for name in streams}, *inputs),
        )
        rngs = {name: self.make_rng(name) for name in streams[1:]}
        return network.apply(kept.value, *inputs, rngs=rngs)


def freeze(weights: Weights, frozen: Weights, *path: str) -> Weights:
    """Copy trained weights into the `Frozen` module at this path of submodules.

    Raises:
        ValueError: there is no such module, or its network has other variables.
    """
    kept: Any = weights.state
    for name in ("frozen", *path, "variables"):
        kept = kept.get(name) if isinstance(kept, Mapping) else None
    new = jax.tree.map(jnp.copy, variables_of(frozen))
    if _described(kept) != _described(new):
        raise Refusal(
            f"There is no Frozen module at {'.'.join(path) or 'the top'} that holds a network of "
            "these variables: give the names of its submodules, and weights of the same network."
        )

    def put(tree: Any, names: tuple[str, ...]) -> Any:
        if not names:
            return {"variables": new}
        return {**tree, names[0]: put(tree[names[0]], names[1:])}

    return weights.replace(state={**weights.state, "frozen": put(weights.state["frozen"], path)})


def _described(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), tree)


def _check_shape(shape: tuple[int, ...]) -> None:
    check_bound(AT_LEAST_1, **{f"size {axis} of the latents": n for axis, n in enumerate(shape)})
