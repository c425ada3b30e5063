"""TFGAN: its losses by hand on linear critics, what moves whom, and how texts become clips."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, nets
from gan_jax.games import Optimizers, vector_field
from gan_jax.losses import least_squares
from gan_jax.systems import TFGAN, networks
from gan_jax.systems.tfgan import CRITICS

KEY = jax.random.key(0)
SGD = Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
CLIP = (3, 2, 2, 1)
TEXTS = {
    "all neighbours differ": [[1, 2], [1, 3], [2, 2], [3, 3]],
    "some are the same": [[1, 2], [1, 2], [2, 1], [1, 2]],
    "all are the same": [[2, 2]] * 4,
}
VIDEO = jax.random.normal(jax.random.key(1), (4, *CLIP))


class Rows(nn.Module):
    """Content, motion, and a filter of one number for either critic, each a sum over the words."""

    @nn.compact
    def __call__(self, tokens, *, train=False):
        names, widths = ("content", "motion", "of_frames", "of_clips"), (2, 3, 1, 1)
        content, motion, *filters = (
            self.param(name, nn.initializers.normal(1.0), (4, width))[tokens].sum(axis=1)
            for name, width in zip(names, widths, strict=True)
        )
        return content, motion, (filters[0],), (filters[1],)


class Sum(nn.Module):
    """Pixels that are linear in latents and embeddings."""

    @nn.compact
    def __call__(self, latents, content, motion, *, train=False):
        told = jnp.concatenate([latents, content, motion], axis=-1)
        return nn.Dense(12, use_bias=False)(told).reshape(-1, *CLIP)


class Linear(nn.Module):
    """⟨w, x⟩ of a clip, or of each frame, times a filter and the sum of the embedding."""

    by_frame: bool = False

    @nn.compact
    def __call__(self, x, embedding, scale, *, train=False):
        x = x.reshape(len(x), 3, -1) if self.by_frame else x.reshape(len(x), -1)
        w = self.param("w", nn.initializers.normal(1.0), x.shape[-1:])
        factor = scale[:, 0] * embedding.sum(axis=-1)
        return (x @ w) * (factor[:, None] if self.by_frame else factor)


def system(**changes):
    arguments = {
        "generator": Sum(),
        "encoder": Rows(),
        "image_critic": Linear(by_frame=True),
        "video_critic": Linear(),
        "loss": least_squares(),
        "latents": networks.normal(2),
    }
    return TFGAN(**arguments | changes)


SYSTEM = system()


def batch_of(name="some are the same"):
    return {"video": VIDEO, "text": jnp.array(TEXTS[name])}


@partial(jax.jit, static_argnums=0)
def start(tfgan=SYSTEM, batch=None):
    return tfgan.init(KEY, batch or batch_of(), optimizers=SGD)


def by_hand(generator, discriminator, text, fake_embeddings=None):
    """Both losses of the paper, in least squares that are halved, and both penalties over γ."""
    table = discriminator["encoder"]
    told = {name: rows[text].sum(axis=1) for name, rows in table.items()}
    content, motion = fake_embeddings or (told["content"], told["motion"])
    latents = SYSTEM.latents(jax.random.split(KEY, 5)[1], 4)
    read = jnp.concatenate([latents, content, motion], axis=-1)
    fake = (read @ generator["Dense_0"]["kernel"]).reshape(4, 3, 4)
    real = VIDEO.reshape(4, 3, 4)
    before = np.array([3, 0, 1, 2])
    wrong = jnp.any(text != text[before], axis=1)
    loss, answers, penalties = 0.0, 0.0, []
    for name, embedding, scale in (
        ("image", "content", "of_frames"),
        ("video", "motion", "of_clips"),
    ):
        w = discriminator[name]["w"].reshape(-1, 4)
        factor = told[embedding].sum(axis=1) * told[scale][:, 0]
        seen = lambda x, w=w: jnp.einsum("ntp,tp->nt", x, jnp.broadcast_to(w, (3, 4)))  # noqa: E731
        sums = (lambda x: x) if name == "image" else lambda x: x.sum(axis=1, keepdims=True)
        of_real, of_fake = sums(seen(real)), sums(seen(fake)) * factor[:, None]
        of_wrong = of_real * factor[before][:, None]
        half = jnp.where(wrong, 0.5, 0.0)[:, None]
        accepted = (of_real * factor[:, None] - 1) ** 2 / 2
        rejected = half * of_wrong**2 / 2 + (1 - half) * of_fake**2 / 2
        loss += jnp.mean(accepted) + jnp.mean(rejected)
        answers += jnp.mean((of_fake - 1) ** 2 / 2)
        frames = 3 if name == "image" else 1  # each frame has a gradient of its own
        penalties.append(jnp.mean(factor**2) * frames * jnp.sum(w**2))
    return answers, loss, penalties


@jax.jit
def play(state, text):
    played = vector_field(KEY, state, {"video": VIDEO, "text": text}, game=SYSTEM.game)
    generator = state.generator.weights.params
    discriminator = state.discriminator.weights.params
    read = SYSTEM.embed(state.discriminator.weights, text)

    def total(discriminator, read):
        _, loss, penalties = by_hand(generator, discriminator, text, read)
        return loss + 10 * sum(penalties)

    slopes = (
        jax.grad(lambda p: by_hand(p, discriminator, text)[0])(generator),
        jax.grad(total)(discriminator, read),
    )
    return (
        played,
        by_hand(generator, discriminator, text),
        slopes,
        jax.grad(total)(discriminator, None),
    )


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_the_game_of_the_paper(name):
    """Fakes and wrong pairs share what is rejected; each player's gradient is of its own loss, and
    the encoder's leaves out how the fakes were made."""
    batch = batch_of(name)
    (found, outcome), expected, slopes, through_fakes = play(start(), batch["text"])
    answers, loss, penalties = expected
    np.testing.assert_allclose(outcome.generator.loss, answers, rtol=1e-4)
    terms = outcome.discriminator.metrics
    for critic, penalty in zip(("image", "video"), penalties, strict=True):
        np.testing.assert_allclose(terms[f"{critic}_penalty"], 10 * penalty, rtol=1e-4)
    assert (terms["image_wrong"] == 0) == (name == "all are the same")
    np.testing.assert_allclose(outcome.discriminator.loss, loss + 10 * sum(penalties), rtol=1e-4)
    np.testing.assert_allclose(outcome.discriminator.loss, sum(terms.values()), rtol=1e-6)
    close = partial(chex.assert_trees_all_close, rtol=1e-3, atol=1e-3)
    close(found.generator, slopes[0])
    close(found.discriminator, slopes[1])
    assert optax.tree.norm(optax.tree.sub(slopes[1], through_fakes)) > 1e-2


