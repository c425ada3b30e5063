"""A seldom move: as in a Python loop, alone and on several devices, and resumed in mid-period."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.data import ArrayDataset, resident_feed
from gan_jax.games import (
    Optimizers,
    Outcome,
    PlayerOutcome,
    Weights,
    alternating_step,
    discriminator_step,
    every,
    init,
)
from gan_jax.training import Timetable, data_mesh, jit_step, train

KEY = jax.random.key(0)
PERIOD = 4
ADAM = Optimizers(generator=optax.adam(1e-2), discriminator=optax.adam(1e-2))
BATCH = {"point": jnp.arange(12.0) / 6 - 1}


def game(*, generator, discriminator, batch, key):
    """Each player's noise is its own, so that a key that is used twice would show."""
    noise = jax.random.normal(key)
    score = jnp.mean(jnp.tanh(batch["point"] * generator.params) * discriminator.params)
    return Outcome(PlayerOutcome(score + noise * generator.params), PlayerOutcome(-score))


def regulariser(*, generator, discriminator, batch, key):
    length = jnp.mean(jnp.square(discriminator.params * batch["point"]))
    seen = 0.9 * discriminator.state["length"] + 0.1 * jax.lax.stop_gradient(length)
    noise = jax.random.normal(key)
    return Outcome(
        PlayerOutcome(0 * length),
        PlayerOutcome(PERIOD * length, {"length": seen}, {"length": length, "noise": noise}),
    )


def steps(axis_name=None):
    """The main step, the extra one, and both by `every`."""
    options = {"optimizers": ADAM, "axis_name": axis_name}
    main = partial(alternating_step, game=game, **options)
    extra = partial(discriminator_step, game=regulariser, **options)
    return main, extra, every(PERIOD, extra, main, name="lazy")


def start():
    return init(
        generator=Weights(params=jnp.array(1.0)),
        discriminator=Weights(params=jnp.array(1.0), state={"length": jnp.array(0.0)}),
        optimizers=ADAM,
    )


def test_it_is_a_loop_that_takes_the_extra_move_when_it_is_due():
    main, extra, lazy = steps()
    keys = jax.random.split(KEY, 9)
    scanned, metrics = jax.jit(
        lambda state: jax.lax.scan(lambda s, key: lazy(key, s, BATCH), state, keys)
    )(start())
    state, reported = start(), []
    main, extra = jax.jit(main), jax.jit(extra)
    for t, key in enumerate(keys):
        key_main, key_extra = jax.random.split(key)
        state, _ = main(key_main, state, BATCH)
        taken = {}
        if t % PERIOD == 0:
            state, taken = extra(key_extra, state, BATCH)
        reported.append(PERIOD * taken.get("discriminator/length", 0))
    chex.assert_trees_all_close(scanned, state, rtol=1e-5)
    np.testing.assert_allclose(metrics["lazy/discriminator/length"], reported, rtol=1e-5)
    np.testing.assert_array_equal(metrics["lazy/discriminator/loss"] > 0, np.arange(9) % 4 == 0)
    counts = [int(p.opt_state[0].count) for p in (scanned.generator, scanned.discriminator)]
    assert counts == [9, 12]
    assert int(scanned.step) == 9


@pytest.mark.slow
def test_it_is_the_same_on_several_devices():
    _, _, lazy = steps()
    keys = jax.random.split(KEY, PERIOD + 1)  # due, three steps without it, due again

    def run(step):
        return lambda key, state, batch: jax.lax.scan(
            lambda state, key: step(key, state, batch), state, keys
        )

    alone, _ = jax.jit(run(lazy))(KEY, start(), BATCH)
    sharded, _ = jit_step(run(lazy), mesh=data_mesh())(KEY, start(), BATCH)
    chex.assert_trees_all_close(sharded, alone, rtol=1e-5)
    mapped = jax.pmap(run(steps("data")[2]), "data", in_axes=(None, None, 0))
    shares = {"point": BATCH["point"].reshape(4, 3)}
    spread, metrics = mapped(KEY, start(), shares)
    counts = spread.discriminator.opt_state[0].count
    np.testing.assert_array_equal(counts, np.full(4, PERIOD + 1 + 2))
    first = jax.tree.map(lambda leaf: leaf[0], spread.discriminator.weights.params)
    np.testing.assert_allclose(first, alone.discriminator.weights.params, rtol=1e-5)
    lengths = spread.discriminator.weights.state["length"]
    assert len(np.unique(lengths)) == 4  # what is no batch statistic stays each device's own
    lengths = np.asarray(metrics["lazy/discriminator/length"])
    np.testing.assert_array_equal(lengths > 0, np.broadcast_to(np.arange(5) % PERIOD == 0, (4, 5)))
    np.testing.assert_array_equal(lengths, np.broadcast_to(lengths[:1], (4, 5)))


def test_a_run_that_is_resumed_in_mid_period_goes_on_with_it(tmp_path):
    dataset = ArrayDataset({"point": np.linspace(-1, 1, 12, dtype=np.float32)})
    feed = resident_feed(dataset, {"point": None}, batch_size=4, seed=0)
    _, _, lazy = steps()

    def run(workdir, num_steps):
        arguments = {"key": KEY, "batch_size": 4, "workdir": workdir, "config": {}}
        timetable = Timetable(num_steps, 3, 3)
        trained = train(lazy, start(), feed, timetable=timetable, parallel="none", **arguments)
        return trained.state

    whole = run(tmp_path / "whole", 9)
    run(tmp_path / "stopped", 6)  # moves were due at 0 and 4, and are again at 8
    chex.assert_trees_all_equal(run(tmp_path / "stopped", 9), whole)


def test_a_period_is_at_least_one_step():
    main, extra, _ = steps()
    with pytest.raises(ValueError, match="period is 0; it must be an integer, at least 1"):
        every(0, extra, main, name="lazy")
