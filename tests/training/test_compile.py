"""One source, every way of running it: the same result.

Everything here moves by plain gradient descent: Adam amplifies round-off.
"""

from functools import cache, partial
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import jaxprs_in_params
from jax.interpreters import partial_eval
from jax.sharding import NamedSharding, PartitionSpec

from gan_jax.games import (
    Optimizers,
    Outcome,
    PlayerOutcome,
    Weights,
    alternating_step,
    descent_step,
    discriminator_step,
    exponential_average,
    exponential_average_memory,
    generator_step,
    init,
    init_descent,
    simultaneous_step,
)
from gan_jax.losses import non_saturating
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import compiler_options, data_mesh, jit_step, pmap_step, scan_steps
from gan_jax.training.compile import AXIS, split, stack, unstack
from gan_jax.training.runtime import runtime

SEED = 3
BATCH_SIZE = 16


def sgd(rate):
    return Optimizers(generator=optax.sgd(rate), discriminator=optax.sgd(rate))


PLAYS = {
    "simultaneous": simultaneous_step,
    "alternating": alternating_step,
    "two moves of D": partial(alternating_step, num_discriminator_steps=2),
}


class Problem(NamedTuple):
    """A step for each axis name, where it starts, and the batches of all steps."""

    step: Any
    state: Any
    data: Any


def key_of(t):
    """The key of a step, as the runtime has it."""
    key_steps, _ = jax.random.split(jax.random.key(SEED))
    return jax.random.fold_in(key_steps, t)


def the_item(key, resident, item):
    """Read a batch that came whole."""
    return item


def num_steps_of(data):
    return len(jax.tree.leaves(data)[0])


def batch_of(data, t):
    return jax.tree.map(lambda leaf: leaf[t], data)


def game_problem(
    play, generator, discriminator, shape, *, num_steps=10, rate=0.1, tell_networks=True
):
    """Play with latents that are part of the batch, so that devices need not draw their own.

    `tell_networks`: whether batch norm is given the axis name.
    """

    def apply(network, weights, x):
        variables = {"params": weights.params, **weights.state}
        return network.apply(variables, x, train=True, mutable=list(weights.state))

    def game(axis_name, *, generator, discriminator, batch, key):
        told = NETWORKS
        if tell_networks:
            told = [
                network.clone(axis_name=axis_name) if hasattr(network, "axis_name") else network
                for network in NETWORKS
            ]
        fake, generator_state = apply(told[0], generator, batch["latents"])
        real_logits, state = apply(told[1], discriminator, batch["real"])
        fake_logits, state = apply(told[1], discriminator.replace(state=state), fake)
        loss = non_saturating()
        return Outcome(
            generator=PlayerOutcome(jnp.mean(loss.generator(fake_logits)), generator_state),
            discriminator=PlayerOutcome(
                jnp.mean(loss.real(real_logits)) + jnp.mean(loss.fake(fake_logits)), state
            ),
        )

    NETWORKS = generator, discriminator
    system = GAN(
        generator=generator,
        discriminator=discriminator,
        loss=non_saturating(),
        latents=networks.normal(2),
        field="real",
    )
    leading = (num_steps, BATCH_SIZE)
    data = {
        "latents": jax.random.normal(jax.random.key(1), (*leading, 2)),
        "real": jax.random.uniform(jax.random.key(2), (*leading, *shape), minval=-1),
    }

    def step(axis_name):
        return partial(
            play, game=partial(game, axis_name), optimizers=sgd(rate), axis_name=axis_name
        )

    state = system.init(jax.random.key(0), batch_of(data, 0), optimizers=sgd(rate))
    return Problem(step, state, data)


def mlp_problem(play):
    return game_problem(play, MLPGenerator((2,), (8,)), MLPDiscriminator((8,)), (2,))


def averaged_problem():
    step, state, data = mlp_problem(alternating_step)
    return Problem(
        lambda axis_name: exponential_average(step(axis_name), decay=0.9),
        exponential_average_memory(state),
        data,
    )


def objective(*, weights, batch, key):
    """Regression, and a running mean of its inputs."""
    error = batch["x"] @ weights.params - batch["y"]
    mean = 0.9 * weights.state["batch_stats"]["mean"] + 0.1 * jnp.mean(batch["x"])
    return PlayerOutcome(
        jnp.mean(error**2), {"batch_stats": {"mean": mean}}, {"error": jnp.mean(error)}
    )


