"""What the flags say is what is played."""

import re
from functools import partial
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import cyclegan, dcgan, ring, wgan
from experiments.harness.play import LOSSES, LossName
from gan_jax.games import (
    Optimizers,
    alternating_step,
    exponential_average,
    exponential_average_memory,
    simultaneous_step,
)
from gan_jax.losses import non_saturating
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training.compile import AXIS

SYSTEM = GAN(
    generator=MLPGenerator((2,), (4,)),
    discriminator=MLPDiscriminator((4,)),
    loss=non_saturating(),
    latents=networks.normal(2),
)


def program(step, optimizers, axis_name):
    """The step written out, for one device or for several that are told apart by `axis_name`."""
    key = jax.random.key(0)
    batch = {"image": jax.ShapeDtypeStruct((4, 8, 2), "float32")}
    state = exponential_average_memory(
        SYSTEM.init(key, {"image": batch["image"].update(shape=(8, 2))}, optimizers=optimizers)
    )
    mapped = jax.vmap(step, in_axes=(None, None, 0), axis_name=axis_name)
    return re.sub("0x[0-9a-f]+", "", str(jax.make_jaxpr(mapped)(key, state, batch)))


def test_losses_go_by_their_own_names():
    assert set(get_args(LossName)) == set(LOSSES)
    for name, loss in LOSSES.items():
        assert loss.__name__ == name


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        ({"update": "simultaneous"}, simultaneous_step),
        ({"parallel": "none"}, alternating_step),
        pytest.param(
            {"num_discriminator_steps": 2},
            partial(alternating_step, num_discriminator_steps=2),
            marks=pytest.mark.slow,
        ),
        ({"parallel": "pmap"}, partial(alternating_step, axis_name=AXIS)),
    ],
)
def test_the_step_is_that_of_the_flags_with_an_average_beside_it(flags, chosen):
    config = ring.Config(learning_rate=0.02, average_decay=0.75, **flags)
    adam = optax.adam(0.02, b1=0.5)
    by_hand = partial(
        chosen, game=SYSTEM.game, optimizers=Optimizers(generator=adam, discriminator=adam)
    )
    expected = program(exponential_average(by_hand, decay=0.75), config.optimizers(), AXIS)
    assert program(config.step(SYSTEM), config.optimizers(), AXIS) == expected


def test_a_step_consumes_a_batch_for_each_move_of_the_discriminator():
    config = ring.Config(batch_size=32, num_discriminator_steps=5)
    assert config.examples_per_step == 160


def test_each_player_may_have_a_learning_rate_of_its_own():
    gradient, params = jnp.ones(3), jnp.zeros(3)

    def first_moves(**rates):
        optimizers = ring.Config(learning_rate=0.5, **rates).optimizers()
        return [
            -float(player.update(gradient, player.init(params), params)[0][0])
            for player in optimizers
        ]

    np.testing.assert_allclose(first_moves(), [0.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(first_moves(generator_learning_rate=0.1), [0.1, 0.5], rtol=1e-5)
    np.testing.assert_allclose(first_moves(discriminator_learning_rate=0.2), [0.5, 0.2], rtol=1e-5)


@pytest.mark.parametrize("moves", [1, 2])
def test_learning_rates_are_constant_and_then_fall_to_0(moves):
    """After steps that are told, of as many moves as the player has in each."""
    config = cyclegan.Config(
        learning_rate=0.5,
        discriminator_learning_rate=0.25,
        update="alternating",
        num_discriminator_steps=moves,
        constant_steps=4,
        decay_steps=5,
        steps=9,
    )
    for player, rate, each in zip(config.optimizers(), (0.5, 0.25), (1, moves), strict=True):
        state, moved = player.init(jnp.zeros(1)), []
        for _ in range(11 * each):
            update, state = player.update(jnp.ones(1), state)
            moved.append(-float(update[0]))
        expected = rate * np.array([1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0])
        np.testing.assert_allclose(moved[::each], expected, rtol=1e-4, atol=1e-7)


def test_steps_at_a_rate_of_0_are_refused():
    with pytest.raises(ValueError, match="--steps is 10, but after 9 the learning rate is 0"):
        cyclegan.Config(constant_steps=4, decay_steps=5, steps=10)


@pytest.mark.parametrize("module", [dcgan, ring, wgan])
def test_networks_compute_in_the_type_of_the_flag(module):
    size = {"image": jax.ShapeDtypeStruct((2, 28, 28, 1), "float32")}
    system = module.build(module.Config(dtype="bfloat16"), size)
    assert system.generator.dtype == system.discriminator.dtype == jnp.bfloat16
