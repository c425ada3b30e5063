"""Moves of one player that count as steps."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from gan_jax.games import Optimizers, Weights, counted, discriminator_step, init, toy


def test_a_move_is_as_it_was_and_counts():
    sgd = Optimizers(generator=optax.sgd(0.5), discriminator=optax.sgd(0.5))
    weights = {name: Weights(params=jnp.float32(2)) for name in Optimizers._fields}
    state, key = init(**weights, optimizers=sgd), jax.random.key(0)
    move = partial(discriminator_step, game=toy.bilinear(), optimizers=sgd)
    alone, metrics = move(key, state, {})
    one, reported = counted(move)(key, state, {})
    two, _ = counted(move)(key, one, {})
    assert (int(alone.step), int(one.step), int(two.step)) == (0, 1, 2)
    assert one.replace(step=alone.step) == alone
    assert reported == metrics
    assert float(two.discriminator.weights.params) == 4  # each moves it by half of x
