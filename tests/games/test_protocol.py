"""What every public step promises: one signature, one set of metrics, every transformation."""

import inspect
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import games
from gan_jax.games import Optimizers, Outcome, PlayerOutcome, Weights, get_params, init
from gan_jax.typing import Step

KEY = jax.random.key(0)
SGD = Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.2))
NUM_DEVICES = 4

STEPS = {
    "simultaneous_step": games.simultaneous_step,
    "alternating_step": games.alternating_step,
    "extragradient_step": games.extragradient_step,
    "past_extragradient_step": games.past_extragradient_step,
    "consensus_step": partial(games.consensus_step, weight=0.5),
    "symplectic_step": partial(games.symplectic_step, weight=0.5),
    "competitive_step": partial(games.competitive_step, learning_rate=0.1),
    "unrolled_step": partial(games.unrolled_step, num_unrolled_steps=2),
}
"""Every step on two players, by its public name."""
PARTS = {"discriminator_step", "generator_step", "descent_step", "rows_step"}
WRAPPERS = {
    "lookahead": (partial(games.lookahead, interval=2, rate=0.5), games.lookahead_memory),
    "exponential_average": (
        partial(games.exponential_average, decay=0.5),
        games.exponential_average_memory,
    ),
    "uniform_average": (games.uniform_average, games.uniform_average_memory),
}


def test_what_is_frozen_is_averaged_over_no_devices():
    uneven = jnp.arange(NUM_DEVICES) / 7
    statistics = {"batch_stats": {"mean": uneven}}
    state = {
        "batch_stats": {"mean": uneven, "frozen": {"mean": uneven}},
        "frozen": {"first": statistics},
        "critic": statistics,
        "pool": uneven,
    }

    def averaged(state):
        outcome = PlayerOutcome(jnp.zeros(()), state)
        return games.core.across_devices({}, outcome, "device")[1].state

    after = jax.pmap(averaged, "device")(state)
    chex.assert_trees_all_equal((after["frozen"], after["pool"]), (state["frozen"], state["pool"]))
    np.testing.assert_array_equal(after["batch_stats"]["frozen"]["mean"], uneven)
    for trained in (after, after["critic"]):  # a player's own, and one of its several networks'
        np.testing.assert_allclose(trained["batch_stats"]["mean"], np.full(NUM_DEVICES, 1.5 / 7))


def played(name: str, game, axis_name=None) -> Step:
    if name in WRAPPERS:
        return WRAPPERS[name][0](played("alternating_step", game, axis_name))
    return partial(STEPS[name], game=game, optimizers=SGD, axis_name=axis_name)


def game(*, generator, discriminator, batch, key):
    """Smooth, neither linear nor zero-sum, a mean over examples; its latents are in the batch."""
    fake = jnp.tanh(batch["latents"] @ generator.params["w"])
    real_logits = jnp.sin(batch["point"] @ discriminator.params["v"])
    fake_logits = jnp.sin(fake @ discriminator.params["v"])
    seen = {"batch_stats": {"mean": jnp.mean(fake)}}
    return Outcome(
        generator=PlayerOutcome(
            jnp.mean(jax.nn.softplus(-fake_logits)) + jnp.sum(generator.params["w"] ** 2) / 9
        ),
        discriminator=PlayerOutcome(
            jnp.mean(jax.nn.softplus(fake_logits) + jax.nn.softplus(-real_logits)),
            seen,
            {"real_logits": jnp.mean(real_logits)},
        ),
    )


def start(name: str, seed: int = 0):
    draw = partial(np.random.default_rng(seed).normal, size=3)
    state = init(
        generator=Weights(params={"w": jnp.float32([draw(), draw()])}),
        discriminator=Weights(
            params={"v": jnp.float32(draw())},
            state={"batch_stats": {"mean": jnp.zeros(())}},
        ),
        optimizers=SGD,
    )
    if name == "past_extragradient_step":
        return games.past_extragradient_memory(state)
    return WRAPPERS[name][1](state) if name in WRAPPERS else state