def descent_problem():
    x = jax.random.normal(jax.random.key(0), (10, BATCH_SIZE, 3))
    weights = Weights(params=jnp.ones(3), state={"batch_stats": {"mean": jnp.zeros(())}})
    optimizer = optax.sgd(0.1)
    step = partial(descent_step, objective=objective, optimizer=optimizer)
    return Problem(
        lambda axis_name: partial(step, axis_name=axis_name),
        init_descent(weights=weights, optimizer=optimizer),
        {"x": x, "y": jnp.sum(x**3, axis=-1)},
    )


PROBLEMS = {name: partial(mlp_problem, play) for name, play in PLAYS.items()} | {
    "averaged alternating": averaged_problem,
    "descent": descent_problem,
}


def run(step, state, data):
    for t in range(num_steps_of(data)):
        state, metrics = step(key_of(t), state, batch_of(data, t))
    return state, metrics


def compiled(step):
    """Let a step be traced once, and its state be used once."""
    chex.clear_trace_counter()  # it knows functions by their text
    return chex.assert_max_traces(lambda key, state, batch: step(key, state, batch), n=1)


def run_compiled(step, state, data):
    for t in range(num_steps_of(data)):
        before, (state, metrics) = state, step(key_of(t), state, batch_of(data, t))
        if t:  # the first state may have to be brought to the devices
            assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
    return state, metrics


def copied(state):
    return jax.tree.map(jnp.copy, state)


def by_nobody(problem):
    return run(problem.step(None), problem.state, problem.data)


def by_jit(problem, num_devices=None):
    mesh = data_mesh(jax.devices()[:num_devices]) if num_devices else None
    step = jit_step(compiled(problem.step(None)), mesh=mesh)
    return run_compiled(step, copied(problem.state), problem.data)


def by_pmap(problem, num_devices):
    devices = jax.local_devices()[:num_devices]
    step = pmap_step(compiled(problem.step(AXIS)), devices=devices)
    state, metrics = run_compiled(step, stack(problem.state, num_devices), problem.data)
    for leaf in jax.tree.leaves(state):  # the replicas stay one state
        np.testing.assert_array_equal(leaf, np.stack([leaf[0]] * num_devices))
    return unstack(state), metrics


def by_shard_map(problem, num_devices):
    whole, split = PartitionSpec(), PartitionSpec(AXIS)
    mesh = data_mesh(jax.devices()[:num_devices])
    step = jax.shard_map(
        compiled(problem.step(AXIS)),
        mesh=mesh,
        in_specs=(whole, whole, split),
        out_specs=whole,
        check_vma=False,
    )
    state = jax.device_put(copied(problem.state), NamedSharding(mesh, whole))
    return run_compiled(jit_step(step), state, problem.data)


def by_scan(problem):
    steps = jax.jit(scan_steps(compiled(problem.step(None)), the_item))
    state, metrics = steps(jax.random.key(SEED), 0, problem.state, {}, problem.data)
    return state, batch_of(metrics, -1)


def by_runtime(problem, parallel):
    """Read every batch from one resident table, as training does."""
    run = runtime(
        compiled(problem.step(AXIS if parallel == "pmap" else None)),
        lambda key, table, rows: jax.tree.map(lambda leaf: leaf[rows], table),
        parallel=parallel,
        batch_size=BATCH_SIZE,
    )
    state, key = run.place(copied(problem.state)), run.place_whole(jax.random.key(SEED))
    table = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), problem.data)
    table = run.place_whole(table)
    num_steps = num_steps_of(problem.data)
    steps_per_dispatch = num_steps // 2
    rows = np.arange(num_steps * BATCH_SIZE, dtype=np.int32).reshape(num_steps, BATCH_SIZE)
    for start in range(0, num_steps, steps_per_dispatch):
        chunk = run.place_chunk(rows[start : start + steps_per_dispatch])
        before, (state, metrics) = state, run.dispatch(key, start, state, table, chunk)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
        assert {len(leaf) for leaf in jax.tree.leaves(metrics)} == {steps_per_dispatch}
    return run.view(state), batch_of(metrics, -1)


