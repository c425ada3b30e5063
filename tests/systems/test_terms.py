"""Conditions and terms: what they leave as it was, what they cost, and what they may be called."""

from collections.abc import Callable
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

from gan_jax import losses, systems
from gan_jax.games import (
    Optimizers,
    discriminator_step,
    generator_step,
    simultaneous_step,
)
from gan_jax.nets import MLPDiscriminator, MLPEncoder, MLPGenerator
from gan_jax.systems import GAN, gan_cls, networks, relativistic_gan

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


def build(ignores=False, make: Callable[..., GAN] = GAN, **changes):
    arguments = {
        "generator": Beside(MLPGenerator((2,), (8,)), ignores),
        "discriminator": Beside(MLPDiscriminator((8,)), ignores),
        "loss": losses.non_saturating(),
        "latents": networks.normal(3),
        "field": "point",
    }
    return make(**arguments | changes)


@pytest.mark.slow
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
    judged, both = build(make=gan_cls), build(make=gan_cls, interpolation=0.5)
    assert cost(generator_step, plain) == cost(generator_step, judged) > 0
    assert cost(discriminator_step, judged) == cost(discriminator_step, both) > 0
    assert cost(discriminator_step, plain) < cost(discriminator_step, judged)
    assert cost(generator_step, judged) < cost(generator_step, both)


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
        one, two = jax.random.split(r.key)
        seen.update(fake=r.fake, again=r.generate(one), twice=r.generate(two))
        np.testing.assert_array_equal(seen["again"], r.generate(one))
        assert r.generated is r.fake
        return jnp.zeros(6)

    system = build(generator_terms={"note": note})
    state = system.init(KEY, BATCH, optimizers=SGD)
    zero = jax.tree.map(jnp.zeros_like, state.generator.weights)
    for weights in (state.generator.weights, zero):
        discriminator = state.discriminator.weights
        system.game(generator=weights, discriminator=discriminator, batch=BATCH, key=KEY)
        for other in (seen["again"], seen["twice"]):
            same = np.isclose(seen["fake"], other)
            assert same.all() if weights is zero else not same.any()
        if weights is not zero:
            assert not np.any(np.isclose(seen["again"], seen["twice"]))


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


