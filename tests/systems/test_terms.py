"""Conditions and terms: what they leave as it was, what they cost, and an optimum that is known."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import jaxprs_in_params
from jax.interpreters import partial_eval

from gan_jax import losses
from gan_jax.games import (
    Optimizers,
    discriminator_step,
    generator_step,
    simultaneous_step,
)
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks, relativistic_gan
from gan_jax.systems.networks import first

KEY = jax.random.key(0)
SGD = Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
BATCH = {
    "point": jax.random.normal(jax.random.key(1), (6, 2)),
    "text": jax.random.normal(jax.random.key(2), (6, 3)),
}


class Beside(nn.Module):
    """A network on its input and the conditions side by side, or on its input alone."""

    network: nn.Module
    ignores: bool = False

    @nn.compact
    def __call__(self, x, *conditions, train=False):
        told = () if self.ignores else conditions
        return self.network(jnp.concatenate([x, *told], axis=-1), train=train)


def build(ignores=False, **changes):
    arguments = {
        "generator": Beside(MLPGenerator((2,), (8,)), ignores),
        "discriminator": Beside(MLPDiscriminator((8,)), ignores),
        "loss": losses.non_saturating(),
        "latents": networks.normal(3),
        "field": "point",
    }
    return GAN(**arguments | changes)


def wrong(r, fake):
    """Each example under its neighbour's condition; the same condition is no wrong pair."""
    (right,) = r.conditions
    other = jnp.roll(right, 1, axis=0)
    differs = jnp.any(other != right, axis=1)
    return differs * fake(r.judge(r.real, other)) / 2


def matching_aware(**changes):
    loss = losses.minimax()
    return build(
        loss=loss._replace(fake=lambda logits: loss.fake(logits) / 2),
        conditions=("text",),
        discriminator_terms={"wrong": lambda r: wrong(r, loss.fake)},
        **changes,
    )


def between(r):
    """The generator answers for texts between those of the batch as well."""
    (text,) = r.conditions
    mixed = (text + jnp.roll(text, 1, axis=0)) / 2
    return losses.minimax().generator(r.judge(first(r.generate(mixed)), mixed))


def test_a_condition_that_is_ignored_leaves_the_gan_as_it_was_bit_for_bit():
    moved = []
    for conditions in ((), ("text",)):
        system = build(ignores=True, conditions=conditions)
        state = system.init(KEY, BATCH, optimizers=SGD)
        step = jax.jit(partial(simultaneous_step, game=system.game, optimizers=SGD))
        state, metrics = step(KEY, state, BATCH)
        given = [BATCH["text"]] * len(conditions)
        samples = system.sample(KEY, state.generator.weights, 6, *given)
        logits = system.discriminate(state.discriminator.weights, samples, *given)
        moved.append((state, metrics, samples, logits))
    chex.assert_trees_all_equal(*moved)


def test_a_condition_reaches_both_networks():
    system = build(conditions=("text",))
    state = system.init(KEY, BATCH, optimizers=SGD)
    other = {**BATCH, "text": BATCH["text"] + 1}
    generator, discriminator = state.generator.weights, state.discriminator.weights
    samples = [system.sample(KEY, generator, 6, batch["text"]) for batch in (BATCH, other)]
    assert not np.any(np.isclose(*samples))
    logits = [system.discriminate(discriminator, samples[0], b["text"]) for b in (BATCH, other)]
    assert not np.any(np.isclose(*logits))
    outcomes = [
        system.game(generator=generator, discriminator=discriminator, batch=batch, key=KEY)
        for batch in (BATCH, other)
    ]
    assert outcomes[0].discriminator.loss != outcomes[1].discriminator.loss


