"""ADDA against its equations, and the source, whose bits nothing moves."""

import dataclasses
from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import Optimizers, alternating_step, simultaneous_step
from gan_jax.games.core import own_gradient
from gan_jax.losses import non_saturating
from gan_jax.nets import MLPDiscriminator, MLPEncoder
from gan_jax.systems import ADDA

KEY = jax.random.key(0)
SGD = Optimizers(generator=optax.sgd(0.3), discriminator=optax.sgd(0.2))
KEYS = jax.random.split(jax.random.key(1), 3)
SOURCE = {"image": jax.random.normal(KEYS[0], (6, 3)), "label": jnp.arange(6) % 4}
TARGET = {"image": 1 + jax.random.normal(KEYS[1], (6, 3))}
BOTH = {"source": SOURCE, "target": TARGET}
LINEAR = ADDA(
    encoder=MLPEncoder(2, ()),
    classifier=MLPEncoder(4, ()),
    discriminator=MLPDiscriminator(()),
    loss=non_saturating(),
)


class Normalised(nn.Module):
    """Batch normalisation, so that the encoder keeps statistics: many, for means to move some."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(2)(nn.BatchNorm(not train)(nn.Dense(40)(x)))


def start(system=LINEAR, both=BOTH):
    @jax.jit
    def both_phases():
        source = system.init_source(KEY, SOURCE, optimizer=optax.sgd(0.1)).player.weights
        return source, system.init_target(KEYS[2], source, both, optimizers=SGD)

    return both_phases()


@cache
def started():
    return start()


def affine(params, x):
    return x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"][None]


def test_the_source_learns_by_the_cross_entropy_of_its_labels():
    source, _ = started()
    outcome = jax.jit(LINEAR.objective)(weights=source, batch=SOURCE, key=KEY)
    params = jax.tree.map(np.float64, source.params)
    logits = affine(params["classifier"], affine(params["encoder"], np.float64(SOURCE["image"])))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.asarray(SOURCE["label"])
    np.testing.assert_allclose(
        outcome.loss, -np.log(chances[np.arange(6), labels]).mean(), rtol=1e-5
    )
    accuracy = np.mean(chances.argmax(axis=1) == labels)
    np.testing.assert_allclose(outcome.metrics["accuracy"], accuracy)
    assert 0 < accuracy < 1


def played(order, state):
    """A step of either order, as the paper's equations have it."""
    source = state.generator.weights.state["frozen"]["params"]["encoder"]
    real, x = affine(source, SOURCE["image"]), TARGET["image"]

    def of_discriminator(psi, encoder):
        logits = (affine(psi, real), affine(psi, affine(encoder, x)))
        return -jnp.mean(jnp.log(nn.sigmoid(logits[0])) + jnp.log(1 - nn.sigmoid(logits[1])))

    def of_encoder(encoder, psi):
        return -jnp.mean(jnp.log(nn.sigmoid(affine(psi, affine(encoder, x)))))

    def moved(params, gradient, rate):
        return jax.tree.map(lambda p, g: p - rate * g, params, gradient)

    encoder, psi = state.generator.weights.params["encoder"], state.discriminator.weights.params
    new_psi = moved(psi, jax.grad(of_discriminator)(psi, encoder), 0.2)
    faced = psi if order is simultaneous_step else new_psi
    return moved(encoder, jax.grad(of_encoder)(encoder, faced), 0.3), new_psi


@pytest.mark.parametrize("order", [simultaneous_step, alternating_step])
def test_a_step_moves_the_players_by_the_gradients_of_the_paper(order):
    _, state = started()
    shifted = jax.tree.map(lambda p: p + 0.1, state.generator.weights.params)
    weights = state.generator.weights.replace(params=shifted)  # no longer the source's
    state = state.replace(generator=state.generator.replace(weights=weights))
    after, _ = jax.jit(partial(order, game=LINEAR.game, optimizers=SGD))(KEY, state, BOTH)
    encoder, psi = jax.jit(partial(played, order))(state)
    for found, expected in (
        (after.generator.weights.params, {"encoder": encoder}),
        (after.discriminator.weights.params, psi),
    ):
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, expected)


