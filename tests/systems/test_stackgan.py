"""StackGAN: the KL, what is left without it, and a first stage that stays as it is."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, nets
from gan_jax.games import (
    Optimizers,
    Weights,
    generator_step,
    simultaneous_step,
    vector_field,
)
from gan_jax.systems import gan_cls, networks, stackgan
from gan_jax.training.compile import AXIS, data_mesh, jit_step, pmap_step, stack, unstack
from tests.systems.test_terms import Beside

KEY = jax.random.key(0)
SGD = Optimizers(optax.sgd(0.1), optax.sgd(0.1))
PERIOD = jax.random.normal(jax.random.key(2), (4, 3))
BATCH = {
    "point": jax.random.normal(jax.random.key(1), (8, 2)),
    "text": jnp.tile(PERIOD, (2, 1)),  # neighbours in a half are those in the whole
}


class Told(nn.Module):
    """Examples of the text, and a Gaussian of it, of which nothing is drawn."""

    @nn.compact
    def __call__(self, text, *, train=False):
        numbers = nn.Dense(6)(text)
        return nn.Dense(2)(nn.tanh(text)), tuple(jnp.split(numbers, 2, axis=-1))


class Alone(nn.Module):
    """`Told` without its Gaussian."""

    @nn.compact
    def __call__(self, text, *, train=False):
        return Told(name="told")(text)[0]


def build(make=stackgan, **changes):
    arguments = {
        "generator": Told(),
        "discriminator": Beside(nets.MLPDiscriminator((4,))),
        "loss": losses.non_saturating(),
        "latents": None,
        "field": "point",
    }
    return make(**arguments | changes)


def play(system, state, batch=BATCH):
    weights = {"generator": state.generator.weights, "discriminator": state.discriminator.weights}
    return system.game(**weights, batch=batch, key=KEY)


def test_the_kl_is_that_of_the_generators_gaussian():
    """½ Σ (μ² + σ² - 1 - log σ²), by default with what is 2/128, as the authors have 2 means."""
    systems = build(weight=3.0), build()

    def played():
        state = systems[0].init(KEY, BATCH, optimizers=SGD)
        _, gaussian = networks.infer(Told(), state.generator.weights, BATCH["text"])
        return gaussian, [play(system, state).generator for system in systems]

    gaussian, (found, by_default) = jax.jit(played)()
    mean, log_variance = (np.asarray(numbers) for numbers in gaussian)
    kl = (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1) / 2
    np.testing.assert_allclose(found.metrics["kl"], 3 * kl.mean(), rtol=1e-5)
    np.testing.assert_allclose(by_default.metrics["kl"], 2 * kl.mean() / 128, rtol=1e-5)
    rest = [outcome.loss - outcome.metrics["kl"] for outcome in (found, by_default)]
    np.testing.assert_allclose(*rest, rtol=1e-5)


def test_with_no_weight_and_no_noise_it_is_gan_cls():
    def both():
        weightless, plain = build(weight=0.0), build(gan_cls, generator=Alone())
        state = weightless.init(KEY, BATCH, optimizers=SGD)
        alone = plain.init(KEY, BATCH, optimizers=SGD)
        told = Weights(params={"told": state.generator.weights.params}, state={})
        alone = state.replace(generator=alone.generator.replace(weights=told))
        pairs = (weightless, state), (plain, alone)
        return [vector_field(KEY, start, BATCH, game=system.game)[0] for system, start in pairs]

    weightless, plain = jax.jit(both)()
    chex.assert_trees_all_close(weightless.generator, plain.generator["told"], rtol=1e-6)
    chex.assert_trees_all_close(weightless.discriminator, plain.discriminator, rtol=1e-6)


def test_a_generator_without_a_gaussian_is_refused():
    system = build(generator=Alone())
    state = jax.eval_shape(lambda: system.init(KEY, BATCH, optimizers=SGD))
    with pytest.raises(ValueError, match="The generator gives no mean and log-variance; it must"):
        jax.eval_shape(partial(play, system), state)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weight": -1.0}, "weight is -1.0; it must be finite, and not below 0"),
        ({"generator_terms": {"kl": losses.r1}}, "A term of the generator is called kl"),
        ({"interpolation": 2.0}, "interpolation is 2.0"),
    ],
)
def test_what_makes_no_game_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        build(**changes)


PICTURES = {"image": jax.random.uniform(KEY, (6, 8, 8, 1)), "text": BATCH["text"][:6]}


class Flat(nn.Module):
    """A critic on all numbers of an image and its text."""

    @nn.compact
    def __call__(self, x, text, *, train=False):
        return nn.Dense(1)(jnp.concatenate([x.reshape(len(x), -1), text], axis=-1))[:, 0]


def stages(axis_name=None):
    one = nets.StageOneGenerator(4, 1, 8, 2, 0, axis_name=axis_name)
    two = nets.StageTwoGenerator(networks.Frozen(one), 1, 1, 2, 0, axis_name=axis_name)
    arguments = {
        "discriminator": Flat(),
        "loss": losses.non_saturating(),
        "latents": networks.normal(3),
    }
    return [stackgan(generator=generator, **arguments) for generator in (one, two)]


def second_stage(one, two):
    """The first one's weights, and the start of the second above them."""
    small = {**PICTURES, "image": PICTURES["image"][:, ::2, ::2]}
    first = one.init(jax.random.key(7), small, optimizers=SGD).generator.weights
    state = two.init(KEY, PICTURES, optimizers=SGD)
    weights = networks.freeze(state.generator.weights, first, "stage_one")
    return first, state.replace(generator=state.generator.replace(weights=weights))