def test_without_a_weight_no_penalty_is_computed():
    tfgan = system(gradient_penalty=0.0)
    state = jax.eval_shape(lambda: start(tfgan))
    _, outcome = jax.eval_shape(partial(vector_field, game=tfgan.game), KEY, state, batch_of())
    terms = ("real", "wrong", "fake")
    told = {f"{critic}_{term}" for critic in ("image", "video") for term in terms}
    assert set(outcome.discriminator.metrics) == told
    normalised = {"image_critic": Normalised(Linear(by_frame=True))}
    jax.eval_shape(lambda: start(system(**normalised, gradient_penalty=0.0)))
    with pytest.raises(ValueError, match=r"takes gradients of the discriminator .* batch norm"):
        start(system(**normalised))


class Square(nn.Module):
    """Half the squared length of each frame: its gradient is the frame."""

    @nn.compact
    def __call__(self, x, *told, train=False):
        return jnp.sum(x**2, axis=(2, 3, 4)) / 2


def test_the_penalty_is_of_real_clips_summed_over_frames():
    tfgan = system(image_critic=Square(), gradient_penalty=3.0)

    @jax.jit
    def penalty():
        _, outcome = vector_field(KEY, start(tfgan), batch_of(), game=tfgan.game)
        return outcome.discriminator.metrics["image_penalty"]

    np.testing.assert_allclose(
        penalty(), 3 * np.mean(np.sum(VIDEO**2, axis=(1, 2, 3, 4))), rtol=1e-5
    )


class Normalised(nn.Module):
    network: nn.Module

    @nn.compact
    def __call__(self, x, *told, train=False):
        return self.network(nn.BatchNorm(not train)(x), *told, train=train)


class Alone(nn.Module):
    """The content of an encoder, without the rest."""

    network: nn.Module

    @nn.compact
    def __call__(self, tokens, *, train=False):
        return self.network(tokens)[0]