def test_where_features_are_alike_a_discriminator_of_zeros_is_at_rest():
    """log 2 for each of its two terms, and for the encoder; and no gradient for either."""
    _, state = start(both={"source": TARGET, "target": TARGET})
    zeros = jax.tree.map(jnp.zeros_like, state.discriminator.weights.params)
    weights = state.discriminator.weights.replace(params=zeros)
    state = state.replace(discriminator=state.discriminator.replace(weights=weights))
    for player, loss in (("discriminator", 2 * np.log(2)), ("generator", np.log(2))):
        alike = {"source": TARGET, "target": TARGET}
        gradient, outcome = jax.jit(partial(own_gradient, player, game=LINEAR.game))(
            KEY, state, alike
        )
        np.testing.assert_allclose(outcome.loss, loss, rtol=1e-6)
        assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient)) < 1e-7


def test_the_target_s_encoder_starts_as_the_source_s():
    source, state = started()
    weights = state.generator.weights
    jax.tree.map(np.testing.assert_array_equal, weights.params["encoder"], source.params["encoder"])
    x = TARGET["image"]
    np.testing.assert_array_equal(LINEAR.encode(weights, x), LINEAR.encode(source, x))
    expected = affine(source.params["classifier"], affine(source.params["encoder"], x))
    for of in (source, weights, LINEAR.source(weights)):
        np.testing.assert_allclose(LINEAR.classify(of, x), expected, rtol=1e-6)
    zeros = jax.tree.map(jnp.zeros_like, weights.params)
    forgotten = LINEAR.classify(weights.replace(params=zeros), x)  # by the target's own encoder
    np.testing.assert_allclose(forgotten, 0, atol=1e-7)


def on_three_devices(system, state):
    """Three steps, each device on a third of the examples: what all devices have then."""

    def run(state, batch):
        def step(state, key):
            told = {"game": system.game, "optimizers": SGD, "axis_name": "device"}
            return simultaneous_step(key, state, batch, **told)

        return jax.lax.scan(step, state, jax.random.split(KEY, 3))

    thirds = jax.tree.map(lambda x: x.reshape(3, 2, *x.shape[1:]), BOTH)
    devices = jax.devices()[:3]
    return jax.pmap(run, "device", in_axes=(None, 0), devices=devices)(state, thirds)


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


@pytest.mark.slow  # by default tests/systems/test_networks.py has a frozen network on three
def test_on_three_devices_no_bit_of_the_source_moves():
    system = dataclasses.replace(LINEAR, encoder=Normalised())
    source, _ = start(system)
    source = source.replace(
        state=jax.tree.map(lambda x: jax.random.uniform(KEY, x.shape), source.state)
    )
    state = jax.jit(partial(system.init_target, optimizers=SGD))(KEY, source, BOTH)
    states, _ = on_three_devices(system, state)
    for device in range(3):
        weights = jax.tree.map(lambda x, n=device: x[n], states.generator.weights)
        assert bits(system.source(weights)) == bits(source)
        assert bits(weights.params["encoder"]) != bits(source.params["encoder"])
        assert bits(weights.state["encoder"]) != bits(source.state["encoder"])


@pytest.mark.slow
def test_several_devices_are_one():
    _, state = started()
    states, reported = on_three_devices(LINEAR, state)
    step = jax.jit(partial(simultaneous_step, game=LINEAR.game, optimizers=SGD))
    for key in jax.random.split(KEY, 3):
        state, metrics = step(key, state, BOTH)
    same = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda one, all_: same(all_[0], one), state, states)
    jax.tree.map(lambda one, all_: same(all_[0, -1], one), metrics, reported)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classifier": MLPDiscriminator(())}, r"logits of shape \(\); it must give one number"),
        (
            {"label": "image"},
            "`image` is float32 of shape .*; it must be one whole number",
        ),
    ],
)
def test_a_source_that_does_not_fit_is_refused(changes, words):
    system = dataclasses.replace(LINEAR, **changes)
    batch = {"image": jnp.zeros((3, 2, 3)), "label": jnp.arange(3)}
    with pytest.raises(ValueError, match=words):
        system.init_source(KEY, batch, optimizer=optax.sgd(0.1))


def test_a_target_that_does_not_fit_is_refused():
    system = dataclasses.replace(LINEAR, discriminator=MLPEncoder(2))
    with pytest.raises(ValueError, match="must give each one number, or a map"):
        start(system)
    wrong = {"source": SOURCE, "target": {"image": jnp.full((2, 3), jnp.nan)}}
    with pytest.raises(ValueError, match="`image` holds what is not finite"):
        start(both=wrong)
    source, _ = started()
    other = dataclasses.replace(LINEAR, encoder=MLPEncoder(7, ()))
    with pytest.raises(ValueError, match="weights are not those of this MLPEncoder"):
        other.init_target(KEY, source, BOTH, optimizers=SGD)
