"""GANSynth's networks that grow: what they are at whole levels, between them, and not yet."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import (
    GANSynthDiscriminator,
    GANSynthGenerator,
    GrowingGANSynthDiscriminator,
    GrowingGANSynthGenerator,
)
from gan_jax.nets.growing import share_of
from gan_jax.signals import mean_down, nearest_up

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
LATENTS = jax.random.normal(jax.random.key(1), (3, 5))
PITCH = jnp.array([2, 0, 3])
NOTES = 2 * jax.random.normal(jax.random.key(2), (3, 8, 12, 2))
WIDTHS = (5, 4, 3)
UNITS = {"base": (2, 3), "scale": (0.5, 0.25), "offset": (0.1, -0.2)}
generator = GrowingGANSynthGenerator(WIDTHS, 4, **UNITS)
discriminator = GrowingGANSynthDiscriminator(WIDTHS, 4, 6, **UNITS)


def inputs_of(network):
    return (LATENTS, PITCH) if isinstance(network, GANSynthGenerator) else (NOTES,)


@cache
def params_of(network):
    return jax.jit(network.init)(KEY, *inputs_of(network))["params"]


@cache
def compiled(network):
    return jax.jit(network.apply)


def at(network, level, params=None):
    """What a network gives at a level, of the weights of all."""
    whole = network.clone(num_levels=None, dtype=None)
    told = {"params": params or params_of(whole), "fade": {"level": jnp.float32(level)}}
    return compiled(network)(told, *inputs_of(network))


def plain_generator(num):
    own = params_of(generator)
    params = {name: layer for name, layer in own.items() if name.startswith("Equalised")}
    params[f"EqualisedConv_{2 * num}"] = own[f"made_{num - 1}"]
    plain = GANSynthGenerator(WIDTHS[:num], 4, **UNITS)
    return jax.jit(plain.apply)({"params": params}, LATENTS, PITCH)


def plain_discriminator(num, notes):
    own = params_of(discriminator)
    layers = [f"seen_{num - 1}"]
    for level in range(num - 1, 0, -1):
        layers += [f"first_{level}", f"second_{level}"]
    layers += ["EqualisedConv_0", "EqualisedConv_1"]
    params = {f"EqualisedConv_{place}": own[name] for place, name in enumerate(layers)}
    params |= {name: own[name] for name in ("EqualisedDense_0", "EqualisedDense_1")}
    plain = GANSynthDiscriminator(WIDTHS[:num], 4, 6, **UNITS)
    return jax.jit(plain.apply)({"params": params}, notes)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_at_a_whole_level_the_generator_is_the_plain_one_enlarged(level):
    expected = plain_generator(level + 1)
    for _ in range(2 - level):
        expected = nearest_up(expected)
    np.testing.assert_allclose(at(generator, level), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_at_a_whole_level_the_critic_is_the_plain_one_on_averages(level):
    notes = jnp.clip(NOTES * jnp.array([[[[0.5, 0.25]]]]) + jnp.array([[[[0.1, -0.2]]]]), -1, 1)
    for _ in range(2 - level):
        notes = mean_down(notes)
    notes = (notes - jnp.array([[[[0.1, -0.2]]]])) / jnp.array([[[[0.5, 0.25]]]])
    found, expected = at(discriminator, level), plain_discriminator(level + 1, notes)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_between_levels_what_is_made_is_mixed():
    low, high = at(generator, 1), at(generator, 2)
    np.testing.assert_allclose(at(generator, 1.25), 0.75 * low + 0.25 * high, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("reached", "shares"), [(0, (1, 0, 0)), (1.25, (1, 1, 0.25))])
def test_shares_of_levels(reached, shares):
    assert tuple(float(share_of(level, jnp.float32(reached))) for level in range(3)) == shares


@pytest.mark.parametrize("network", [generator, discriminator])
def test_levels_that_are_not_computed_have_no_part(network):
    """Nor a gradient where they are computed."""
    for level in (0.0, 0.5, 1.0):
        some, everything = at(network.clone(num_levels=2), level), at(network, level)
        jax.tree.map(
            lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6),
            some,
            everything,
        )

    def total(params):
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(at(network, 1.0, params)))

    gradients = jax.jit(jax.grad(total))(params_of(network))
    moved = {name for name, of in gradients.items() if any(np.any(leaf) for leaf in of.values())}
    if network is generator:
        first = {f"EqualisedConv_{place}" for place in range(4)}
        assert moved == first | {"made_1"}
    else:
        head = {f"Equalised{kind}_{place}" for kind in ("Conv", "Dense") for place in (0, 1)}
        assert moved == head | {"seen_1", "first_1", "second_1"}


def test_both_compute_in_bfloat16_what_they_give_in_float32():
    for network in (generator, discriminator):
        rough = network.clone(dtype=jnp.bfloat16)
        found = jax.tree.leaves(at(rough, 1.5))[0]
        expected = jax.tree.leaves(at(network, 1.5))[0]
        assert found.dtype == jnp.float32
        assert (found != expected).any()
        np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())
