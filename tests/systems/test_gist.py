"""Text to video: each term by hand, what each weight moves, and what sampling does without."""

import inspect
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, nets
from gan_jax.games import Optimizers
from gan_jax.nets.gist import Gist
from gan_jax.systems import gan_cls, networks, text_to_video
from gan_jax.systems.gan import Round

KEY = jax.random.key(0)
SGD = Optimizers(optax.sgd(0.1), optax.sgd(0.1))
RNG = np.random.default_rng(0)
CLIPS = RNG.uniform(-1, 1, (4, 2, 2, 2, 3)).astype(np.float32)
TEXT = RNG.normal(size=(4, 3)).astype(np.float32)
TEXT[3] = TEXT[2]
BATCH = {"video": jnp.asarray(CLIPS), "text": jnp.asarray(TEXT)}
TERMS = ("gist", "kl", "reconstruction")


class Seeded(nn.Module):
    """Each of a gist's networks as one dense layer; two latents are z_g, the rest noise."""

    @nn.compact
    def __call__(self, latents, text, first_frame=None, *, train=False):
        z_g, posterior = latents[:, :2], None
        if first_frame is None and self.is_initializing():
            first_frame = jnp.zeros((len(latents), 2, 2, 3))
        if first_frame is not None:
            seen = jnp.concatenate([first_frame.reshape(len(text), -1), text], axis=-1)
            posterior = tuple(jnp.split(nn.Dense(4, name="encoder")(seen), 2, axis=-1))
            z_g = posterior[0] + jnp.exp(posterior[1] / 2) * z_g
        gist = jnp.tanh(nn.Dense(12, name="decoder")(jnp.concatenate([z_g, text], axis=-1)))
        numbers = jnp.concatenate([gist, latents[:, 2:]], axis=-1)
        clips = jnp.tanh(nn.Dense(24, name="clips")(numbers)).reshape(-1, 2, 2, 2, 3)
        return clips, Gist(gist.reshape(-1, 2, 2, 3), jnp.ones_like(clips[..., :1]), posterior)


class Flat(nn.Module):
    """A critic on all numbers of a clip and its text."""

    @nn.compact
    def __call__(self, x, text, *, train=False):
        return nn.Dense(1)(jnp.concatenate([x.reshape(len(x), -1), text], axis=-1))[:, 0]


PAIR = {"generator": Seeded(), "discriminator": Flat(), "loss": losses.non_saturating()}


def build(**changes):
    return text_to_video(**PAIR | {"latent_dim": 5} | changes)


def told(made, gist, seen):
    """A round whose generator answers this to whatever it is asked, which is noted."""

    def generate(key, *asked):
        seen[:] = asked
        return made, gist

    given = {"conditions": (BATCH["text"],), "real": BATCH["video"], "generated": (made, gist)}
    return Round(**dict.fromkeys(Round._fields) | given | {"generate": generate, "key": KEY})


MADE = jnp.asarray(RNG.uniform(-1, 1, CLIPS.shape), jnp.float32)
MEAN, LOG_VARIANCE = jnp.asarray(RNG.normal(size=(2, 4, 2)), jnp.float32)
GIST = Gist(MADE[:, 1], MADE[..., :1], (MEAN, LOG_VARIANCE))


def test_each_term_is_its_formula_on_what_is_made_of_the_first_frame():
    terms = build(cvae_weight=3.0, reconstruction_weight=5.0, gist_variance=0.2).generator_terms
    seen = []

    def costs():
        return {name: terms[name](told(MADE, GIST, seen)) for name in TERMS}, seen

    found, asked = jax.jit(costs)()
    np.testing.assert_array_equal(asked[0], TEXT)
    np.testing.assert_array_equal(asked[1], CLIPS[:, 0])
    squares = (CLIPS[:, 0] - MADE[:, 1]) ** 2
    gist = 3 * (squares / 0.4 + np.log(2 * np.pi * 0.2) / 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found["gist"], gist, rtol=1e-5)
    kl = (np.exp(LOG_VARIANCE) + MEAN**2 - 1 - LOG_VARIANCE).sum(axis=1) / 2
    np.testing.assert_allclose(found["kl"], 3 * kl / 12, rtol=1e-5)
    l1 = np.abs(CLIPS - MADE).mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(found["reconstruction"], 5 * l1, rtol=1e-5)


def test_a_posterior_that_is_the_prior_and_clips_that_are_real_cost_nothing():
    terms = build().generator_terms
    prior = Gist(BATCH["video"][:, 0], MADE[..., :1], (jnp.zeros((4, 2)), jnp.zeros((4, 2))))
    for name in ("kl", "reconstruction"):
        np.testing.assert_array_equal(terms[name](told(BATCH["video"], prior, [])), 0)


UNUSED = {name: lambda r: jnp.zeros(4) for name in TERMS}
"""Terms, so that every other has the same key."""
WEIGHTS = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (3.0, 0.5, 2.0)]


def outcome(system, generator, discriminator):
    return system.game(generator=generator, discriminator=discriminator, batch=BATCH, key=KEY)


