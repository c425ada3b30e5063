"""CycleGAN: the game written out, its ablations, the authors' order of play, an exact inverse."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.games import (
    Optimizers,
    discriminator_step,
    generator_step,
    get_params,
    set_params,
    simultaneous_step,
    vector_field,
)
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import CycleGAN
from gan_jax.systems.pool import exchange
from gan_jax.training.compile import AXIS, data_mesh, jit_step, pmap_step, stack, unstack

KEY = jax.random.key(0)
SGD = Optimizers(generator=optax.sgd(0.05), discriminator=optax.sgd(0.05))
SILENT = losses.AdversarialLoss(jnp.zeros_like, jnp.zeros_like, jnp.zeros_like)


def system(**changes):
    """Affine maps of the plane, and critics with a hidden layer."""
    settings = {
        "generator": MLPGenerator((2,), ()),
        "discriminator": MLPDiscriminator((5,)),
        "loss": losses.least_squares(),
        "field": "point",
    }
    return CycleGAN(**settings | changes)


def batch_of(num, key=KEY, num_target=None):
    """Points of N(0, I), and of N((1, -1), diag(4, 1/4))."""
    keys = jax.random.split(key)
    y = jax.random.normal(keys[1], (num_target or num, 2)) * jnp.array([[2.0, 0.5]])
    x = jax.random.normal(keys[0], (num, 2))
    return {"source": {"point": x}, "target": {"point": y + jnp.array([[1.0, -1.0]])}}


def start(cycle, optimizers=SGD):
    return jax.jit(partial(cycle.init, optimizers=optimizers))(KEY, batch_of(2))


def affine(params, x):
    (layer,) = params.values()
    return x @ layer["kernel"] + layer["bias"][None]


def judged(params, x):
    hidden = jax.nn.relu(affine({"": params["Dense_0"]}, x))
    return affine({"": params["Dense_1"]}, hidden)[:, 0]


def by_hand(params, x, y, past_x=None, past_y=None, *, weights=(10.0, 10.0), identity=0.0):
    """The objectives of the paper, in least squares that are halved."""
    g, f = (partial(affine, params.generator[name]) for name in ("translate", "back"))
    d_x, d_y = (partial(judged, params.discriminator[name]) for name in ("source", "target"))
    norm = lambda a: jnp.mean(jnp.abs(a))  # noqa: E731
    square = lambda a: jnp.mean(jnp.square(a)) / 2  # noqa: E731
    generator = square(d_y(g(x)) - 1) + square(d_x(f(y)) - 1)
    generator += weights[0] * norm(f(g(x)) - x) + weights[1] * norm(g(f(y)) - y)
    generator += identity * (norm(g(y) - y) + norm(f(x) - x))
    past_x, past_y = f(y) if past_x is None else past_x, g(x) if past_y is None else past_y
    discriminator = square(d_y(y) - 1) + square(d_y(past_y))
    discriminator += square(d_x(x) - 1) + square(d_x(past_x))
    return generator, discriminator


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        pytest.param({}, {}, marks=pytest.mark.slow),
        ({"cycle_weight": (3.0, 2.0), "identity_weight": 5.0}, {"weights": (3, 2), "identity": 5}),
    ],
)
def test_it_is_the_game_of_the_paper(changes, known):
    """Losses, and each player's gradient of its own; populations of two sizes."""
    cycle = system(pool_size=0, **changes)
    state, batch = start(cycle), batch_of(6, num_target=4)
    x, y = (batch[domain]["point"] for domain in ("source", "target"))
    found, outcome = jax.jit(partial(vector_field, game=cycle.game))(KEY, state, batch)

    @jax.jit
    def expected(params):
        values = by_hand(params, x, y, **known)
        slopes = (jax.grad(lambda p, i=i: by_hand(p, x, y, **known)[i])(params) for i in (0, 1))
        of_generator, of_discriminator = slopes
        return values, (of_generator.generator, of_discriminator.discriminator)

    values, slopes = expected(get_params(state))
    np.testing.assert_allclose([player.loss for player in outcome], values, rtol=1e-5)
    chex.assert_trees_all_close(tuple(found), slopes, rtol=1e-4, atol=1e-6)
    metrics = outcome.generator.metrics
    parts = by_hand(get_params(state), x, y, weights=(0, 0))[0]
    np.testing.assert_allclose(metrics["adversarial"], parts, rtol=1e-5)
    assert ("identity" in metrics) == (cycle.identity_weight > 0)