def test_embed_and_sample_are_the_path_of_the_game():
    """Clips of the game's own latents get the losses that the game reports."""
    tfgan, text = SYSTEM, batch_of()["text"]
    key_game, key_sample = jax.random.split(KEY, 5)[1], jax.random.split(KEY)[0]

    @jax.jit
    def paths(state):
        generator, discriminator = state.generator.weights, state.discriminator.weights
        played = {"generator": generator, "discriminator": discriminator, "key": KEY}
        outcome = tfgan.game(**played, batch=batch_of())
        told = tfgan.embed(discriminator, text)
        made = [
            tfgan.generate(generator, tfgan.latents(key, 4), *told)
            for key in (key_game, key_sample)
        ]
        *_, (of_frames,), _ = networks.infer(Rows(), networks.part(discriminator, "encoder"), text)
        critic = networks.part(discriminator, "image")
        judged = networks.infer(Linear(by_frame=True), critic, made[0], told[0], of_frames)
        answers = outcome.generator.metrics["image"], jnp.mean(SYSTEM.loss.generator(judged))
        return answers, (made[1], tfgan.sample(KEY, generator, 4, *told))

    (reported, expected), (made, sampled) = paths(start())
    np.testing.assert_allclose(reported, expected, rtol=1e-5)
    np.testing.assert_array_equal(sampled, made)


@pytest.mark.slow
def test_the_papers_networks_play_inside_of_scan_and_each_critic_moves_its_tower():
    network = nets.TFGANGenerator(3, 8, 1, width=1, dim=2)
    tfgan = system(
        generator=network,
        latents=networks.normal(*network.latent_shape),
        encoder=nets.TextEncoder(4, dim=8, width=4, word_dim=2, num_filters=2),
        image_critic=nets.FilterCritic(1, by_frame=True),
        video_critic=nets.FilterCritic(1),
        loss=losses.non_saturating(),
    )
    key_video, key_text = jax.random.split(KEY)
    batch = {
        "video": jax.random.uniform(key_video, (4, 3, 8, 8, 1), minval=-1.0),
        "text": jax.random.randint(key_text, (4, 12), 1, 5),
    }

    shapes = jax.eval_shape(partial(tfgan.init, optimizers=SGD), KEY, batch)
    draw = lambda leaf: np.random.default_rng(leaf.size).normal(0, 0.3, leaf.shape)  # noqa: E731
    players = (shapes.generator.weights, shapes.discriminator.weights)
    generator, weights = jax.tree.map(lambda leaf: jnp.float32(draw(leaf)), players)

    @jax.jit
    def slopes(generator, weights):
        def of_critics(params):
            told = {"generator": generator, "batch": batch, "key": KEY}
            outcome = tfgan.game(**told, discriminator=weights.replace(params=params))
            terms = outcome.discriminator.metrics
            return jnp.stack(
                [sum(terms[name] for name in terms if critic in name) for critic in CRITICS]
            )

        def step(carry, pulled):
            return carry, jax.vjp(of_critics, weights.params)[1](pulled)[0]

        return jax.lax.scan(step, 0, jnp.eye(2))[1]

    def moving(params):
        """Which of the critics move each array."""
        sizes = [np.abs(leaf).reshape(2, -1).max(axis=1) for leaf in jax.tree.leaves(params)]
        assert np.isfinite(sizes).all()
        return {tuple(np.array(CRITICS)[pair > 0].tolist()) for pair in sizes}

    found = slopes(generator, weights)
    assert moving(found["image"]) == moving(found["encoder"]["content"]) == {("image",)}
    assert moving(found["video"]) == moving(found["encoder"]["motion"]) == {("video",)}
    assert moving(found["encoder"]["words"]) == {CRITICS}


def test_what_makes_no_game_is_refused():
    with pytest.raises(ValueError, match=r"gradient_penalty is -1.0; it must be finite"):
        system(gradient_penalty=-1.0)
    with pytest.raises(ValueError, match="latents is 3; give what draws them"):
        system(latents=3)
    with pytest.raises(ValueError, match=r"encoder must return \(content, motion, filters of"):
        start(system(encoder=Alone(Rows())))
    words = r"The image critic .* shape \(1,\); they must be \(1, 3\), one for each frame"
    with pytest.raises(ValueError, match=words):
        start(system(image_critic=Linear()))
    with pytest.raises(ValueError, match=r"shape \(1, 3\); they must be \(1,\), one for each clip"):
        start(system(video_critic=Linear(by_frame=True)))
    content, motion = jnp.ones((4, 2)), jnp.ones((3, 3))
    words = "There are 4 contents and 3 motions for 4 clips: give as many of each"
    with pytest.raises(ValueError, match=words):
        SYSTEM.sample(KEY, start().generator.weights, 4, content, motion)
    letters = batch_of() | {"text": jnp.ones((4, 2))}
    with pytest.raises(ValueError, match="`text` is float32; it must hold whole numbers"):
        start(SYSTEM, letters)