def kept(weights):
    return weights.state["frozen"]["stage_one"]["variables"]


def test_the_second_stage_holds_the_first_and_does_not_train_it():
    first, state = jax.eval_shape(lambda: second_stage(*stages()))
    weights = state.generator.weights
    assert set(weights.params).isdisjoint({"stage_one"})
    chex.assert_trees_all_equal_shapes_and_dtypes(kept(weights), networks.variables_of(first))
    assert set(weights.state) == {"frozen", "batch_stats"}
    assert "stage_one" not in weights.state["batch_stats"]


@pytest.mark.slow
def test_the_first_stage_keeps_its_bits_where_devices_take_means():
    rng = np.random.default_rng(0)

    def uneven(leaf):  # numbers that no mean over devices would keep
        low = -0.2 if leaf.ndim > 1 else 0.1
        return jnp.asarray(rng.uniform(low, 0.3, leaf.shape), leaf.dtype)

    first, state = jax.tree.map(uneven, jax.eval_shape(lambda: second_stage(*stages())))
    before = networks.freeze(state.generator.weights, first, "stage_one")
    state = state.replace(generator=state.generator.replace(weights=before))
    _, two = stages(AXIS)
    step = partial(generator_step, game=two.game, optimizers=SGD, axis_name=AXIS)
    mapped = pmap_step(step, devices=jax.devices()[:3])
    state = stack(state, 3)
    for key in jax.random.split(KEY, 3):
        state, _ = mapped(key, state, PICTURES)
    after = unstack(state).generator.weights
    chex.assert_trees_all_equal(kept(after), networks.variables_of(first))
    for name in ("params", "state"):
        old, new = ({**getattr(weights, name), "frozen": {}} for weights in (before, after))
        moved = jax.tree.map(lambda a, b: bool((a != b).any()), old, new)
        assert any(jax.tree.leaves(moved))


@pytest.mark.slow
def test_jit_is_pmap_where_neighbours_are_the_same():
    """No noise, losses that are means, and texts that repeat themselves on each device."""
    system = build(interpolation=0.25)
    state = system.init(KEY, BATCH, optimizers=SGD)
    devices = jax.devices()[:2]
    step = partial(simultaneous_step, game=system.game, optimizers=SGD)
    sharded = jit_step(step, mesh=data_mesh(devices))
    expected = sharded(KEY, jax.tree.map(jnp.copy, state), BATCH)
    mapped = pmap_step(partial(step, axis_name=AXIS), devices=devices)
    after, metrics = mapped(KEY, stack(state, 2), BATCH)
    found = jax.device_get((unstack(after), metrics))
    chex.assert_trees_all_close(found, jax.device_get(expected), rtol=1e-5, atol=1e-6)
