"""GANSynth's networks: the authors' sizes, their layers written out, units, what is refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import nets
from gan_jax.nets import GANSynthDiscriminator, GANSynthGenerator
from gan_jax.nets.layers import EqualisedConv, EqualisedDense
from gan_jax.nets.layers.norms import pixel_norm
from gan_jax.signals import mean_down, nearest_up

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
LATENTS = jax.random.normal(jax.random.key(1), (3, 5))
PITCH = jnp.array([2, 0, 3])
NOTES = jax.random.normal(jax.random.key(2), (3, 4, 6, 2))
UNITS = {"base": (2, 3), "scale": (0.5, 0.25), "offset": (0.1, -0.2)}
generator = GANSynthGenerator((4, 3), 4, **UNITS)
discriminator = GANSynthDiscriminator((4, 3), 4, 6, **UNITS)


def started(network, *inputs):
    """With biases that are not 0."""
    params = jax.jit(network.init)(KEY, *inputs)["params"]
    keys = iter(jax.random.split(KEY, 40))
    return jax.tree.map(lambda x: x + 0.5 * jax.random.normal(next(keys), x.shape), params)


def conv(params, number, x, width, kernel=3, **options):
    layer = EqualisedConv(width, kernel, **options)
    return layer.apply({"params": params[f"EqualisedConv_{number}"]}, x)


def leaky(x):
    return jnp.where(x > 0, x, 0.2 * x)


def test_the_paper_has_seven_sizes_from_2_by_16_on():
    widths = nets.gansynth_widths(7)
    assert widths == (256, 256, 256, 256, 128, 64, 32)
    made = jax.eval_shape(
        lambda *inputs: GANSynthGenerator(widths, 61).init_with_output(KEY, *inputs)[0],
        jnp.zeros((2, 256)),
        jnp.zeros(2, int),
    )
    assert made.shape == (2, 128, 1024, 2)
    score, pitch = jax.eval_shape(
        lambda x: GANSynthDiscriminator(widths, 61).init_with_output(KEY, x)[0], made
    )
    assert (score.shape, pitch.shape) == ((2,), (2, 61))


def test_the_generator_written_out():
    params = started(generator, LATENTS, PITCH)
    he = partial(conv, params, gain=np.sqrt(2))

    @jax.jit
    def by_hand():
        x = jnp.concatenate([LATENTS, jnp.eye(4)[PITCH]], axis=1)
        x = x / jnp.sqrt(jnp.mean(x**2, axis=1, keepdims=True))
        x = jnp.pad(x[:, None, None], [(0, 0), (1, 1), (2, 2), (0, 0)])
        x = pixel_norm(leaky(he(0, x, 4, (2, 3), padding="VALID")))
        x = pixel_norm(leaky(he(1, x, 4)))
        x = pixel_norm(leaky(he(2, nearest_up(x), 3)))
        x = pixel_norm(leaky(he(3, x, 3)))
        x = jnp.tanh(conv(params, 4, x, 2, 1))
        return (x - jnp.array([[[[0.1, -0.2]]]])) / jnp.array([[[[0.5, 0.25]]]])

    found = jax.jit(generator.apply)({"params": params}, LATENTS, PITCH)
    assert found.shape == (3, 4, 6, 2)
    np.testing.assert_allclose(found, by_hand(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jnp.mean(pixel_norm(NOTES) ** 2, axis=3), 1, rtol=1e-5)


def test_the_discriminator_written_out():
    """Notes of which all are one differ by the epsilon alone."""
    params = started(discriminator, NOTES)
    he = partial(conv, params, gain=np.sqrt(2))

    @jax.jit
    def by_hand(notes):
        x = jnp.clip(notes * jnp.array([[[[0.5, 0.25]]]]) + jnp.array([[[[0.1, -0.2]]]]), -1, 1)
        x = leaky(he(0, x, 3, 1))
        x = mean_down(leaky(he(2, leaky(he(1, x, 3)), 4)))
        differ = jnp.mean(jnp.sqrt(jnp.var(x, axis=0) + 1e-6))
        x = jnp.concatenate([x, jnp.broadcast_to(differ, (*x.shape[:3], 1))], axis=3)
        x = leaky(he(3, x, 4))
        x = leaky(he(4, x, 6, (2, 3), padding="VALID"))[:, 0, 0]
        score, pitch = (
            EqualisedDense(size).apply({"params": params[f"EqualisedDense_{number}"]}, x)
            for number, size in enumerate((1, 4))
        )
        return score[:, 0], pitch

    apply = jax.jit(discriminator.apply)
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    for notes in (NOTES, jnp.repeat(NOTES[:1], 3, axis=0)):
        jax.tree.map(close, apply({"params": params}, notes, PITCH), by_hand(notes))


def test_both_compute_in_bfloat16_what_they_give_in_float32():
    rough = {"dtype": jnp.bfloat16, **UNITS}
    for exact, network, inputs in (
        (generator, GANSynthGenerator((4, 3), 4, **rough), (LATENTS, PITCH)),
        (discriminator, GANSynthDiscriminator((4, 3), 4, 6, **rough), (NOTES,)),
    ):
        params = started(exact, *inputs)
        found, expected = (
            jax.tree.leaves(jax.jit(one.apply)({"params": params}, *inputs))[0]
            for one in (network, exact)
        )
        assert found.dtype == jnp.float32
        assert (found != expected).any()
        np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: GANSynthGenerator((), 4), r"widths is \(\); it must be one number or more"),
        (lambda: GANSynthGenerator((4, 0), 4), r"widths\[1\] is 0"),
        (lambda: GANSynthGenerator((4,), 0), "num_pitches is 0"),
        (lambda: GANSynthDiscriminator((4,), 4, base=(2, 0)), r"base\[1\] is 0"),
        (lambda: GANSynthDiscriminator((4,), 4, scale=(1.0, 0.0)), "scale is"),
        (lambda: GANSynthDiscriminator((4,), 4, last_width=0), "last_width is 0"),
        (lambda: nets.gansynth_widths(0), "num is 0"),
        (lambda: discriminator.init(KEY, NOTES[:, :3]), r"the size is \(3, 6\); it must be \(4, 6"),
    ],
)
def test_what_is_refused(made, said):
    with pytest.raises(ValueError, match=said):
        made()
