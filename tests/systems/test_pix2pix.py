"""Equations of pix2pix: both losses by hand, the GAN that is left of it, and what L1 makes."""

import inspect
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, nets
from gan_jax.games import Optimizers, simultaneous_step
from gan_jax.systems import GAN, networks, pix2pix

pytestmark = pytest.mark.usefixtures("compiled_quickly")

KEY = jax.random.key(0)
SGD = optax.sgd(0.05)
OPTIMIZERS = Optimizers(SGD, SGD)
BATCH = {
    "condition": jax.random.uniform(jax.random.key(1), (3, 12, 12, 2)),
    "target": jax.random.uniform(jax.random.key(2), (3, 12, 12, 1), minval=-1.0),
}


def build(**changes):
    arguments = {
        "generator": nets.UNet(1, 2, dropout=0.0),
        "discriminator": nets.PatchDiscriminator(1, 2),
        "loss": losses.non_saturating(),
    }
    return pix2pix(**arguments | changes)


def test_both_losses_are_those_of_the_paper():
    system = build(weight=7.0)

    @jax.jit
    def played():
        state = system.init(KEY, BATCH, optimizers=OPTIMIZERS)
        generator, discriminator = state.generator.weights, state.discriminator.weights
        made = system.generate(generator, None, BATCH["condition"])
        judge = partial(system.discriminate, discriminator)
        judged = [judge(x, BATCH["condition"]) for x in (BATCH["target"], made)]
        players = {"generator": generator, "discriminator": discriminator}
        return system.game(**players, batch=BATCH, key=KEY), made, judged

    outcome, made, judged = played()
    of_real, of_fake = map(np.asarray, judged)
    assert of_real.shape == (3, 4, 4)
    judged = np.logaddexp(0, -of_real).mean() + np.logaddexp(0, of_fake).mean()
    np.testing.assert_allclose(outcome.discriminator.loss, judged / 2, rtol=1e-5)
    l1 = 7 * np.abs(np.asarray(BATCH["target"] - made)).mean()
    np.testing.assert_allclose(outcome.generator.metrics["l1"], l1, rtol=1e-5)
    fooling = np.logaddexp(0, -of_fake).mean()
    np.testing.assert_allclose(outcome.generator.loss, fooling + l1, rtol=1e-5)


class FromNoise(nn.Module):
    """Makes images of its own noise, whatever it is given."""

    @nn.compact
    def __call__(self, given, *, train=False):
        noise = jax.random.normal(self.make_rng("noise"), (len(given), 3))
        return nn.tanh(nn.Dense(36)(noise)).reshape(-1, 6, 6, 1)