WAYS = {
    "nobody": by_nobody,
    "jit over 2": partial(by_jit, num_devices=2),
    "jit over 4": partial(by_jit, num_devices=4),
    "pmap over 2": partial(by_pmap, num_devices=2),
    "pmap over 4": partial(by_pmap, num_devices=4),
    "shard_map over 2": partial(by_shard_map, num_devices=2),
    "scan": by_scan,
    "runtime on one": partial(by_runtime, parallel="none"),
    "runtime by jit": partial(by_runtime, parallel="jit"),
    "runtime by pmap": partial(by_runtime, parallel="pmap"),
}


def assert_same(result, expected, rtol=1e-5, atol=1e-6):
    for actual, wanted in zip(result, expected, strict=True):
        chex.assert_trees_all_close(actual, wanted, rtol=rtol, atol=atol)


ALWAYS = {
    "descent": (
        "jit over 4",
        "pmap over 4",
        "shard_map over 2",
        "scan",
        "runtime on one",
        "runtime by jit",
    )
}
"""The cells that are tested by default: each way once, on what compiles fastest."""


@cache
def by_jit_once(name):
    problem = PROBLEMS[name]()
    return problem, by_jit(problem)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        pytest.param(name, way, marks=() if way in ALWAYS.get(name, ()) else pytest.mark.slow)
        for name in PROBLEMS
        for way in WAYS
    ],
)
def test_a_step_gives_the_same_result_in_every_way(name, way):
    problem, expected = by_jit_once(name)
    assert_same(WAYS[way](problem), expected)
    assert int(expected[0].step) == num_steps_of(problem.data) == 10


@pytest.mark.parametrize("name", ["one", "mesh", "pmap"])
def test_a_state_that_was_given_away_is_refused_by_name(name):
    def add(key, state, batch):
        return {"a": state["a"] + 1}, {}

    step = {"one": jit_step, "mesh": partial(jit_step, mesh=data_mesh()), "pmap": pmap_step}[name](
        add
    )
    first, _ = step(key_of(0), {"a": jnp.ones((4, 3))}, {})
    step(key_of(1), first, {})
    with pytest.raises(ValueError, match="array at a is gone, for an earlier run or step took it"):
        step(key_of(1), first, {})


@cache
def dcgan_by_jit_once(play):
    generator, discriminator = DCGANGenerator(16, 1, 4), DCGANDiscriminator(4)
    # Few small steps: batch norm amplifies round-off too.
    problem = game_problem(
        PLAYS[play], generator, discriminator, (16, 16, 1), num_steps=4, rate=0.01
    )
    return problem, by_jit(problem)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("play", PLAYS)
def test_a_dcgan_trains_alike_in_every_way(play, way):
    problem, expected = dcgan_by_jit_once(play)
    assert_same(WAYS[way](problem), expected, rtol=1e-4, atol=1e-5)