def batch(seed: int = 0, num: int = 8):
    draws = np.random.default_rng(seed + 100).normal(size=(num, 5))
    return {"latents": jnp.float32(draws[:, :2]), "point": jnp.float32(draws[:, 2:])}


every_step = pytest.mark.parametrize("name", [*STEPS, *WRAPPERS])
# One plain step and one of the wrappers by default, for the sake of time.
some_steps = pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("alternating_step", "lookahead")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in [*STEPS, *WRAPPERS]
    ],
)


def test_every_public_step_is_under_test():
    public = {name for name in games.__all__ if name.endswith("_step")}
    assert public == set(STEPS) | PARTS


@pytest.mark.parametrize("name", STEPS)
def test_the_signature_is_that_of_every_step(name):
    parameters = inspect.signature(getattr(games, name)).parameters
    positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == ["key", "state", "batch"]
    keywords = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert keywords[:2] == ["game", "optimizers"]
    assert keywords[-1] == "axis_name"
    assert parameters["axis_name"].default is None


@every_step
def test_a_step_counts_reports_and_carries_what_is_not_trained(name):
    state, metrics = jax.jit(played(name, game))(KEY, start(name), batch())
    assert int(state.step) == 1
    expected = {
        f"{player}/{metric}"
        for player in ("generator", "discriminator")
        for metric in ("loss", "grad_norm", "update_norm")
    } | {"discriminator/real_logits"}
    if name == "competitive_step":
        expected |= {f"solver/{metric}" for metric in ("residual", "iterations", "converged")}
    assert set(metrics) == expected
    assert float(state.discriminator.weights.state["batch_stats"]["mean"]) != 0
    chex.assert_tree_all_finite((state, metrics))


@some_steps
def test_jit_scan_and_vmap_agree_with_three_steps_by_hand(name):
    step = played(name, game)
    batches = [batch(t) for t in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
    chex.clear_trace_counter()
    jitted = jax.jit(chex.assert_max_traces(lambda k, s, b: step(k, s, b), n=1))
    hands = {}
    for seed in (0, 1):
        state = start(name, seed)
        for t in range(3):
            state, metrics = jitted(jax.random.fold_in(KEY, t), state, batches[t])
        hands[seed] = (state, metrics)

    def run(state):
        def body(state, at):
            return step(jax.random.fold_in(KEY, at[0]), state, at[1])

        state, metrics = jax.lax.scan(body, state, (jnp.arange(3), stacked))
        return state, jax.tree.map(lambda leaf: leaf[-1], metrics)

    states = jax.tree.map(lambda *leaves: np.stack(leaves), start(name, 0), start(name, 1))
    both = jax.jit(jax.vmap(run))(states)
    for seed in (0, 1):
        one = jax.tree.map(lambda leaf, seed=seed: np.asarray(leaf)[seed], both)
        chex.assert_trees_all_close(one, hands[seed], rtol=2e-4, atol=1e-6)


@some_steps
def test_pmap_is_one_device_with_the_whole_batch(name):
    devices = NUM_DEVICES
    whole, state = batch(num=4 * devices), start(name)
    shares = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), whole)
    mapped = jax.pmap(played(name, game, "device"), axis_name="device", in_axes=(None, None, 0))
    one = jax.jit(played(name, game))
    expected, expected_metrics = one(KEY, state, whole)
    spread, metrics = mapped(KEY, state, shares)
    reference = (get_params(expected), expected.memory)
    on_devices = jax.tree.map(np.asarray, (get_params(spread), spread.memory))
    for device in range(devices):
        on_device = jax.tree.map(lambda leaf, d=device: leaf[d], on_devices)
        chex.assert_trees_all_close(on_device, reference, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        metrics["generator/grad_norm"], expected_metrics["generator/grad_norm"], rtol=1e-4
    )