@pytest.fixture(scope="module")
def played():
    """For each of the weights both outcomes and the generator's gradients; and those of GAN-CLS."""
    names = ("cvae_weight", "gan_weight", "reconstruction_weight")
    plain = gan_cls(**PAIR, latents=networks.normal(5), field="video", generator_terms=UNUSED)

    def play():
        state = plain.init(KEY, BATCH, optimizers=SGD)
        generator, discriminator = state.generator.weights, state.discriminator.weights

        def slope(system):
            def of(generator):
                found = outcome(system, generator, discriminator)
                return found.generator.loss, found

            slopes, found = jax.grad(of, has_aux=True)(generator)
            return found, slopes.params

        def weighted(weights):
            make = inspect.unwrap(text_to_video)  # whose weights are said to be no arrays
            return slope(make(**PAIR, latent_dim=5, **dict(zip(names, weights, strict=True))))

        return jax.lax.map(weighted, jnp.array(WEIGHTS)), slope(plain)

    several, alone = jax.jit(play)()
    return [*(jax.tree.map(lambda leaf, i=i: leaf[i], several) for i in range(4)), alone]


@pytest.mark.slow
def test_losses_and_gradients_are_linear_in_the_weights(played):
    *alone, mixed = [(found.generator.loss, slope) for found, slope in played[:4]]

    def weighted(*trees):
        return sum(weight * tree for weight, tree in zip(WEIGHTS[3], trees, strict=True))

    chex.assert_trees_all_close(jax.tree.map(weighted, *alone), mixed, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(played[1][0].generator.loss, played[4][0].generator.loss)
    chex.assert_trees_all_close(played[1][1], played[4][1], rtol=1e-6)


def test_a_weight_of_0_takes_its_term_away(played):
    moved = [
        {name: float(jnp.abs(leaf["kernel"]).max()) > 0 for name, leaf in slope.items()}
        for _, slope in played[:3]
    ]
    assert moved[0] == {"encoder": True, "decoder": True, "clips": False}
    assert moved[1] == {"encoder": False, "decoder": True, "clips": True}
    assert moved[2] == {"encoder": True, "decoder": True, "clips": True}
    costs = [[float(found.generator.metrics[name]) != 0 for name in TERMS] for found, _ in played]
    assert costs[:4] == [[True, True, False], [False] * 3, [False, False, True], [True] * 3]


def test_the_critic_sees_wrong_pairs_as_that_of_gan_cls_whatever_the_weights(played):
    expected = played[4][0].discriminator
    assert expected.metrics["wrong"] > 0
    for found, _ in played[:4]:
        chex.assert_trees_all_close(found.discriminator, expected, rtol=1e-6)


def small(**changes):
    generator = nets.GistGenerator(2, 2, 3, 1, gist_dim=2, text_dim=2, kernel_size=1)
    return build(generator=generator, **changes)


def test_sampling_needs_no_encoder():
    system = small()

    def sampled(*dropped):
        weights = system.init(KEY, BATCH, optimizers=SGD).generator.weights
        kept = {name: leaf for name, leaf in weights.params.items() if name not in dropped}
        assert len(kept) == len(weights.params) - len(dropped)
        return system.sample(KEY, weights.replace(params=kept), 4, BATCH["text"])

    assert jax.eval_shape(partial(sampled, "encoder")).shape == CLIPS.shape
    with pytest.raises(ValueError, match="The weights are not those of this GistGenerator"):
        jax.eval_shape(partial(sampled, "decoder"))


def test_other_fields_and_conditions_and_further_terms_can_be_named():
    masks = {"mask": lambda r: jnp.mean(r.generated[1].masks, axis=(1, 2, 3, 4))}
    system = build(field="clip", condition="said", interpolation=0.5, generator_terms=masks)
    batch = {"clip": BATCH["video"], "said": BATCH["text"]}

    def play():
        state = system.init(KEY, batch, optimizers=SGD)
        weights = {"generator": state.generator.weights}
        weights |= {"discriminator": state.discriminator.weights}
        return system.game(**weights, batch=batch, key=KEY).generator.metrics

    assert set(jax.eval_shape(play)) == {*TERMS, "mask", "interpolation"}


class Silent(nn.Module):
    """Clips without a gist."""

    @nn.compact
    def __call__(self, latents, text, *, train=False):
        return Seeded()(latents, text)[0]


def test_a_generator_without_a_gist_is_refused():
    system = build(generator=Silent())

    def play():
        state = system.init(KEY, BATCH, optimizers=SGD)
        return outcome(system, state.generator.weights, state.discriminator.weights)

    with pytest.raises(ValueError, match="The generator gives no gist; it must return") as said:
        jax.eval_shape(play)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cvae_weight": -1.0}, "cvae_weight is -1.0; it must be finite, and not below 0"),
        ({"gan_weight": -1.0}, "gan_weight is -1.0"),
        ({"reconstruction_weight": np.inf}, "reconstruction_weight is inf"),
        ({"gist_variance": 0.0}, "gist_variance is 0.0; it must be positive"),
        ({"latent_dim": 0}, "latent_dim is 0; it must be an integer, at least 1"),
        ({"loss": losses.non_saturating}, r"call it, as in losses.non_saturating\(\)"),
        ({"generator_terms": {"kl": None}}, "A term of the generator is called kl"),
        ({"generator_terms": {"interpolation": None}}, "generator is called interpolation"),
    ],
)
def test_what_makes_no_game_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        inspect.unwrap(text_to_video)(**PAIR | {"latent_dim": 5} | changes)