def products(jaxpr):
    """Multiplications in all matrix products of a program."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            yield equation.outvars[0].aval.size * np.prod([shape[axis] for axis in contracted])
        for inner in jaxprs_in_params(equation.params):
            yield from products(inner)


def cost(step, system):
    """Of a move, after what it does not need has gone."""
    state = jax.eval_shape(lambda: system.init(KEY, BATCH, optimizers=SGD))
    step = partial(step, game=system.game, optimizers=SGD)
    traced = jax.make_jaxpr(step)(KEY, state, BATCH).jaxpr
    needed, _ = partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))
    return sum(products(needed))


def test_the_terms_of_one_player_cost_a_move_of_the_other_nothing():
    plain = build(conditions=("text",))
    judged, both = matching_aware(), matching_aware(generator_terms={"between": between})
    assert cost(generator_step, plain) == cost(generator_step, judged) > 0
    assert cost(discriminator_step, judged) == cost(discriminator_step, both) > 0
    assert cost(discriminator_step, plain) < cost(discriminator_step, judged)
    assert cost(generator_step, judged) < cost(generator_step, both)


class Table(nn.Module):
    """A logit for each pair of an example and a text, both one-hot."""

    @nn.compact
    def __call__(self, x, text, *, train=False):
        table = self.param("table", nn.initializers.zeros, (3, 4))
        return jnp.einsum("nx,xh,nh->n", x, table, text)


class Uniform(nn.Module):
    """Any of three examples, whatever the text says."""

    @nn.compact
    def __call__(self, z, text, *, train=False):
        self.param("nothing", nn.initializers.zeros, ())
        return jax.nn.one_hot((z[:, 0] * 3).astype(int), 3)


def test_the_optimum_with_wrong_pairs_is_p_over_p_and_half_of_the_wrong_and_of_the_fake():
    """σ(D*) = p/(p + p_wrong/2 + q/2), p_wrong(x, h) = p(h) Σ_{h' ≠ h} p(h') p(x|h')."""
    joint = np.random.default_rng(0).dirichlet(np.ones(12)).reshape(3, 4)
    system = matching_aware(
        generator=Uniform(),
        discriminator=Table(),
        latents=networks.uniform(1, low=0.0, high=1.0),
    )
    num_steps = 1_000
    optimizers = Optimizers(
        generator=optax.sgd(0.0),
        discriminator=optax.adam(optax.cosine_decay_schedule(0.1, num_steps)),
    )

    def step(state, key):
        key_data, key_step = jax.random.split(key)
        drawn = jax.random.categorical(key_data, jnp.log(joint).ravel(), shape=(1_024,))
        batch = {"point": jax.nn.one_hot(drawn // 4, 3), "text": jax.nn.one_hot(drawn % 4, 4)}
        return discriminator_step(key_step, state, batch, game=system.game, optimizers=optimizers)

    blank = {"point": jnp.zeros((1, 3)), "text": jnp.zeros((1, 4))}
    state = system.init(KEY, blank, optimizers=optimizers)
    keys = jax.random.split(KEY, num_steps)
    state, _ = jax.jit(lambda state: jax.lax.scan(step, state, keys))(state)
    p_text = joint.sum(axis=0)
    p_wrong = p_text * ((joint.sum(axis=1, keepdims=True)) - joint)
    np.testing.assert_allclose(p_wrong.sum(), 1 - np.sum(p_text**2))
    expected = joint / (joint + p_wrong / 2 + p_text / 3 / 2)
    found = jax.nn.sigmoid(state.discriminator.weights.params["table"])
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_every_term_has_a_key_of_its_own_and_none_that_of_the_latents():
    keys = []

    def note(r):
        keys.append(jax.random.key_data(r.key))
        return jnp.zeros(6)

    def latents(key, num):
        keys.append(jax.random.key_data(key))
        return jax.random.normal(key, (num, 3))

    terms = {"one": note, "two": note}
    system = build(generator_terms=terms, discriminator_terms=terms, latents=latents)
    state = system.init(KEY, BATCH, optimizers=SGD)
    keys.clear()
    system.game(
        generator=state.generator.weights,
        discriminator=state.discriminator.weights,
        batch=BATCH,
        key=KEY,
    )
    assert len({tuple(key.tolist()) for key in keys}) == len(keys) == 5


def test_a_term_is_averaged_added_to_its_player_and_reported():
    one, two = jnp.arange(6.0), jnp.ones((6, 2, 2))  # an example may have a map of numbers
    plain = build()
    more = build(
        generator_terms={"one": lambda r: one},
        discriminator_terms={"one": lambda r: 3 * one, "two": lambda r: two},
    )
    state = plain.init(KEY, BATCH, optimizers=SGD)

    def play(system):
        return system.game(
            generator=state.generator.weights,
            discriminator=state.discriminator.weights,
            batch=BATCH,
            key=KEY,
        )

    before, after = play(plain), play(more)
    np.testing.assert_allclose(after.generator.loss, before.generator.loss + 2.5, rtol=1e-6)
    np.testing.assert_allclose(after.discriminator.loss, before.discriminator.loss + 8.5, rtol=1e-6)
    assert after.generator.metrics == {"one": 2.5}
    assert after.discriminator.metrics["one"] == 7.5
    assert after.discriminator.metrics["two"] == 1.0


def test_what_is_generated_again_is_fresh_and_by_the_weights_of_the_round():
    seen = {}

    def note(r):
        seen.update(fake=r.fake, again=r.generate(), generated=r.generated)
        return jnp.zeros(6)

    system = build(generator_terms={"note": note})
    state = system.init(KEY, BATCH, optimizers=SGD)
    zero = jax.tree.map(jnp.zeros_like, state.generator.weights)
    for weights in (state.generator.weights, zero):
        discriminator = state.discriminator.weights
        system.game(generator=weights, discriminator=discriminator, batch=BATCH, key=KEY)
        same = np.isclose(seen["fake"], seen["again"])
        assert same.all() if weights is zero else not same.any()
        assert seen["generated"] is seen["fake"]


@pytest.mark.parametrize(
    "loss",
    [
        losses.relativistic(losses.non_saturating()),
        losses.relativistic_average(losses.least_squares()),
    ],
)
def test_relativistic_losses_play_on_the_logits_of_both(loss):
    arguments = {"generator": MLPGenerator((2,), (8,)), "discriminator": MLPDiscriminator((8,))}
    arguments |= {"latents": networks.normal(3), "field": "point"}
    system = relativistic_gan(loss=loss, **arguments)
    seen = {}

    def note(r):
        seen.update(real=r.real_logits, fake=r.fake_logits)
        return jnp.zeros(6)

    noting = relativistic_gan(loss=loss, discriminator_terms={"note": note}, **arguments)
    state = system.init(KEY, BATCH, optimizers=SGD)
    weights = {
        "generator": state.generator.weights,
        "discriminator": state.discriminator.weights,
    }
    outcome, noted = (s.game(**weights, batch=BATCH, key=KEY) for s in (system, noting))
    expected = (jnp.mean(curve(seen["real"], seen["fake"])) for curve in loss)
    assert outcome.discriminator.loss == noted.discriminator.loss
    np.testing.assert_allclose(
        [outcome.discriminator.loss, outcome.generator.loss], list(expected), rtol=1e-6
    )