@pytest.mark.slow
def test_with_a_constant_condition_and_no_l1_it_is_the_gan():
    """Bit for bit: the condition says nothing, and half of D's objective is half its rate."""
    batch = {"target": BATCH["target"][:, :6, :6], "condition": jnp.ones((3, 6, 6, 1))}
    critic = nets.Unconditional(nets.PatchDiscriminator(1, 2))
    of_pairs = build(generator=FromNoise(), discriminator=critic, weight=0.0)
    ones = lambda key, num: jnp.ones((num, 6, 6, 1))  # noqa: E731
    plain = GAN(
        generator=FromNoise(),
        discriminator=critic,
        loss=losses.non_saturating(),
        latents=ones,
        field="target",
    )
    halved = Optimizers(SGD, optax.chain(optax.scale(0.5), SGD))

    def played(system, optimizers):
        def step():
            state = system.init(KEY, batch, optimizers=optimizers)
            told = {"game": system.game, "optimizers": optimizers}
            return simultaneous_step(jax.random.key(5), state, batch, **told)

        state, _ = jax.jit(step)()
        return jax.tree.leaves((state.generator.weights, state.discriminator.weights.params))

    for a, b in zip(played(of_pairs, OPTIMIZERS), played(plain, halved), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


class Constant(nn.Module):
    @nn.compact
    def __call__(self, given, *, train=False):
        value = self.param("value", nn.initializers.constant(0.9), (1, 6, 6, 1))
        return jnp.tile(value, (len(given), 1, 1, 1))


def test_the_median_and_not_the_mean_minimises_l1():
    """Of pixels that are -1 twice and 0.5 once the answer is -1: an uncertain answer is no mean."""
    values = jnp.array([-1.0, 0.5, -1.0])[:, None, None, None]
    batch = {"target": jnp.tile(values, (1, 6, 6, 1)), "condition": jnp.ones((3, 6, 6, 1))}
    silent = losses.least_squares()._replace(generator=jnp.zeros_like)
    system = build(generator=Constant(), loss=silent)
    rate = Optimizers(optax.sgd(0.01), SGD)
    step = partial(simultaneous_step, game=system.game, optimizers=rate)

    @jax.jit
    def trained():
        state = system.init(KEY, batch, optimizers=rate)
        keys = jax.random.split(KEY, 300)
        return jax.lax.scan(lambda s, key: step(key, s, batch), state, keys)[0]

    state = trained()
    value = state.generator.weights.params["value"]
    np.testing.assert_allclose(value, -1.0, atol=0.03)


def test_the_noise_is_the_dropout():
    system = build(generator=nets.UNet(1, 4, dropout=0.5))

    @jax.jit
    def sample(key):
        weights = system.init(KEY, BATCH, optimizers=OPTIMIZERS).generator.weights
        return system.sample(key, weights, 3, BATCH["condition"])

    one, other = (sample(jax.random.key(k)) for k in (1, 2))
    assert float(jnp.abs(one - other).max()) > 1e-4


def test_a_batch_of_one_is_allowed():
    system = build(generator=nets.UNet(1, 2))
    one = {name: field[:1, :6, :6] for name, field in BATCH.items()}

    def step():
        state = system.init(KEY, one, optimizers=OPTIMIZERS)
        return simultaneous_step(KEY, state, one, game=system.game, optimizers=OPTIMIZERS)

    _, metrics = jax.jit(step)()
    assert all(np.isfinite(value).all() for value in jax.tree.leaves(metrics))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weight": -1.0}, "weight is -1.0"),
        ({"generator_terms": {"l1": lambda r: 0.0}}, "term of the generator is called l1"),
    ],
)
def test_what_makes_no_game_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        build(**changes)


def test_other_fields_and_conditions_can_be_named():
    system = build(field="image", condition="sketch")
    batch = {"image": BATCH["target"], "sketch": BATCH["condition"]}

    def sample():
        state = system.init(KEY, batch, optimizers=OPTIMIZERS)
        return system.sample(KEY, state.generator.weights, 3, networks.first(batch["sketch"]))

    assert jax.eval_shape(sample).shape == (3, 12, 12, 1)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (losses.non_saturating, r"call it, as in losses.non_saturating\(\)"),
        (losses.fdivergence.kl(), r"losses.f_gan\(divergence\)"),
    ],
)
def test_what_is_no_loss_is_refused(loss, said):
    pair = {"generator": nets.UNet(1), "discriminator": nets.PatchDiscriminator()}
    with pytest.raises(ValueError, match=said):
        inspect.unwrap(pix2pix)(**pair, loss=loss)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_pmap_is_one_device_with_the_whole_batch(norm):
    """Without dropout; by instances as it is, by batches over the axis."""
    batch = {
        "condition": jax.random.uniform(jax.random.key(1), (4, 12, 12, 2)),
        "target": jax.random.uniform(jax.random.key(2), (4, 12, 12, 1), minval=-1.0),
    }

    def step_over(axis_name):
        told = {"norm": norm, "axis_name": axis_name}
        system = build(
            generator=nets.UNet(1, 2, dropout=0.0, **told),
            discriminator=nets.PatchDiscriminator(1, 2, **told),
        )
        arguments = {"optimizers": OPTIMIZERS, "axis_name": axis_name}
        return system, partial(simultaneous_step, game=system.game, **arguments)

    system, step = step_over(None)
    state = system.init(KEY, batch, optimizers=OPTIMIZERS)
    expected, _ = jax.jit(step)(KEY, state, batch)
    shares = jax.tree.map(lambda x: x.reshape(2, 2, *x.shape[1:]), batch)
    _, mapped = step_over("data")
    spread = jax.pmap(mapped, "data", in_axes=(None, None, 0), devices=jax.devices()[:2])
    after, _ = spread(KEY, state, shares)
    for device in range(2):
        own = jax.tree.map(lambda x, d=device: np.asarray(x)[d], after)
        for one, other in zip(jax.tree.leaves(own), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-6)