def silent(r):
    return jnp.zeros(6)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda: build(generator_terms={"loss": silent}),
            "A term of the generator is called loss, as a metric that is reported already",
        ),
        (
            lambda: build(discriminator_terms={"real_logits": silent}),
            "A term of the discriminator is called real_logits",
        ),
        (
            lambda: relativistic_gan(
                loss=losses.relativistic(losses.non_saturating()),
                discriminator_terms={"relativistic": silent},
            ),
            "A term of the discriminator is called relativistic",
        ),
    ],
)
def test_a_term_takes_no_other_metric_s_name(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_a_term_in_bfloat16_leaves_the_loss_in_float32():
    system = build(generator_terms={"half": lambda r: jnp.full(6, 1 / 3, jnp.bfloat16)})
    state = jax.eval_shape(lambda: system.init(KEY, BATCH, optimizers=SGD))
    outcome = jax.eval_shape(
        lambda s: system.game(
            generator=s.generator.weights,
            discriminator=s.discriminator.weights,
            batch=BATCH,
            key=KEY,
        ),
        state,
    )
    assert outcome.generator.loss.dtype == outcome.generator.metrics["half"].dtype == jnp.float32


class Counting(nn.Module):
    """A critic that says how often it was run before; its logits are that number."""

    @nn.compact
    def __call__(self, x, *, train=False):
        self.param("nothing", nn.initializers.zeros, ())
        calls = self.variable("calls", "count", jnp.zeros, ())
        seen = calls.value
        if train:
            calls.value += 1
        return jnp.full(len(x), seen)


def test_terms_judge_with_what_the_discriminator_is_after_the_real_examples():
    judged = []

    def note(r):
        judged.append(
            [float(jnp.mean(a)) for a in (r.real_logits, r.fake_logits, r.critic(r.real))]
        )
        return jnp.zeros(6)

    system = build(discriminator=Counting(), discriminator_terms={"note": note})
    state = system.init(KEY, BATCH, optimizers=SGD)
    weights = {
        "generator": state.generator.weights,
        "discriminator": state.discriminator.weights,
    }
    outcome = system.game(**weights, batch=BATCH, key=KEY)
    assert judged == [[0.0, 1.0, 1.0]]
    assert float(outcome.discriminator.state["calls"]["count"]) == 2


def test_a_sample_draws_latents_and_the_network_s_noise_by_keys_apart():
    keys = []

    class Noted(nn.Module):
        @nn.compact
        def __call__(self, z, *, train=False):
            keys.append(jax.random.key_data(self.make_rng("noise")))
            return z + self.param("nothing", nn.initializers.zeros, (1, 3))

    def latents(key, num):
        keys.extend(jax.random.key_data(k) for k in networks.streams(key).values())
        return jnp.zeros((num, 3))

    system = build(generator=Noted(), latents=latents)
    _, weights = networks.start(Noted(), KEY, jnp.zeros((1, 3)))
    keys.clear()
    system.sample(KEY, weights, 2)
    assert len({tuple(key.tolist()) for key in keys}) == len(keys) == 3


class WithMore(nn.Module):
    """A network that returns more than what it is for."""

    network: nn.Module

    @nn.compact
    def __call__(self, x, *, train=False):
        return self.network(x, train=train), "more"


def test_networks_of_every_system_may_return_more():
    encoder, decoder = WithMore(MLPEncoder(6, (4,))), WithMore(MLPGenerator((2,), (4,)))
    codes = WithMore(MLPEncoder(3, (4,)))
    bernoulli, sgd = losses.gaussian(1.0), optax.sgd(0.1)
    pair = {"condition": BATCH["text"], "target": BATCH["point"]}
    models = [
        (
            systems.VAE(
                encoder=encoder, decoder=decoder, likelihood=bernoulli, latent_dim=3, field="point"
            ),
            BATCH,
        ),
        (
            systems.HierarchicalVAE(
                encoders=[encoder],
                decoders=[decoder],
                likelihood=bernoulli,
                latent_dims=[3],
                field="point",
            ),
            BATCH,
        ),
        (
            systems.CVAE(
                encoder=encoder, decoder=decoder, prior=encoder, likelihood=bernoulli, latent_dim=3
            ),
            pair,
        ),
        (systems.Autoencoder(encoder=codes, decoder=decoder, latent_dim=3, field="point"), BATCH),
        (
            systems.GMMN(
                generator=decoder,
                kernel=losses.gaussian_kernel([1.0]),
                latents=networks.normal(3),
                field="point",
            ),
            BATCH,
        ),
    ]

    def played(model, batch):
        weights = model.init(KEY, batch, optimizer=sgd).player.weights
        return model.objective(weights=weights, batch=batch, key=KEY).loss

    for model, batch in models:
        assert jax.eval_shape(partial(played, model, batch)).shape == ()


def test_one_latent_is_decoded_without_an_axis_for_a_batch():
    model = systems.VAE(
        encoder=MLPEncoder(6, (4,)),
        decoder=MLPGenerator((2,), (4,)),
        likelihood=losses.gaussian(1.0),
        latent_dim=3,
        field="point",
    )
    weights = model.init(KEY, BATCH, optimizer=optax.sgd(0.1)).player.weights
    latents = jnp.arange(6.0).reshape(2, 3)
    both = model.decode(weights, latents)
    np.testing.assert_allclose(model.decode(weights, latents[1]), both[1], rtol=1e-5)


class ByBatch(nn.Module):
    """A critic with batch normalisation, by running averages always where it is told to."""

    running: bool = False

    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.BatchNorm(self.running or not train, axis_name="device")(nn.Dense(4)(x))
        return nn.Dense(1)(x)[:, 0]


def slope(r):
    """A gradient of the critic, by another way than the library's penalties."""
    return jnp.sum(jax.vmap(jax.jacfwd(lambda x: r.judge(x[None])[0]))(r.fake), axis=-1)


@pytest.mark.parametrize(
    ("critic", "terms", "refused"),
    [
        (ByBatch(), {"penalty": lambda r: losses.r1(r.critic, r.real)}, True),
        (ByBatch(), {"slope": slope}, True),
        (ByBatch(), {"judged": lambda r: r.judge(jnp.roll(r.real, 1, axis=0))}, False),
        (ByBatch(running=True), {"penalty": lambda r: losses.r1(r.critic, r.real)}, False),
        (MLPDiscriminator((4,), spectral_norm=True), {"slope": slope}, False),
    ],
)
@pytest.mark.parametrize("player", ["generator_terms", "discriminator_terms"])
def test_a_term_takes_no_gradients_that_batch_normalisation_mixes(critic, terms, refused, player):
    system = build(
        discriminator=critic, packing=1 + (player == "generator_terms"), **{player: terms}
    )
    batch = {"point": jax.ShapeDtypeStruct((5, 2), jnp.float32)}

    def start():
        return jax.eval_shape(lambda: system.init(KEY, batch, optimizers=SGD))

    if not refused:
        start()
        return
    with pytest.raises(ValueError, match=r"DCGANDiscriminator\(batch_norm=False\)") as refusal:
        start()
    assert "\n" not in str(refusal.value)
