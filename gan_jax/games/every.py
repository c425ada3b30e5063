"""Moves that are made seldom, such as lazy regularisation."""

import jax
import jax.numpy as jnp

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.typing import Batch, KeyArray, Metrics, PyTree, Step


def every(period: int, extra: Step, step: Step, *, name: str) -> Step:
    """Take `step`, and after it, where the state has counted 0, n, 2n, ... steps, also `extra`.

    `extra` is a single player's move, which leaves `state.step` alone, on a game whose loss is the
    regulariser. It has a key of its own. What is due is read from the state, so a run that is
    resumed goes on where it was, and any number of steps may be compiled into one program, whose
    `cond` skips the work. Under `vmap` over states both sides are computed: map them by `lax.map`.

    Metrics of `extra` are "<name>/...": `period` times themselves where it was taken and 0
    elsewhere, so that their mean over whole periods is that of the moves that were made.

    >>> import jax, optax
    >>> from gan_jax import games
    >>> step = lambda key, state, batch: (state.replace(step=state.step + 1), {})
    >>> extra = lambda key, state, batch: (state, {"taken": jax.numpy.ones(())})
    >>> lazy = games.every(3, extra, step, name="extra")
    >>> weights = games.Weights(params=jax.numpy.ones(2))
    >>> state = games.init_descent(weights=weights, optimizer=optax.sgd(0.1))
    >>> keys = jax.random.split(jax.random.key(0), 6)
    >>> _, metrics = jax.lax.scan(lambda state, key: lazy(key, state, {}), state, keys)
    >>> metrics["extra/taken"].tolist()
    [3.0, 0.0, 0.0, 3.0, 0.0, 0.0]

    Karras et al. 2020 (StyleGAN2), section 3.1 and appendix B: with the regulariser `period` times
    as heavy, and Adam of rate c η and β₁^c, β₂^c for c = period/(period + 1).

    Raises:
        ValueError: `period` is below 1.
    """
    check_bound(AT_LEAST_1, period=period)

    def step_and_extra(key: KeyArray, state: PyTree, batch: Batch) -> tuple[PyTree, Metrics]:
        key_step, key_extra = jax.random.split(key)
        due = state.step % period == 0
        state, metrics = step(key_step, state, batch)

        def taken(state: PyTree) -> tuple[PyTree, Metrics]:
            state, of_extra = extra(key_extra, state, batch)
            return state, {f"{name}/{key}": period * value for key, value in of_extra.items()}

        def skipped(state: PyTree) -> tuple[PyTree, Metrics]:
            shapes = jax.eval_shape(taken, state)[1]
            return state, {key: jnp.zeros(x.shape, x.dtype) for key, x in shapes.items()}

        state, of_extra = jax.lax.cond(due, taken, skipped, state)
        return state, metrics | of_extra

    return step_and_extra