class Normalised(nn.Module):
    """Batch norm, and a curve behind it that lets its statistics be felt."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.tanh(nn.BatchNorm(not train, axis_name=self.axis_name)(nn.Dense(2)(x)))


@pytest.mark.slow
def test_batch_statistics_are_global_but_under_pmap_without_the_axis_name():
    play_with = partial(
        game_problem, simultaneous_step, Normalised(), MLPDiscriminator(()), (2,), rate=1.0
    )
    problem = play_with()
    expected = by_jit(problem)
    assert_same(by_jit(problem, 2), expected)
    assert_same(by_pmap(problem, 2), expected)
    state, metrics = by_pmap(play_with(tell_networks=False), 2)
    gap = np.abs(metrics["generator/grad_norm"] - expected[1]["generator/grad_norm"])
    assert gap > 1e-3
    variance, global_variance = (
        s.generator.weights.state["batch_stats"]["BatchNorm_0"]["var"] for s in (state, expected[0])
    )
    assert np.all(variance < global_variance)  # within a device's share, not across them


def reporting_game(*, generator, discriminator, batch, key):
    """Report every kind of state and metric; the draw shows the key."""
    x, draw = jnp.mean(batch["point"]), jax.random.normal(key)
    loss = (generator.params * discriminator.params - x) ** 2
    state = {"batch_stats": {"norm": {"mean": x}}, "pool": x, "draw": draw}
    metrics = {"mean": x, "largest": jnp.max(batch["point"]).astype(jnp.int32)}
    nested = {"first": {"batch_stats": {"mean": x}}, "second": {"pool": x, "draw": draw}}
    return Outcome(
        generator=PlayerOutcome(loss, state, metrics), discriminator=PlayerOutcome(loss, nested)
    )


def reporting_state(*, generator):
    players = {"generator": Weights(params=generator), "discriminator": Weights(params=2.0)}
    outcome = reporting_game(**players, batch={"point": jnp.ones(1)}, key=key_of(0))
    return init(
        generator=Weights(params=generator, state=outcome.generator.state),
        discriminator=Weights(params=2.0, state=outcome.discriminator.state),
        optimizers=sgd(0.1),
    )


@pytest.mark.parametrize("play", [simultaneous_step, alternating_step])
def test_what_pmap_averages_and_what_stays_each_devices_own(play):
    state = reporting_state(generator=jnp.ones(()))
    points = jnp.arange(16.0).reshape(4, 4) ** 2
    own, mean = np.mean(points, axis=1), np.full(4, np.mean(points))
    step = partial(play, game=reporting_game, optimizers=sgd(0.1), axis_name=AXIS)
    mapped = jax.pmap(step, AXIS, in_axes=(None, 0, 0))
    state, metrics = mapped(key_of(0), stack(state, 4), {"point": points})
    kept, nested = state.generator.weights.state, state.discriminator.weights.state
    for player in (state.generator, state.discriminator):
        np.testing.assert_array_equal(player.weights.params, player.weights.params[:1].repeat(4))
    for averaged in (
        kept["batch_stats"]["norm"]["mean"],
        nested["first"]["batch_stats"]["mean"],
        metrics["generator/mean"],
    ):
        np.testing.assert_allclose(averaged, mean, rtol=1e-6)
    for pool in (kept["pool"], nested["second"]["pool"]):
        np.testing.assert_allclose(pool, own, rtol=1e-6)
    np.testing.assert_array_equal(metrics["generator/largest"], [9, 49, 121, 225])
    draws = [np.asarray(kept["draw"]), np.asarray(nested["second"]["draw"])]
    assert [len(set(drawn.tolist())) for drawn in draws] == [4, 4]
    one_sample = play is simultaneous_step
    assert np.array_equal(*draws) == one_sample  # alternating, each move draws its own


def test_split_gives_each_device_a_run_of_neighbours():
    batch = {"x": np.arange(12).reshape(6, 2)}
    np.testing.assert_array_equal(split(batch, 3)["x"][1], [[4, 5], [6, 7]])
    chunk = split(np.arange(12).reshape(2, 6), 3, axis=1)
    np.testing.assert_array_equal(chunk[1], [[2, 3], [8, 9]])


def test_split_refuses_what_does_not_divide():
    for shape, axis in [((3, 0), 0), ((2, 6), 1)]:
        with pytest.raises(ValueError, match=rf"does not divide over 4 .* axis {axis}; choose a"):
            split({"x": np.zeros(shape)}, 4, axis=axis)


@pytest.mark.parametrize("num_arrays", [1, 2, 3])
def test_pmap_takes_states_of_any_number_of_arrays(num_arrays):
    """JAX takes in_axes leaf by leaf where there are as many leaves as arguments."""

    def step(key, state, batch):
        return [leaf + jnp.sum(batch) for leaf in state], {}

    run = runtime(step, the_item, parallel="pmap", batch_size=4)
    state, chunk = run.place([jnp.zeros(3)] * num_arrays), run.place_chunk(np.ones((5, 4)))
    state, _ = run.dispatch(key_of(0), 0, state, {}, chunk)
    np.testing.assert_array_equal(run.view(state), np.full((num_arrays, 3), 5))


def test_vmap_over_seeds_is_as_many_separate_runs():
    step = partial(simultaneous_step, game=reporting_game, optimizers=sgd(0.1))
    keys = jax.random.split(jax.random.key(0), 3)
    separate = [reporting_state(generator=jnp.float32(seed)) for seed in range(3)]
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *separate)
    alone, mapped = jax.jit(step), jax.jit(jax.vmap(step, in_axes=(0, 0, None)))
    for t in range(3):
        batch = {"point": jnp.arange(4.0) + t}
        key_of_run = [jax.random.fold_in(key, t) for key in keys]
        together, metrics = mapped(jnp.stack(key_of_run), together, batch)
        runs = [alone(key, one, batch) for key, one in zip(key_of_run, separate, strict=True)]
        separate = [state for state, _ in runs]
    assert_same((together, metrics), jax.tree.map(lambda *leaves: np.stack(leaves), *runs))
    assert len(set(np.asarray(together.generator.weights.state["draw"]).tolist())) == 3


def draw(key, resident, item):
    """Read a batch of fresh draws, as many as the item has rows."""
    return {"draw": jax.random.uniform(key, item.shape[:1])}


def keep_draws(key, state, batch):
    return batch["draw"], {"step": jax.random.uniform(key), "mean": jnp.mean(batch["draw"])}


def test_the_keys_of_a_dispatch_depend_on_the_steps_alone():
    steps = jax.jit(scan_steps(keep_draws, draw))
    key_steps, key_data = jax.random.split(jax.random.key(SEED))
    for start, num in [(0, 1), (1, 4)]:
        items = np.zeros((num, 3, 0), np.float32)
        last, metrics = steps(jax.random.key(SEED), start, jnp.zeros(3), {}, items)
        for t in range(num):
            of_step = jax.random.fold_in(key_steps, start + t)
            np.testing.assert_array_equal(metrics["step"][t], jax.random.uniform(of_step))
        of_data = jax.random.fold_in(key_data, start + num - 1)
        np.testing.assert_array_equal(last, jax.random.uniform(of_data, (3,)))


def drawn(parallel, rows):
    """Three steps of the runtime on batches of 24 drawn examples, `rows` of them on a device."""
    run = runtime(keep_draws, draw, parallel=parallel, batch_size=24)
    chunk = run.place_chunk(np.zeros((3, 24, 0), np.float32))
    key, state = run.place_whole(jax.random.key(SEED)), run.place(jnp.zeros(rows))
    return lambda *rest: run.dispatch(key, 2, *rest), (state, {}, chunk)


def test_a_mesh_draws_the_data_of_one_device_each_device_its_share():
    (alone, operands), (shared, spread) = drawn("none", 24), drawn("jit", 24)
    program = jax.jit(lambda *rest: shared(*rest)[1]["mean"]).lower(*spread).compile().as_text()
    assert "f32[6]" in program
    assert "f32[24]" not in program
    np.testing.assert_array_equal(alone(*operands)[0], shared(*spread)[0])


def test_under_pmap_each_device_draws_data_of_its_own():
    dispatch, operands = drawn("pmap", 6)
    draws = np.asarray(dispatch(*operands)[0])
    assert draws.shape == (4, 6)
    assert len(np.unique(draws)) == 24


def test_the_average_follows_the_generators_and_leaves_the_game_alone():
    plain = reporting_state(generator=jnp.float32(1))
    step = jax.jit(partial(alternating_step, game=reporting_game, optimizers=sgd(0.1)))
    averaging = jax.jit(exponential_average(step, decay=0.9))
    state, mean = exponential_average_memory(plain), 1.0
    for t in range(3):
        batch = {"point": jnp.arange(4.0) + t}
        state, _ = averaging(key_of(t), state, batch)
        plain, _ = step(key_of(t), plain, batch)
        decay = t / (t + 9)  # that of the warm-up
        mean = decay * mean + (1 - decay) * float(plain.generator.weights.params)
    chex.assert_trees_all_equal(state.replace(memory=None), plain)
    np.testing.assert_allclose(state.memory.generator.params, mean, rtol=1e-5)
    assert abs(mean - 1) > 0.01


@pytest.mark.parametrize(
    ("batch_size", "parallel", "words"),
    [
        (18, "jit", "batch_size=18 does not divide over 4 devices; choose a multiple of 4"),
        (18, "pmap", "batch_size=18 does not divide over 4 devices"),
    ],
)
def test_a_batch_that_does_not_divide_over_the_devices_is_refused(batch_size, parallel, words):
    build = partial(runtime, lambda *args: args, lambda *args: args, batch_size=batch_size)
    with pytest.raises(ValueError, match=words):
        build(parallel=parallel)
    build(parallel="none")


@pytest.mark.parametrize("parallel", ["pmap", "none"])
def test_several_processes_train_by_sharded_jit_alone(parallel, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match=r"2 processes .* sharded jit alone, .* --parallel jit"):
        runtime(lambda *args: args, lambda *args: args, parallel=parallel, batch_size=8)


@pytest.mark.slow
def test_the_option_leaves_convolutions_to_eigen_and_sums_to_ynnpack():
    """Should JAX's own choice be the same one day, the option is there for nothing."""

    def in_ynnpack(function, *shapes, options):
        given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        program = jax.jit(function, compiler_options=options).lower(*given).compile()
        return "ynn_fusion" in program.as_text()

    convolved = partial(
        in_ynnpack,
        partial(
            jax.lax.conv_general_dilated,
            window_strides=(2, 2),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        ),
        (64, 16, 16, 64),
        (5, 5, 64, 64),
    )
    summed = partial(in_ynnpack, lambda x: jnp.sum(x**2), (784, 500))
    assert convolved(options={})
    assert not convolved(options=compiler_options())
    assert summed(options=compiler_options())


