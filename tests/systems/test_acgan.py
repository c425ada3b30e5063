"""AC-GAN: its terms against NumPy, and whom they move."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import Optimizers, vector_field
from gan_jax.losses import non_saturating
from gan_jax.nets import ACGANDiscriminator, ConditionalGenerator, MLPDiscriminator, MLPEncoder
from gan_jax.systems import acgan, networks
from tests.systems.test_terms import WithMore

KEY = jax.random.key(0)
SGD = Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
BATCH = {"image": jax.random.uniform(KEY, (6, 2)), "label": jnp.arange(6) % 3}
PLAYERS = ("generator", "discriminator")


class Ignoring(nn.Module):
    """A network that does not look at the conditions."""

    network: nn.Module

    @nn.compact
    def __call__(self, x, *conditions, train=False):
        return self.network(x, train=train)


def build(**changes):
    arguments = {
        "generator": ConditionalGenerator((2,), 3, (2, 2, 4)),
        "discriminator": ACGANDiscriminator(MLPEncoder(4, ()), 3),
        "loss": non_saturating(),
        "latents": networks.normal(3),
    }
    return acgan(**arguments | changes)


def test_losses_are_the_sources_and_the_cross_entropies_of_classes():
    """-L_C of fakes for the generator, of both for the discriminator, each with weight 1."""

    def play():
        made = []
        system = build(discriminator_terms={"note": lambda r: made.append(r) or jnp.zeros(6)})
        state = system.init(KEY, BATCH, optimizers=SGD)
        weights = {name: getattr(state, name).weights for name in PLAYERS}
        outcome = system.game(**weights, batch=BATCH, key=KEY)
        return outcome, (made[-1].real_output, made[-1].fake_output)

    outcome, outputs = jax.jit(play)()
    (of_real, real_classes), (of_fake, fake_classes) = jax.tree.map(np.float64, outputs)

    def cross_entropy(logits):
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return -np.mean(np.log(chances[np.arange(6), np.arange(6) % 3]))

    def softplus(x):
        return np.mean(np.log1p(np.exp(x)))

    real, fake = cross_entropy(real_classes), cross_entropy(fake_classes)
    found = [player.metrics["classes"] for player in outcome]
    np.testing.assert_allclose(found, [fake, real + fake], rtol=1e-5)
    expected = [softplus(-of_fake) + fake, softplus(-of_real) + softplus(of_fake) + real + fake]
    np.testing.assert_allclose([player.loss for player in outcome], expected, rtol=1e-5)


@pytest.mark.slow
def test_the_terms_of_one_player_do_not_move_the_other():
    system = build()

    def gradients():
        state = system.init(KEY, BATCH, optimizers=SGD)
        games = [system, *(replace(system, **{f"{name}_terms": {}}) for name in PLAYERS)]
        return [vector_field(KEY, state, BATCH, game=played.game)[0] for played in games]

    both, *without = jax.jit(gradients)()
    for name, less in zip(PLAYERS, without, strict=True):
        for player in PLAYERS:
            pair = jax.tree.leaves(getattr(both, player)), jax.tree.leaves(getattr(less, player))
            same = all(np.allclose(a, b, atol=1e-6) for a, b in zip(*pair, strict=True))
            assert same == (player != name)


@pytest.mark.parametrize(
    "discriminator",
    [MLPDiscriminator((4,)), WithMore(MLPDiscriminator((4,)))],
    ids=["a logit", "more, but no classes"],
)
def test_a_discriminator_without_class_logits_is_refused(discriminator):
    system = build(discriminator=Ignoring(discriminator))
    state = jax.eval_shape(lambda: system.init(KEY, BATCH, optimizers=SGD))

    def play(state):
        generator, discriminator = state.generator.weights, state.discriminator.weights
        return system.game(generator=generator, discriminator=discriminator, batch=BATCH, key=KEY)

    with pytest.raises(ValueError, match="The discriminator gives no class logits; it must return"):
        jax.eval_shape(play, state)


def test_a_further_term_has_another_name():
    with pytest.raises(ValueError, match="A term of the generator is called classes"):
        build(generator_terms={"classes": lambda r: r.fake_logits})
