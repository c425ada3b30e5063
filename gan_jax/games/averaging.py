"""Averages of both players along the run, as wrappers around any step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int32

from gan_jax.checks import DECAY, check_bound
from gan_jax.games.core import (
    GameState,
    Gradients,
    Weights,
    check_memory,
    get_params,
    set_params,
)
from gan_jax.typing import PyTree, Scalar, Step


class Average(struct.PyTreeNode, kw_only=True):
    """Both averaged players, over how many steps, and the memory of the step that is wrapped."""

    generator: Weights
    discriminator: Weights
    num_steps: Int32[Array, ""]
    memory: PyTree


def exponential_average(step: Step, *, decay: float) -> Step:
    """Keep z̄' = decay z̄ + (1 - decay) z' beside both players' params z' after every step.

    What is not trained (batch statistics) is copied from the players as it is. The average has no
    influence on the game. It needs `state.memory` from `exponential_average_memory`.

    >>> import jax, optax
    >>> from functools import partial
    >>> from gan_jax import games
    >>> sgd = games.Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
    >>> x, y = (games.Weights(params=jax.numpy.float32(at)) for at in (1.0, 0.5))
    >>> state = games.init(generator=x, discriminator=y, optimizers=sgd)
    >>> step = partial(games.simultaneous_step, game=games.toy.bilinear(), optimizers=sgd)
    >>> step = jax.jit(games.exponential_average(step, decay=0.5))
    >>> state, metrics = step(jax.random.key(0), games.exponential_average_memory(state), {})
    >>> print(f"{games.averaged(state).generator.params:.3f}")  # (1 + 0.95)/2
    0.975

    Yazici et al. 2019, equation (3).

    Raises:
        ValueError: `decay` is not in [0, 1).
    """
    check_bound(DECAY, decay=decay)
    return _averaging(step, lambda num_steps: 1 - decay)


def uniform_average(step: Step) -> Step:
    """Keep the mean z̄_t = (z_1 + ... + z_t) / t of both players' params after every step.

    Otherwise as `exponential_average`, with its memory from `uniform_average_memory`.

    Yazici et al. 2019, equation (2); Gidel et al. 2019, section 3.
    """
    return _averaging(step, lambda num_steps: 1 / num_steps)


def exponential_average_memory(state: GameState) -> GameState:
    """Start the average at the players as they are now, keeping the memory that there is.

    Averaged params are float32 or wider: in bfloat16 an average stands still.
    """

    def copied(weights: Weights) -> Weights:
        def wide(x):
            return jnp.array(x, jnp.promote_types(x.dtype, jnp.float32))

        return Weights(
            params=jax.tree.map(wide, weights.params), state=jax.tree.map(jnp.copy, weights.state)
        )

    average = Average(
        generator=copied(state.generator.weights),
        discriminator=copied(state.discriminator.weights),
        num_steps=jnp.zeros((), jnp.int32),
        memory=state.memory,
    )
    return state.replace(memory=average)


uniform_average_memory = exponential_average_memory


def averaged(state: GameState) -> Average:
    """Both players' averaged weights: `averaged(state).generator` is what to sample from.

    Raises:
        ValueError: the state's outermost memory is no average.
    """
    check_memory(state, Average, "exponential_average_memory or uniform_average_memory")
    return state.memory


def _averaging(step: Step, share: Callable[[Array], float | Scalar]) -> Step:
    """Mix into the average, after its t-th step, `share(t)` of where the players are."""

    def averaging_step(key, state, batch):
        check_memory(state, Average, "exponential_average_memory or uniform_average_memory")
        average = state.memory
        state, metrics = step(key, state.replace(memory=average.memory), batch)
        num_steps = average.num_steps + 1
        of_new = share(num_steps)
        mean = jax.tree.map(
            lambda old, new: (1 - of_new) * old + of_new * new,
            Gradients(
                generator=average.generator.params, discriminator=average.discriminator.params
            ),
            get_params(state),
        )
        at_mean = set_params(state, mean)
        average = Average(
            generator=at_mean.generator.weights,
            discriminator=at_mean.discriminator.weights,
            num_steps=num_steps,
            memory=state.memory,
        )
        return state.replace(memory=average), metrics

    return averaging_step