@pytest.mark.slow
def test_cycle_alone_moves_no_critic():
    cycle = system(loss=SILENT)
    found, outcome = jax.jit(partial(vector_field, game=cycle.game))(KEY, start(cycle), batch_of(4))
    assert optax.tree.norm(found.discriminator) == 0
    metrics = outcome.generator.metrics
    expected = 10 * (metrics["forward_cycle"] + metrics["backward_cycle"])
    np.testing.assert_allclose(outcome.generator.loss, expected, rtol=1e-6)


def test_maps_that_undo_each_other_miss_nothing():
    cycle = system()
    state = start(cycle)
    turn = jnp.array([[2.0, 1.0], [0.0, 1.0]])
    inverse = jnp.array([[0.5, -0.5], [0.0, 1.0]])
    maps = {
        "translate": {"Dense_0": {"kernel": turn, "bias": jnp.ones(2)}},
        "back": {"Dense_0": {"kernel": inverse, "bias": -jnp.ones(2) @ inverse}},
    }
    state = set_params(state, get_params(state)._replace(generator=maps))
    weights = state.generator.weights
    batch = batch_of(50)
    players = {"generator": weights, "discriminator": state.discriminator.weights}
    outcome = jax.jit(cycle.game)(**players, batch=batch, key=KEY)
    assert outcome.generator.metrics["forward_cycle"] < 1e-6
    assert outcome.generator.metrics["backward_cycle"] < 1e-6
    x = batch["source"]["point"]
    made = cycle.translate(weights, x)
    np.testing.assert_allclose(made, x @ turn + 1, rtol=1e-6)
    np.testing.assert_allclose(cycle.back(weights, made), x, atol=1e-6)