@pytest.mark.parametrize("mesh", [None, data_mesh])
def test_steps_are_compiled_with_the_option_but_not_under_transformations(mesh, monkeypatch):
    unknown = {"xla_no_such_option": ""}
    monkeypatch.setattr("gan_jax.training.compile.compiler_options", lambda: unknown)

    def step(key, state, batch):
        return state + jnp.sum(batch), {}

    compiled = jit_step(step, mesh=mesh and mesh())

    def end(rate):
        return rate * compiled(jax.random.key(0), jnp.float32(1), jnp.ones(4))[0]

    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        end(1.0)
    assert jax.jit(end)(1.0) == 5
    assert jax.grad(end)(1.0) == 5
    run = runtime(step, the_item, parallel="jit", batch_size=4)
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        run.dispatch(jax.random.key(0), 0, jnp.float32(1), None, np.ones((1, 4), np.float32))


def test_a_compiler_that_does_not_know_the_option_goes_without(monkeypatch):
    monkeypatch.setattr("gan_jax.training.compile._YNNPACK_REDUCES", {"xla_no_such_option": ""})
    assert compiler_options.__wrapped__() == {}


def primitives(jaxpr):
    """The names of all primitives, those of inner programs too."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for inner in jaxprs_in_params(equation.params):
            yield from primitives(inner)


@pytest.mark.parametrize(
    ("play", "convolutions"),
    [
        (simultaneous_step, 28),
        pytest.param(alternating_step, 34, marks=pytest.mark.slow),
        pytest.param(discriminator_step, 19, marks=pytest.mark.slow),
        pytest.param(generator_step, 15, marks=pytest.mark.slow),
    ],
)
def test_players_share_their_forward_pass(play, convolutions):
    system = GAN(
        generator=DCGANGenerator(32, 1, 4),
        discriminator=DCGANDiscriminator(4),
        loss=non_saturating(),
        latents=networks.normal(2),
    )
    step = partial(play, game=system.game, optimizers=sgd(0.1))
    batch = {"image": jax.ShapeDtypeStruct((2, 32, 32, 1), jnp.float32)}
    state = jax.eval_shape(partial(system.init, optimizers=sgd(0.1)), jax.random.key(0), batch)
    traced = jax.make_jaxpr(step)(jax.random.key(0), state, batch).jaxpr
    needed, _ = partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))
    names = [name for name in primitives(needed) if name.startswith("gan_jax_convolution")]
    assert len(names) == convolutions
    assert not [name for name in primitives(needed) if name == "conv_general_dilated"]


SYSTEM = GAN(
    generator=MLPGenerator((2,), ()),
    discriminator=MLPDiscriminator(()),
    loss=non_saturating(),
    latents=networks.normal(2),
)


def test_several_moves_on_a_mesh_leave_the_batch_where_it_is_and_end_as_on_one_device():
    """By default the one game on a mesh; in all other ways games are among the slow tests."""
    step = partial(PLAYS["two moves of D"], game=SYSTEM.game, optimizers=sgd(0.1))
    batch = {"image": jax.random.normal(jax.random.key(1), (BATCH_SIZE, 2))}
    state = SYSTEM.init(jax.random.key(0), batch, optimizers=sgd(0.1))
    program = jax.jit(jit_step(step, mesh=data_mesh())).lower(key_of(0), state, batch).compile()
    assert "all-reduce" in program.as_text()
    for move in ("all-gather", "all-to-all", "collective-permute"):
        assert move not in program.as_text()
    expected = jit_step(step)(key_of(0), copied(state), batch)
    assert_same(program(key_of(0), state, batch), expected)
