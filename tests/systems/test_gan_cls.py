"""GAN-CLS and GAN-INT: the losses by hand, the best critic, and where both are the GAN."""

import inspect

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.games import Weights, vector_field
from gan_jax.systems import gan_cls, interpolated, networks
from tests.systems import test_terms

KEY = jax.random.key(0)
SGD = test_terms.SGD
NOTHING = Weights(params={}, state={})


class Listed(nn.Module):
    """What stands in a list, whatever the text says."""

    fakes: jax.Array

    @nn.compact
    def __call__(self, text, *, train=False):
        return jax.nn.one_hot(self.fakes, 3)


class Table(nn.Module):
    """A logit for each pair of an example, one-hot, and a text, one-hot or the number of one."""

    @nn.compact
    def __call__(self, x, text, *, train=False):
        table = self.param("table", nn.initializers.zeros, (3, 3))
        told = jax.nn.one_hot(text, 3) if text.ndim == 1 else text
        return jnp.einsum("nx,xh,nh->n", x, table, told)


TOUR = [0, 1, 2, 0, 2, 1]
"""Round and round it each of three texts follows each of the others once."""
VISITED = np.array([[0, 1, 2, 2], [0, 0, 0, 1], [1, 1, 2, 1]])
"""For each text the examples that it has in rounds one to four."""
LISTS = {
    "all neighbours differ": (TOUR * 4, [VISITED[h, i // 6] for i, h in enumerate(TOUR * 4)]),
    "some are the same": ([0, 0, 1, 2, 2, 2, 1, 1] * 3, [0, 1, 1, 0, 2, 2, 2, 0, 1, 2, 1, 0] * 2),
    "all are the same": ([1] * 24, [0, 1, 1, 2] * 6),
}
FAKES = [0, 2, 1, 2] * 6


def masses(texts, examples):
    """What the critic accepts and rejects of each pair, counted."""
    accepted, rejected = np.zeros((2, 3, 3))
    for i, (h, x) in enumerate(zip(texts, examples, strict=True)):
        before = texts[i - 1]
        accepted[x, h] += 1
        rejected[FAKES[i], h] += 0.5 if before != h else 1
        rejected[x, before] += 0.5 * (before != h)
    return accepted / len(texts), rejected / len(texts)


def slope(loss, texts, examples, table):
    """Of the critic's loss in its table, at this one."""
    system = gan_cls(
        generator=Listed(jnp.array(FAKES)),
        discriminator=Table(),
        loss=loss,
        latents=None,
        condition="told",
    )

    def of(table):
        critic = Weights(params={"table": table}, state={})
        batch = {"image": jax.nn.one_hot(examples, 3), "told": texts}
        played = system.game(generator=NOTHING, discriminator=critic, batch=batch, key=KEY)
        return played.discriminator.loss

    return jax.grad(of)(table)


@jax.jit
def slopes(texts, examples, best):
    """For texts that are vectors, and that are numbers; and that of a critic without a scale."""
    vectors = jax.nn.one_hot(texts, 3)
    return (
        slope(losses.minimax(), vectors, examples, best),
        slope(losses.minimax(), texts, examples, best),
        slope(losses.wasserstein(), texts, examples, best),
    )


@pytest.mark.parametrize("name", LISTS)
def test_the_best_critic_is_the_share_of_what_it_accepts_in_what_it_sees(name):
    """σ(D*) = p/(p + ½ p_wrong + ½ q): the loss, convex in the logits, has no slope there.

    And Wasserstein's does not gain by a constant, since as much is rejected as accepted.
    """
    texts, examples = LISTS[name]
    p, rejected = masses(texts, examples)
    if name == "all neighbours differ":  # and each example meets both other texts as often
        wrong = (p.sum(axis=1, keepdims=True) - p) / 2
        q = np.zeros((3, 3))
        np.add.at(q, (FAKES, texts), 1 / len(texts))
        np.testing.assert_allclose(rejected, (wrong + q) / 2)
    share = p / np.maximum(p + rejected, 1e-9)
    best = jnp.float32(np.log(share + 1e-9) - np.log(1 - share + 1e-9))
    *found, unbounded = slopes(jnp.array(texts), jnp.array(examples), best)
    np.testing.assert_allclose(found, 0, atol=1e-6)  # (σ(D) - σ(D*)) times what is seen
    np.testing.assert_allclose(jnp.sum(unbounded), 0, atol=1e-6)


def play(system, batch, state):
    weights = {"generator": state.generator.weights, "discriminator": state.discriminator.weights}
    return system.game(**weights, batch=batch, key=KEY)


class Mapped(nn.Module):
    """A map of logits: the image times what its text says."""

    @nn.compact
    def __call__(self, x, text, *, train=False):
        slope = self.param("slope", nn.initializers.ones, (1, 1))
        return slope[None] * x[..., 0] * jnp.sum(text, axis=(1, 2))[:, None, None]


class Pixels(nn.Module):
    @nn.compact
    def __call__(self, text, *, train=False):
        value = self.param("value", nn.initializers.ones, (1, 2, 2, 1))
        return value * jnp.sum(text, axis=(1, 2))[:, None, None, None]


def test_losses_of_maps_and_of_texts_of_any_rank_are_those_of_the_paper():
    x = np.random.default_rng(0).normal(size=(4, 2, 2, 1)).astype(np.float32)
    text = np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
    text[3] = text[2]
    system = gan_cls(
        generator=Pixels(),
        discriminator=Mapped(),
        loss=losses.least_squares(),
        latents=None,
        interpolation=0.25,
    )
    batch = {"image": jnp.asarray(x), "text": jnp.asarray(text)}
    found = jax.jit(lambda: play(system, batch, system.init(KEY, batch, optimizers=SGD)))()
    sums = text.sum(axis=(1, 2))
    other = np.roll(sums, 1)
    differs = np.array([1, 1, 1, 0])
    of_real, of_wrong = (x[..., 0] * s[:, None, None] for s in (sums, other))
    real = np.mean((of_real - 1) ** 2) / 2
    wrong = np.mean(differs[:, None, None] * of_wrong**2) / 4
    fake = np.mean((1 - differs / 2) * sums**4) / 2
    metrics = found.discriminator.metrics
    np.testing.assert_allclose([metrics["wrong"], metrics["fake"]], [wrong, fake], rtol=1e-5)
    np.testing.assert_allclose(found.discriminator.loss, real + wrong + fake, rtol=1e-5)
    between = np.mean(((sums / 4 + 3 * other / 4) ** 2 - 1) ** 2) / 2
    np.testing.assert_allclose(found.generator.metrics["interpolation"], between, rtol=1e-5)
    plain = np.mean((sums**2 - 1) ** 2) / 2
    np.testing.assert_allclose(found.generator.loss, plain + between, rtol=1e-5)


def test_under_one_text_for_all_it_is_the_gan():
    batch = {**test_terms.BATCH, "text": jnp.ones((6, 3))}
    systems = test_terms.build(conditions=("text",)), test_terms.build(make=gan_cls)

    def both():
        state = systems[0].init(KEY, batch, optimizers=SGD)
        return [vector_field(KEY, state, batch, game=system.game) for system in systems]

    (slopes, plain), (found, aware) = jax.jit(both)()
    chex.assert_trees_all_close(found, slopes, rtol=1e-6)
    for one, other in zip(plain, aware, strict=True):
        np.testing.assert_allclose(other.loss, one.loss, rtol=1e-6)
    assert aware.discriminator.metrics["wrong"] == 0


def test_where_nothing_is_mixed_the_term_is_the_plain_loss_once_more():
    """Of a generator without latents; its neighbours' conditions are its own in another order."""
    loss = losses.non_saturating()
    system = test_terms.build(
        generator=test_terms.Beside(test_terms.MLPGenerator((2,), (8,))),
        latents=None,
        conditions=("text",),
        generator_terms={f"{beta}": interpolated(loss, beta) for beta in (0.0, 0.5, 1.0)},
    )

    def played():
        state = system.init(KEY, test_terms.BATCH, optimizers=SGD)
        return play(system, test_terms.BATCH, state).generator

    found = jax.jit(played)()
    plain = found.loss - sum(found.metrics.values())
    for beta in ("0.0", "1.0"):
        np.testing.assert_allclose(found.metrics[beta], plain, rtol=1e-5)
    assert abs(found.metrics["0.5"] - plain) > 1e-3


def test_the_latents_of_the_term_are_its_own_and_those_it_is_judged_with():
    """For β = 1: the loss of the generator on the latents of the term's key."""
    loss = losses.non_saturating()
    found = []

    def note(r):
        again = networks.first(r.generate(r.key, *r.conditions))
        expected = loss.generator(r.judge(again, *r.conditions))
        found[:] = r.fake, again, interpolated(loss, 1.0)(r), expected
        return jnp.zeros(6)

    system = test_terms.build(conditions=("text",), generator_terms={"note": note})

    def noted():
        play(system, test_terms.BATCH, system.init(KEY, test_terms.BATCH, optimizers=SGD))
        return found

    fake, again, term, expected = jax.jit(noted)()
    np.testing.assert_allclose(term, expected, rtol=1e-6)
    assert not np.isclose(fake, again).any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"interpolation": 1.5}, r"^interpolation is 1.5; it must be in \[0, 1\]"),
        ({"loss": losses.non_saturating}, r"call it, as in losses.non_saturating\(\)"),
        ({"generator_terms": {"interpolation": None}}, "generator is called interpolation"),
        ({"discriminator_terms": {"wrong": None}}, "discriminator is called wrong"),
        ({"discriminator_terms": {"fake": None}}, "discriminator is called fake"),
    ],
)
def test_what_makes_no_game_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        test_terms.build(make=inspect.unwrap(gan_cls), **changes)


def test_between_two_labels_lies_nothing():
    system = gan_cls(
        generator=Listed(jnp.zeros(6, int)),
        discriminator=Table(),
        loss=losses.non_saturating(),
        latents=None,
        condition="label",
        interpolation=0.5,
    )
    batch = {"image": jnp.zeros((6, 3)), "label": jnp.arange(6) % 3}
    critic = Weights(params={"table": jnp.zeros((3, 3))}, state={})
    said = "^A condition is int32, and nothing lies between two of its values: interpolate embed"
    with pytest.raises(ValueError, match=said):
        jax.eval_shape(
            lambda: system.game(generator=NOTHING, discriminator=critic, batch=batch, key=KEY)
        )
