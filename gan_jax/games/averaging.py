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

WARM_UP = 8  # η of the polynomial decay that the exponential average starts with


class Average(struct.PyTreeNode, kw_only=True):
    """Both averaged players, over how many steps, and the memory of the step that is wrapped."""

    generator: Weights
    discriminator: Weights
    num_steps: Int32[Array, ""]
    memory: PyTree


def exponential_average(step: Step, *, decay: float) -> Step:
    """Keep z̄_t = d_t z̄_{t-1} + (1 - d_t) z_t beside both players' params z_t after every step.

    d_t = min(d, (t - 1)/(t + 8)), d = `decay` and t counting the steps of the average. So it has no
    share of the point it was started at, spans the last ninth of the way at first, weighing z_s by
    s (s + 1) ... (s + 7), and from t = 9/(1 - d) - 8 on is the exponential average of Yazici: with
    d alone, a run of 1/(1 - d) steps is still a third where it began. (Dividing by 1 - dᵗ, as Adam
    does, leaves out the start alone, and not the bad players of the first steps.)

    What is not trained (batch statistics) is copied from the players as it is. The average has no
    influence on the game. It needs `state.memory` from `exponential_average_memory`.

    >>> import jax, optax
    >>> from functools import partial
    >>> from gan_jax import games
    >>> sgd = games.Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
    >>> x, y = (games.Weights(params=jax.numpy.float32(at)) for at in (1.0, 0.5))
    >>> state = games.init(generator=x, discriminator=y, optimizers=sgd)
    >>> step = partial(games.simultaneous_step, game=games.toy.bilinear(), optimizers=sgd)
    >>> step = jax.jit(games.exponential_average(step, decay=0.8))
    >>> state = games.exponential_average_memory(state)
    >>> for _ in range(2):
    ...     state, metrics = step(jax.random.key(0), state, {})
    >>> print(f"{games.averaged(state).generator.params:.3f}")  # 0.1 · 0.95 + 0.9 · 0.89
    0.896

    Yazici et al. 2019, equation (3); Shamir & Zhang 2013, section 4 (polynomial decay, η = 8), as
    in TensorFlow's `ExponentialMovingAverage`, (1 + n)/(10 + n), up to its first two steps.

    Raises:
        ValueError: `decay` is not in [0, 1).
    """
    check_bound(DECAY, decay=decay)
    return _averaging(step, lambda t: jnp.maximum(1 - decay, (WARM_UP + 1) / (t + WARM_UP)))


def uniform_average(step: Step) -> Step:
    """Keep the mean z̄_t = (z_1 + ... + z_t) / t of both players' params after every step.

    Otherwise as `exponential_average`, with its memory from `uniform_average_memory`.

    Yazici et al. 2019, equation (2); Gidel et al. 2019, section 3.
    """
    return _averaging(step, lambda t: 1 / t)


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


def _averaging(step: Step, share: Callable[[Array], Scalar]) -> Step:
    """Mix into the average, after its t-th step, `share(t)` of where the players are."""

    def averaging_step(key, state, batch):
        check_memory(state, Average, "exponential_average_memory or uniform_average_memory")
        average = state.memory
        state, metrics = step(key, state.replace(memory=average.memory), batch)
        num_steps = average.num_steps + 1
        of_new = share(num_steps)

        def mixed(old, new):
            part = of_new.astype(old.dtype)
            return (1 - part) * old + part * new

        mean = jax.tree.map(
            mixed,
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
