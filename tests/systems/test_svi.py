"""Variational inference for single data points, where the best q is known; and tables of rows."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gan_jax import losses
from gan_jax.games import PlayerOutcome, Weights, init_rows, rows_step
from gan_jax.systems import SVI
from tests.systems.linear_gaussian import BATCH, LATENTS, LOG_P, PRECISION, build, exact_weights

KEY = jax.random.key(0)
INDEXED = {**BATCH, "index": jnp.arange(8)}


def exact_bound(posterior, exact):
    """log p(x) - KL(q ‖ p(z|x))."""
    return LOG_P - losses.gaussian_kl(*posterior, *exact)


def refine(system, num_steps, batch=INDEXED, seed=0):
    optimizer = optax.adam(optax.cosine_decay_schedule(0.05, num_steps))
    state = system.init(batch, optimizer=optimizer)
    step = partial(rows_step, objective=system.objective, optimizer=optimizer)

    @jax.jit
    def run(state):
        keys = jax.random.split(jax.random.key(seed), num_steps)
        return jax.lax.scan(lambda state, key: step(key, state, batch), state, keys)

    return run(state)[0].player.weights.params


def test_a_gaussian_for_each_point_grows_with_the_points_and_an_encoder_does_not():
    system = SVI(model=build(), trained=exact_weights())

    def size(state):
        return sum(leaf.size for leaf in jax.tree.leaves(state.player.weights.params))

    def of_points(num):
        batch = jax.tree.map(lambda leaf: jnp.tile(leaf, (num, 1)), BATCH)
        return [
            size(jax.eval_shape(partial(init, optimizer=optax.adam(0.1)), batch))
            for init in (system.init, partial(system.model.init, KEY))
        ]

    (few, encoder), (many, same) = of_points(1), of_points(10)
    assert few == 8 * 2 * LATENTS
    assert (many, same) == (10 * few, encoder)


@pytest.mark.parametrize("start", ["encoder", "prior"])
def test_it_ends_at_the_best_and_never_below_the_encoder(start):
    model = build(num_samples=8)
    exact = model.encode(exact_weights(), BATCH)
    trained = exact_weights(shift=0.5)  # an encoder that errs: its gap is amortisation alone
    amortised = exact_bound(model.encode(trained, BATCH), exact)
    np.testing.assert_allclose(LOG_P - amortised, np.sum(PRECISION) * 0.5**2 / 2, rtol=1e-3)
    refined = exact_bound(refine(SVI(model=model, trained=trained, start=start), 400), exact)
    assert np.all(refined >= amortised)
    np.testing.assert_allclose(refined, LOG_P, atol=0.02)


def test_started_at_the_optimum_it_stays_there():
    model = build(num_samples=8)
    exact = model.encode(exact_weights(), BATCH)
    refined = refine(SVI(model=model, trained=exact_weights()), 100)
    assert np.all(LOG_P - exact_bound(refined, exact) < 0.01)


def test_absent_rows_do_not_move_nor_do_their_moments():
    system = SVI(model=build(), trained=exact_weights(0.5))
    optimizer = optax.adam(0.1)
    step = jax.jit(partial(rows_step, objective=system.objective, optimizer=optimizer))
    before = system.init(BATCH, optimizer=optimizer)
    state, _ = step(KEY, before, INDEXED)
    some = np.array([5, 2])
    after, metrics = step(KEY, state, {"point": BATCH["point"][some], "index": some})
    absent = np.setdiff1d(np.arange(8), some)
    stayed = [jax.tree.map(lambda a: a[absent], at.player) for at in (state, after)]
    chex.assert_trees_all_equal(*stayed)
    counts = np.asarray(after.player.opt_state[0].count)
    assert counts.tolist() == [1, 1, 2, 1, 1, 2, 1, 1]
    assert int(after.step) == 2
    assert set(metrics) >= {"loss", "grad_norm", "update_norm", "elbo"}


def test_a_row_moves_as_it_would_alone():
    def objective(*, weights, batch, key):
        return PlayerOutcome(jnp.sum((weights.params - batch["point"]) ** 2))

    optimizer = optax.adam(0.1)
    table = jnp.arange(12.0).reshape(4, 3)
    points = jnp.ones((4, 3))
    state = init_rows(weights=Weights(params=table), optimizer=optimizer)
    step = jax.jit(partial(rows_step, objective=objective, optimizer=optimizer))
    for _ in range(3):
        state, _ = step(KEY, state, {"point": points[:2], "index": jnp.array([3, 0])})
    alone, opt_state = table[3], optimizer.init(table[3])
    for _ in range(3):
        updates, opt_state = optimizer.update(2 * (alone - points[0]), opt_state)
        alone = optax.apply_updates(alone, updates)
    np.testing.assert_allclose(state.player.weights.params[3], alone, rtol=1e-6)
    np.testing.assert_array_equal(state.player.weights.params[1:3], table[1:3])


def test_a_row_named_twice_moves_once_by_the_sum_of_its_gradients():
    """As the dense table does under the sum of all losses, by an optimiser with moments."""

    def objective(*, weights, batch, key):
        loss = jnp.sum((weights.params - batch["point"]) ** 3)
        return PlayerOutcome(loss, {"seen": batch["point"][0]}, {"draw": jax.random.normal(key)})

    index = jnp.array([3, 0, 3, 1, 3])
    points = jnp.arange(10.0).reshape(5, 2)
    table = jnp.linspace(-1.0, 1.0, 8).reshape(4, 2)
    optimizer = optax.chain(optax.trace(0.5), optax.scale(-1e-3))
    weights = Weights(params=table, state={"seen": jnp.full(4, -1.0)})
    state = init_rows(weights=weights, optimizer=optimizer)
    dense, opt_state = table, optimizer.init(table)
    step = jax.jit(partial(rows_step, objective=objective, optimizer=optimizer))

    @jax.jit
    def dense_step(dense, opt_state):
        slopes = jax.grad(lambda table: jnp.sum((table[index] - points) ** 3))(dense)
        updates, opt_state = optimizer.update(slopes, opt_state)
        return optax.apply_updates(dense, updates), opt_state

    for _ in range(2):
        state, metrics = step(KEY, state, {"point": points, "index": index})
        dense, opt_state = dense_step(dense, opt_state)
    np.testing.assert_allclose(state.player.weights.params, dense, rtol=1e-5)
    np.testing.assert_array_equal(state.player.weights.params[2], table[2])
    np.testing.assert_array_equal(state.player.weights.state["seen"], [2.0, 6.0, -1.0, 8.0])
    draws = jax.vmap(jax.random.normal)(jax.random.split(KEY, 5))
    np.testing.assert_allclose(metrics["draw"], np.mean(draws), rtol=1e-5)
    assert len(np.unique(draws)) == 5  # a key for each example


def test_jit_and_sharded_jit_agree():
    system = SVI(model=build(), trained=exact_weights(0.5))
    optimizer = optax.sgd(0.1)
    step = partial(rows_step, objective=system.objective, optimizer=optimizer)
    state = system.init(BATCH, optimizer=optimizer)
    expected, _ = jax.jit(step)(KEY, state, INDEXED)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(INDEXED, NamedSharding(mesh, PartitionSpec("data")))
    whole = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
    found, _ = jax.jit(step)(KEY, whole, sharded)
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="start is 'zero'; it must be one of 'encoder', 'prior'"):
        SVI(model=build(), trained=exact_weights(), start="zero")
    with pytest.raises(ValueError, match=r"have \[\(2,\), \(3,\)\] rows"):
        init_rows(
            weights=Weights(params=(jnp.ones((2, 1)), jnp.ones((3, 1)))), optimizer=optax.sgd(1.0)
        )
    system = SVI(model=build(), trained=exact_weights())
    state = system.init(BATCH, optimizer=optax.sgd(0.1))
    with pytest.raises(ValueError, match="The batch holds point; it must name the rows"):
        rows_step(KEY, state, BATCH, objective=system.objective, optimizer=optax.sgd(0.1))
    with pytest.raises(ValueError, match="a table of 8 rows has 0 to 7"):
        rows_step(
            KEY,
            state,
            {**BATCH, "index": jnp.arange(8) - 1},
            objective=system.objective,
            optimizer=optax.sgd(0.1),
        )