@pytest.mark.slow
def test_a_simultaneous_step_is_the_authors_order_of_play():
    """The generators move; then the critics, on fakes of before that move and of the pool."""
    cycle = system(pool_size=3)
    state = start(cycle)
    step = jax.jit(partial(simultaneous_step, game=cycle.game, optimizers=SGD))
    params, pools = get_params(state), state.discriminator.weights.state["pool"]

    @jax.jit
    def authors(key, params, pools, batch):
        x, y = (batch[domain]["point"] for domain in ("source", "target"))
        keys = jax.random.split(key, 8)[4:6]  # of the pools: the game's own
        fakes = {
            "source": affine(params.generator["back"], y),
            "target": affine(params.generator["translate"], x),
        }
        past = {}
        for name, key_judge in zip(("source", "target"), keys, strict=True):
            key_pool = jax.random.split(key_judge, 4)[2]
            past[name], pools[name] = exchange(key_pool, pools[name], fakes[name])
        slope = jax.grad(lambda p: by_hand(p, x, y)[0])(params).generator
        descend = partial(jax.tree.map, lambda p, g: p - 0.05 * g)
        params = params._replace(generator=descend(params.generator, slope))
        judging = lambda p: by_hand(p, x, y, past["source"], past["target"])[1]  # noqa: E731
        slope = jax.grad(judging)(params).discriminator
        return params._replace(discriminator=descend(params.discriminator, slope)), pools

    for key in jax.random.split(KEY, 4):
        batch = batch_of(2, key)
        state, _ = step(key, state, batch)
        params, pools = authors(key, params, dict(pools), batch)
    chex.assert_trees_all_close(get_params(state), params, rtol=1e-4, atol=1e-6)
    kept = state.discriminator.weights.state["pool"]
    chex.assert_trees_all_close(kept, pools, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_each_move_is_of_one_player_and_the_critics_fill_the_pools():
    cycle = system(pool_size=50)
    state, batch = start(cycle), batch_of(4)
    told = {"game": cycle.game, "optimizers": SGD}
    after, _ = jax.jit(partial(discriminator_step, **told))(KEY, state, batch)
    chex.assert_trees_all_equal(after.generator, state.generator)
    pool = after.discriminator.weights.state["pool"]["target"]
    assert int(pool.taken) == 4
    fakes = cycle.translate(state.generator.weights, batch["source"]["point"])
    np.testing.assert_allclose(pool.examples[:4], fakes, rtol=1e-6)
    moved, _ = jax.jit(partial(generator_step, **told))(KEY, after, batch)
    chex.assert_trees_all_equal(moved.discriminator, after.discriminator)


@pytest.mark.slow
def test_a_pool_of_no_places_is_no_pool():
    """And one that is not yet full changes no bit."""
    played = []
    for size in (0, 50):
        cycle = system(pool_size=size)
        state = start(cycle)
        step = jax.jit(partial(simultaneous_step, game=cycle.game, optimizers=SGD))
        for key in jax.random.split(KEY, 3):
            state, metrics = step(key, state, batch_of(4, key))
        played.append((get_params(state), metrics))
        assert ("pool" in state.discriminator.weights.state) == (size > 0)
    chex.assert_trees_all_equal(*played)


@pytest.mark.slow
def test_jit_is_pmap_without_a_pool():
    """Nothing is random but the batch, and losses are means."""
    cycle, batch = system(pool_size=0), batch_of(8)
    state = start(cycle)
    devices = jax.devices()[:2]
    step = partial(simultaneous_step, game=cycle.game, optimizers=SGD)
    sharded, _ = jit_step(step, mesh=data_mesh(devices))(KEY, jax.tree.map(jnp.copy, state), batch)
    mapped = pmap_step(partial(step, axis_name=AXIS), devices=devices)
    found, _ = mapped(KEY, stack(state, 2), batch)
    chex.assert_trees_all_close(
        jax.device_get(get_params(unstack(found))),
        jax.device_get(get_params(sharded)),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.slow
def test_under_pmap_each_device_has_a_pool_of_its_own():
    cycle, batch = system(pool_size=50), batch_of(8)
    step = partial(simultaneous_step, game=cycle.game, optimizers=SGD, axis_name=AXIS)
    after, _ = pmap_step(step, devices=jax.devices()[:2])(KEY, stack(start(cycle), 2), batch)
    pool = after.discriminator.weights.state["pool"]["target"]
    np.testing.assert_array_equal(pool.taken, [4, 4])
    fakes = affine(start(cycle).generator.weights.params["translate"], batch["source"]["point"])
    np.testing.assert_allclose(pool.examples[:, :4].reshape(8, 2), fakes, rtol=1e-5)


@pytest.mark.slow
def test_affine_players_learn_maps_that_undo_each_other():
    """Between two Gaussians: the cycles come to 1e-2, and G to the target's mean and variances."""
    rate = optax.linear_schedule(1e-2, 0.0, 1_500, 1_500)
    adam = optax.adam(rate, b1=0.5)
    optimizers = Optimizers(generator=adam, discriminator=adam)
    cycle = system(cycle_weight=1.0, discriminator=Quadratic())
    state = start(cycle, optimizers)

    def step(state, key):
        batch = batch_of(64, key)
        return simultaneous_step(key, state, batch, game=cycle.game, optimizers=optimizers)

    run = jax.jit(lambda s: jax.lax.scan(step, s, jax.random.split(KEY, 3_000)))
    state, metrics = run(state)
    assert metrics["generator/forward_cycle"][-1] < 1e-2
    assert metrics["generator/backward_cycle"][-1] < 1e-2
    batch = batch_of(4_000, jax.random.key(5))
    made = cycle.translate(state.generator.weights, batch["source"]["point"])
    np.testing.assert_allclose(made.mean(axis=0), [1, -1], atol=0.15)
    np.testing.assert_allclose(made.std(axis=0), [2, 0.5], rtol=0.15)


class Quadratic(nn.Module):
    """A critic that sees means and covariances."""

    @nn.compact
    def __call__(self, x, *, train=False):
        squares = jnp.stack([x[:, 0] ** 2, x[:, 1] ** 2, x[:, 0] * x[:, 1]], axis=-1)
        return nn.Dense(1)(jnp.concatenate([x, squares], axis=-1))[:, 0]


def test_what_makes_no_cycle_is_refused():
    for changes, words in (
        ({"cycle_weight": (1.0, 2.0, 3.0)}, r"\(1.0, 2.0, 3.0\); it must be one number, or"),
        ({"cycle_weight": (1.0, -2.0)}, "cycle_weight is -2.0; it must be finite, and not below 0"),
        ({"identity_weight": -1.0}, "identity_weight is -1.0; it must be finite"),
        ({"pool_size": -1}, "pool_size is -1; it must be an integer, at least 0"),
        ({"loss": losses.least_squares}, "loss is least_squares itself: call it"),
    ):
        with pytest.raises(ValueError, match=words):
            system(**changes)
    wide = {**batch_of(2), "target": {"point": jnp.zeros((2, 3))}}
    with pytest.raises(ValueError, match=r"source are of shape \(2,\), those of the target \(3,\)"):
        system().init(KEY, wide, optimizers=SGD)
    state = start(system(pool_size=0))
    weights = {name: getattr(state, name).weights for name in ("generator", "discriminator")}
    with pytest.raises(ValueError, match="have no pool, and pool_size is 50: give the pool_size"):
        system().game(**weights, batch=batch_of(2), key=KEY)
