"""What every system promises: it starts, steps, is traced once, samples, refuses, resumes.

A row says how a system is built and on what batch; a system's own file holds its equations alone.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, nets, systems
from gan_jax.games import Optimizers, alternating_step, descent_step, simultaneous_step
from gan_jax.nets import MLPDiscriminator, MLPEncoder, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Checkpoints
from tests.systems.keys import keys_of

pytestmark = pytest.mark.usefixtures("compiled_quickly")

slow = pytest.mark.slow
KEY = jax.random.key(0)
NUM = 6
SGD = optax.sgd(1e-2)
ADAM = optax.adam(1e-2)
IMAGES = {"image": jax.random.uniform(jax.random.key(1), (NUM, 2, 2, 1))}
LABELLED = {**IMAGES, "label": jnp.arange(NUM) % 3}
CAPTIONED = {**LABELLED, "text": jnp.arange(9 * NUM).reshape(NUM, 9) % 6}
DOMAINS = {"source": IMAGES, "target": IMAGES}
TRANSLATED = {
    "condition": jax.random.uniform(jax.random.key(2), (NUM, 12, 12, 2)),
    "target": jax.random.uniform(jax.random.key(3), (NUM, 12, 12, 1)),
}
TEXTED = {**IMAGES, "text": jax.random.normal(jax.random.key(4), (NUM, 3))}
FILMED = {
    "video": jax.random.uniform(jax.random.key(5), (NUM, 4, 4, 4, 1)),
    "condition": jax.random.uniform(jax.random.key(6), (NUM, 4, 4, 1)),
}
MOVING = {"video": FILMED["video"]}
TOLD_CLIPS = {**MOVING, "text": TEXTED["text"]}
EXAMPLES = {"image", "target", "video"}
"""Fields of which generators make the like."""
WORDED = {
    "video": jax.random.uniform(jax.random.key(5), (NUM, 2, 2, 2, 1)),
    "text": jnp.arange(3 * NUM).reshape(NUM, 3) % 5,
}
COMPLETED = {"condition": jnp.ones((NUM, 3)), "target": jnp.ones((NUM, 2, 1))}


class Normalised(nn.Module):
    """Batch normalisation and dropout in front of a network, conditions beside its input."""

    network: nn.Module
    by_batch: bool = True

    @nn.compact
    def __call__(self, x, *conditions, train=False):
        vectors = [x.reshape(len(x), -1)]
        for y in conditions:
            whole = jnp.issubdtype(y.dtype, jnp.integer)
            vectors.append(jax.nn.one_hot(y, 3) if whole else y.reshape(len(y), -1))
        x = jnp.concatenate(vectors, axis=-1)
        if self.by_batch:
            x = nn.BatchNorm(not train)(x)
        return self.network(nn.Dropout(0.1, deterministic=not train)(x), train=train)


class Told(nn.Module):
    """Batch normalisation in front of a network that takes the conditions itself."""

    network: nn.Module

    @nn.compact
    def __call__(self, x, *conditions, train=False):
        return self.network(nn.BatchNorm(not train)(x), *conditions, train=train)


class Augmented(nn.Module):
    """A stage of StackGAN, on latents or on the images of a stage before."""

    network: nn.Module
    before: nn.Module | None = None

    @nn.compact
    def __call__(self, x, text, *, train=False):
        if self.before is not None:
            x, _ = self.before(x, text, train=train)
        condition, gaussian = nets.ConditioningAugmentation(2)(text)
        return self.network(x, condition, train=train), gaussian


class Encoded(nn.Module):
    """Content, motion and a filter for each critic, as a network's numbers."""

    network: nn.Module

    @nn.compact
    def __call__(self, tokens, *, train=False):
        numbers = self.network(tokens.astype(jnp.float32), train=train)
        content, motion, of_frames, of_clips = jnp.split(numbers, 4, axis=-1)
        return content, motion, (of_frames,), (of_clips,)


class ByFrame(nn.Module):
    """A critic of images, which gives each frame a logit."""

    network: nn.Module

    @nn.compact
    def __call__(self, x, *conditions, train=False):
        each = (jnp.repeat(y, x.shape[1], axis=0) for y in conditions)
        logits = self.network(x.reshape(-1, *x.shape[2:]), *each, train=train)
        return logits.reshape(x.shape[:2])


class Row(NamedTuple):
    """build(dtype) -> a system; conditions: what `sample` is given after the number."""

    build: Callable[[Any], Any]
    batch: Any
    conditions: tuple[Any, ...] = ()
    num_dims: int = 0
    """Axes of samples that are in front of the batch's."""


def players(dtype):
    return {
        "generator": Normalised(MLPGenerator((2, 2, 1), (4,), dtype=dtype)),
        "discriminator": Normalised(MLPDiscriminator((4,), dtype=dtype)),
    }


def gan(dtype, **changes):
    arguments = {"loss": losses.non_saturating(), "latents": networks.normal(3)}
    return GAN(**players(dtype) | arguments | changes)


def encoder_and_decoder(dtype, numbers=6, shape=(2, 2, 1)):
    return {
        "encoder": Normalised(MLPEncoder(numbers, (4,), dtype=dtype)),
        "decoder": Normalised(MLPGenerator(shape, (4,), dtype=dtype)),
    }


def vae(dtype, **changes):
    arguments = {"likelihood": losses.bernoulli(), "latent_dim": 3}
    return systems.VAE(**encoder_and_decoder(dtype) | arguments | changes)


def cvae(dtype):
    return systems.CVAE(
        **encoder_and_decoder(dtype, shape=(2, 1)),
        prior=Normalised(MLPEncoder(6, (4,), dtype=dtype)),
        likelihood=losses.bernoulli(),
        latent_dim=3,
        alpha=0.5,
    )


def hierarchical_vae(dtype):
    upper = encoder_and_decoder(dtype, 2, (6,))
    lower = encoder_and_decoder(dtype)
    return systems.HierarchicalVAE(
        encoders=[lower["encoder"], upper["encoder"]],
        decoders=[lower["decoder"], upper["decoder"]],
        likelihood=losses.bernoulli(),
        latent_dims=[3, 1],
    )


def lapgan(dtype):
    def level(shape, *conditions):
        return gan(
            dtype,
            generator=Normalised(MLPGenerator(shape, (4,), dtype=dtype)),
            conditions=(*conditions, "label"),
        )

    return systems.LAPGAN(size=(2, 2), levels=(level((2, 2, 1), "coarse"), level((1, 1, 1))))


def gmmn(dtype):
    return systems.GMMN(
        generator=players(dtype)["generator"],
        kernel=losses.gaussian_kernel([1.0]),
        latents=networks.uniform(3),
    )


def cyclegan(dtype):
    return systems.CycleGAN(
        **players(dtype), loss=losses.least_squares(), identity_weight=5.0, pool_size=NUM + 2
    )


class Phase(systems.ADDA):
    """One phase of ADDA, as if it were all."""

    @property
    def hidden(self):
        raise AttributeError


class Source(Phase):
    init = systems.ADDA.init_source
    game = Phase.hidden


class Target(Phase):
    objective = Phase.hidden

    def init(self, key, batch, *, optimizers):
        key_source, key_target = jax.random.split(key)
        source = self.init_source(key_source, LABELLED, optimizer=optimizers.generator)
        return self.init_target(key_target, source.player.weights, batch, optimizers=optimizers)


def adda(dtype, phase):
    return phase(
        encoder=Normalised(MLPEncoder(5, (4,), dtype=dtype)),
        classifier=Normalised(MLPEncoder(3, (), dtype=dtype)),
        discriminator=Normalised(MLPDiscriminator((4,), dtype=dtype)),
        loss=losses.non_saturating(),
    )


def joint_embedding(dtype):
    return systems.JointEmbedding(
        image_encoder=Normalised(MLPEncoder(3, (4,), dtype=dtype)),
        text_encoder=nets.CharCNNRNN(3, (4,), (3,), hidden=4, num_characters=5, dtype=dtype),
    )


def relativistic(dtype):
    return systems.relativistic_gan(
        **players(dtype),
        loss=losses.relativistic(losses.non_saturating()),
        latents=networks.normal(3),
    )


def told(build, generator, discriminator):
    """A system of a paper's pair, made by `build`."""

    def of(dtype):
        return build(
            generator=Told(generator.clone(dtype=dtype)),
            discriminator=Told(discriminator(dtype)),
            loss=losses.non_saturating(),
            latents=networks.normal(3),
        )

    return of


labelled_gan = partial(GAN, conditions=("label",))
CLASS_GENERATOR = nets.DCGANGenerator(2, 1, 2, num_classes=3)


def between(r):
    return 0.1 * jnp.mean(
        jnp.square(networks.first(r.generate(r.key, *r.conditions))), axis=(1, 2, 3)
    )


def wrong(r):
    return jax.nn.softplus(r.judge(r.real, *(jnp.roll(y, 1, axis=0) for y in r.conditions)))


def pix2pix(dtype):
    told = {"norm": "batch", "dtype": dtype}
    return systems.pix2pix(
        generator=nets.UNet(1, 2, **told),
        discriminator=nets.PatchDiscriminator(1, 2, **told),
        loss=losses.non_saturating(),
    )


def of_clips(build, generator, dtype):
    critic = Told(nets.VideoDiscriminator(2, dtype=dtype))
    pair = {"generator": generator(width=2, dtype=dtype), "discriminator": critic}
    return build(**pair, loss=losses.non_saturating(), latents=networks.normal(3))


def conditional_vgan(dtype):
    return systems.conditional_vgan(
        generator=nets.ConditionalTwoStreamGenerator(4, 2, dtype=dtype),
        discriminator=Told(nets.Unconditional(nets.VideoDiscriminator(2, dtype=dtype))),
        loss=losses.non_saturating(),
    )


def text_to_video(dtype):
    sizes = {"width": 2, "gist_dim": 2, "text_dim": 2, "kernel_size": 3}
    return systems.text_to_video(
        generator=nets.GistGenerator(4, 4, 1, **sizes, dtype=dtype),
        discriminator=nets.TextToVideoDiscriminator(2, 2, dtype=dtype),
        loss=losses.non_saturating(),
        latent_dim=3,
    )


def of_text(build, dtype, **changes):
    arguments = {"loss": losses.non_saturating(), "latents": networks.normal(3)}
    return build(**players(dtype) | arguments | changes)


def stage_one(dtype):
    return Augmented(players(dtype)["generator"])


def stage_two(dtype):
    return Augmented(players(dtype)["generator"], networks.Frozen(stage_one(dtype)))


def tfgan(dtype):
    judge = Normalised(MLPDiscriminator((4,), dtype=dtype))
    return systems.TFGAN(
        generator=Normalised(MLPGenerator((2, 2, 2, 1), (4,), dtype=dtype)),
        encoder=Encoded(Normalised(MLPEncoder(12, (4,), dtype=dtype))),
        image_critic=ByFrame(judge),
        video_critic=judge,
        loss=losses.non_saturating(),
        latents=networks.normal(3),
        gradient_penalty=0.0,
    )


class Styled(nn.Module):
    """Styles of latents, and a network that makes examples of the first of them."""

    network: nn.Module

    def setup(self):
        self.affine, self.maker = nn.Dense(3), self.network

    def __call__(self, z, *, train=False):
        styles = self.styles(z, train=train)
        return self.synthesise(styles, train=train), styles

    def styles(self, z, *, train=False, truncation=1.0):
        return truncation * self.affine(z)[:, None]

    def synthesise(self, styles, *, train=False):
        return self.maker(styles[:, 0], train=train)


def stylegan2(dtype):
    critic = MLPDiscriminator((4,), spectral_norm=True, dtype=dtype)
    return systems.StyleGAN2(
        generator=Styled(Normalised(MLPGenerator((2, 2, 1), (4,), dtype=dtype))),
        discriminator=Normalised(critic, by_batch=False),
        loss=losses.non_saturating(),
        latents=networks.normal(3),
        r1_period=1,
        path_length_period=1,
    )


def penalised(dtype):
    critic = MLPDiscriminator((4,), spectral_norm=True, dtype=dtype)
    penalty = lambda r: losses.gradient_penalty(r.critic, r.real, r.fake, r.key)  # noqa: E731
    return gan(
        dtype,
        discriminator=Normalised(critic, by_batch=False),
        discriminator_terms={"penalty": penalty},
    )


LABELS = (jnp.arange(4) % 3,)
TEXTS = (jnp.ones((4, 3)),)
ROWS = {
    "gan": Row(gan, IMAGES),
    "gan with conditions and terms": Row(
        partial(
            gan,
            conditions=("label",),
            generator_terms={"between": between},
            discriminator_terms={"wrong": wrong},
        ),
        LABELLED,
        LABELS,
    ),
    "gan with a gradient penalty": Row(penalised, IMAGES),
    "gan of conditions alone": Row(
        partial(gan, latents=None, conditions=("label",)), LABELLED, LABELS
    ),
    "packed gan": Row(partial(gan, packing=2), IMAGES),
    "relativistic gan": Row(relativistic, IMAGES),
    "conditional gan": Row(
        told(
            labelled_gan,
            nets.ConditionalGenerator((2, 2, 1), 3, (2, 2, 4)),
            lambda dtype: nets.ConditionalDiscriminator(3, (2, 2, 4), dtype=dtype),
        ),
        LABELLED,
        LABELS,
    ),
    "conditional dcgan": Row(
        told(
            labelled_gan,
            CLASS_GENERATOR,
            lambda dtype: nets.DCGANDiscriminator(2, num_classes=3, dtype=dtype),
        ),
        LABELLED,
        LABELS,
    ),
    "gan with a projection": Row(
        told(
            labelled_gan,
            CLASS_GENERATOR,
            lambda dtype: nets.ProjectionDiscriminator(
                nets.DCGANDiscriminator(2, head=False, dtype=dtype), 3
            ),
        ),
        LABELLED,
        LABELS,
    ),
    "acgan": Row(
        told(
            systems.acgan,
            CLASS_GENERATOR,
            lambda dtype: nets.ACGANDiscriminator(MLPEncoder(4, (4,), dtype=dtype), 3),
        ),
        LABELLED,
        LABELS,
    ),
    "pix2pix": Row(pix2pix, TRANSLATED, (jnp.ones((4, 12, 12, 2)),)),
    "gan_cls": Row(partial(of_text, systems.gan_cls, interpolation=0.5), TEXTED, TEXTS),
    "stackgan, stage one": Row(
        lambda dtype: of_text(systems.stackgan, dtype, generator=stage_one(dtype)), TEXTED, TEXTS
    ),
    "stackgan, stage two": Row(
        lambda dtype: of_text(systems.stackgan, dtype, generator=stage_two(dtype)), TEXTED, TEXTS
    ),
    "vgan": Row(partial(of_clips, systems.vgan, partial(nets.TwoStreamGenerator, 4, 4, 1)), MOVING),
    "vgan, one stream": Row(
        partial(
            of_clips,
            partial(GAN, field="video"),
            partial(nets.OneStreamGenerator, 4, 4, 1),
        ),
        MOVING,
    ),
    "vgan, conditional": Row(conditional_vgan, FILMED, (jnp.ones((4, 4, 4, 1)),)),
    "text to video": Row(text_to_video, TOLD_CLIPS, TEXTS),
    "tfgan": Row(tfgan, WORDED, (*TEXTS, *TEXTS)),
    "stylegan2": Row(stylegan2, IMAGES),
    "vae": Row(vae, IMAGES),
    "vae, sampled": Row(partial(vae, kl="sampled", num_samples=2), IMAGES),
    "hierarchical vae": Row(hierarchical_vae, IMAGES),
    "cvae": Row(cvae, COMPLETED, (jnp.ones((5, 3)),), num_dims=1),
    "autoencoder": Row(
        lambda dtype: systems.Autoencoder(**encoder_and_decoder(dtype, 3), latent_dim=3), IMAGES
    ),
    "gmmn": Row(gmmn, IMAGES),
    "joint embedding": Row(joint_embedding, CAPTIONED),
    "cyclegan": Row(cyclegan, DOMAINS),
    "adda, source": Row(partial(adda, phase=Source), LABELLED),
    "adda, target": Row(partial(adda, phase=Target), DOMAINS),
    "lapgan": Row(lapgan, LABELLED, LABELS),
}
VARIANTS = {
    "gan",
    "gan with a gradient penalty",
    "gan of conditions alone",
    "packed gan",
    "relativistic gan",
    "conditional gan",
    "conditional dcgan",
    "gan with a projection",
    "acgan",
    "stackgan, stage one",
    "stackgan, stage two",
    "vgan, one stream",
    "vgan, conditional",
    "vae, sampled",
}
"""Of systems that have another row, too: among the slow tests."""
COMPILED = {"gan with conditions and terms", "vae"}
"""By default; the other rows are among the slow tests."""


def rows(by_default):
    """A case for every row, slow but for those."""
    return pytest.mark.parametrize(
        "row",
        [
            pytest.param(row, id=name, marks=() if name in by_default else slow)
            for name, row in ROWS.items()
        ],
    )


every_system = rows(set(ROWS) - VARIANTS)
WEIGHTED = [name for name, row in ROWS.items() if hasattr(row.build(None), "trained_log_weights")]


def examples_of(batch):
    """What the generator makes the like of, and a way to put others in its place."""
    if "source" in batch:
        domain, put = examples_of(batch["source"])
        return domain, lambda x: {**batch, "source": put(x)}
    (field,) = EXAMPLES & set(batch)
    return batch[field], lambda x: {**batch, field: x}


def start(system, batch, optimizer=SGD):
    if hasattr(system, "objective"):
        return system.init(KEY, batch, optimizer=optimizer)
    return system.init(KEY, batch, optimizers=Optimizers(optimizer, optimizer))


def step_of(system, objective=None, optimizer=SGD):
    """One step; of a game both orders of play, one after the other."""
    if hasattr(system, "objective"):
        return partial(descent_step, objective=objective or system.objective, optimizer=optimizer)
    if hasattr(system, "step"):
        return system.step(partial(step_of, optimizer=optimizer))
    optimizers = Optimizers(optimizer, optimizer)

    def both(key, state, batch):
        for order in (simultaneous_step, alternating_step):
            step = partial(order, game=system.game, optimizers=optimizers)
            if hasattr(system, "regularised"):
                step = system.regularised(step, optimizers)
            state, metrics = step(key, state, batch)
        return state, metrics

    return both


def weights_of(state):
    if isinstance(state, dict):
        return {name: weights_of(of_level) for name, of_level in state.items()}
    return state.generator.weights if hasattr(state, "generator") else state.player.weights


def players_of(state):
    if isinstance(state, dict):
        return [player for of_level in state.values() for player in players_of(of_level)]
    if hasattr(state, "player"):
        return [state.player.weights]
    return [state.generator.weights, state.discriminator.weights]


def changed(old, new):
    """Whether each array is another."""
    pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    return ((a != b).any() for a, b in pairs)


def trained(state):
    return {name: kept for name, kept in state.items() if name != "frozen"}


def play(system, batch):
    """What a step of the system reports, without computing anything."""
    state = jax.eval_shape(lambda: start(system, batch))
    return jax.eval_shape(step_of(system), KEY, state, batch)


@rows(COMPILED)
def test_it_steps_is_traced_once_and_resumes(row, tmp_path):
    system = row.build(None)
    chex.clear_trace_counter()
    step = step_of(system)
    jitted = jax.jit(chex.assert_max_traces(lambda k, s, b: step(k, s, b), n=1))
    before = state = jax.jit(lambda: start(system, row.batch))()
    keys = jax.random.split(KEY, 3)
    with Checkpoints(tmp_path) as checkpoints:
        for t, key in enumerate(keys):
            state, metrics = jitted(key, state, row.batch)
            if t == 0:
                checkpoints.save(1, state)
        chex.assert_tree_all_finite((state, metrics))
        chex.assert_trees_all_equal_shapes_and_dtypes(state, before)
        _, resumed = checkpoints.restore_latest(before)
    for key in keys[1:]:
        resumed, _ = jitted(key, resumed, row.batch)
    chex.assert_trees_all_equal(resumed, state)
    for old, new in zip(players_of(before), players_of(state), strict=True):
        assert any(changed(old.params, new.params))
        statistics = list(changed(*(trained(weights.state) for weights in (old, new))))
        assert statistics
        assert all(statistics)  # those of every network are carried on


@every_system
def test_it_samples(row):
    system = row.build(None)
    if not hasattr(system, "sample"):
        pytest.skip("it makes nothing without an example")
    weights = weights_of(jax.eval_shape(lambda: start(system, row.batch)))
    made = jax.eval_shape(lambda key, w: system.sample(key, w, 4, *row.conditions), KEY, weights)
    (field,) = EXAMPLES & set(row.batch)
    assert made.shape[0] == 4
    assert made.shape[row.num_dims + 1 :] == row.batch[field].shape[1:]
    assert made.dtype == jnp.float32
    with pytest.raises(ValueError, match="num is 0; it must be an integer, at least 1"):
        system.sample(KEY, weights, 0, *row.conditions)


@rows({"gan with conditions and terms", "gan of conditions alone", "vae", "gmmn"})
def test_what_is_drawn_is_what_is_generated_of_drawn_latents(row):
    system = row.build(None)
    if not hasattr(system, "generate") or row.num_dims or len(getattr(system, "decoders", "1")) > 1:
        pytest.skip("it draws more than its latents")
    weights = weights_of(start(system, row.batch))
    key_latents, key_network = jax.random.split(KEY)
    latents = system.latents and system.latents(key_latents, 4)
    np.testing.assert_array_equal(
        system.generate(weights, latents, *row.conditions, key=key_network),
        system.sample(KEY, weights, 4, *row.conditions),
    )


@rows(COMPILED)
def test_losses_and_reports_are_float32_where_networks_compute_in_bfloat16(row):
    state, metrics = play(row.build(jnp.bfloat16), row.batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(metrics)} == {jnp.dtype(jnp.float32)}
    floating = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert {leaf.dtype for leaf in floating} == {jnp.dtype(jnp.float32)}


@rows(COMPILED)
def test_what_is_kept_keeps_its_type_where_64_bit_numbers_are_switched_on(row):
    """Latents are then drawn in 64 bits, and reach batch statistics; adam's rates are, too."""
    narrow = jax.tree.map(np.asarray, row.batch)
    with jax.enable_x64(True):
        system = row.build(None)
        batch = jax.tree.map(jnp.asarray, narrow)
        before = jax.eval_shape(lambda: start(system, batch, ADAM))
        narrow = jax.tree.map(
            lambda x: x.update(dtype=jnp.float32) if x.dtype == jnp.float64 else x, before
        )
        after, metrics = jax.eval_shape(step_of(system, optimizer=ADAM), KEY, narrow, batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, narrow)
    assert {metric.shape for metric in metrics.values()} == {()}


@every_system
def test_a_batch_that_does_not_fit_is_refused_in_words(row):
    system = row.build(None)
    examples, put = examples_of(row.batch)
    state = jax.eval_shape(lambda: start(system, row.batch))
    shape = examples.shape
    for name in row.batch:
        less = {other: array for other, array in row.batch.items() if other != name}
        words = f"this system needs `{name}`: name it among the fields"
        with pytest.raises(ValueError, match=words):
            jax.eval_shape(lambda less=less: start(system, less))
        with pytest.raises(ValueError, match=words) as refusal:
            jax.eval_shape(step_of(system), KEY, state, less)
        assert "\n" not in str(refusal.value)
    bytes_ = put(jnp.zeros(shape, jnp.uint8))
    with pytest.raises(ValueError, match="` is uint8; scale it to floating-point numbers"):
        jax.eval_shape(step_of(system), KEY, state, bytes_)
    if isinstance(system, Source | systems.JointEmbedding):
        return  # what it reads may have any shape
    with pytest.raises(ValueError, match=r"` holds examples of shape .*give the|bring both to one"):
        jax.eval_shape(lambda: start(system, put(jnp.zeros((*shape, 1)))))


@pytest.mark.parametrize(
    "name", [name if name == "vae" else pytest.param(name, marks=slow) for name in WEIGHTED]
)
def test_the_importance_weighted_bound_trains_every_model_that_has_an_encoder(name):
    row = ROWS[name]
    model = row.build(None)
    step = step_of(model, objective=systems.iwae(model, num_samples=3))
    state = jax.jit(lambda: start(model, row.batch))()
    after, metrics = jax.jit(step)(KEY, state, row.batch)
    assert 1 <= float(metrics["effective_samples"]) <= 3
    assert np.isfinite(metrics["bound"])
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    statistics = list(changed(state.player.weights.state, after.player.weights.state))
    assert statistics
    assert all(statistics)


def drawing(r):
    return jax.random.normal(r.key, r.fake_logits.shape)


def again(r):
    return networks.first(r.generate(r.key, *r.conditions))


@rows(set(ROWS) - VARIANTS | {"gan of conditions alone"})
def test_no_random_key_serves_twice(row):
    """Each layer's latents, each network's dropout and each term has a key of its own."""
    system = row.build(None)
    if isinstance(system, GAN):  # terms that judge again do so under the fakes' dropout
        terms = {"drawing": drawing, "again": again}
        system = dataclasses.replace(system, generator_terms=terms, discriminator_terms=terms)
    state = jax.eval_shape(lambda: start(system, row.batch))

    def play(key, state):
        if hasattr(system, "step"):
            sgd = Optimizers(SGD, SGD)
            one = lambda level: partial(simultaneous_step, game=level.game, optimizers=sgd)  # noqa: E731
            return system.step(one)(key, state, row.batch)
        if hasattr(system, "game"):
            weights = dict(zip(("generator", "discriminator"), players_of(state), strict=True))
            return system.game(**weights, batch=row.batch, key=key)
        return system.objective(weights=weights_of(state), batch=row.batch, key=key)

    keys = keys_of(play, KEY, state)
    assert len(keys.uses) > 4
    assert keys.used_twice() == []
    if hasattr(system, "sample"):
        sample = lambda key, weights: system.sample(key, weights, 4, *row.conditions)  # noqa: E731
        assert keys_of(sample, KEY, weights_of(state)).used_twice() == []


@every_system
def test_what_is_no_network_and_no_likelihood_is_refused(row):
    system = row.build(None)
    given = {field.name: getattr(system, field.name) for field in dataclasses.fields(system)}
    for name, value in given.items():
        if isinstance(value, nn.Module):
            with pytest.raises(ValueError, match=f"{name} is MLPGenerator itself: call it"):
                dataclasses.replace(system, **{name: MLPGenerator})
    if "encoders" in given:
        with pytest.raises(ValueError, match="network 1 is MLPEncoder itself"):
            dataclasses.replace(system, encoders=[given["encoders"][0], MLPEncoder])
    if "likelihood" in given:
        with pytest.raises(ValueError, match="likelihood is gaussian itself: call it"):
            dataclasses.replace(system, likelihood=losses.gaussian)


def test_every_system_has_a_row_or_rows_of_its_own():
    starts = ("init", "init_source")
    classes = {n for n in systems.__all__ if any(hasattr(getattr(systems, n), s) for s in starts)}
    of_package = [cls for row in ROWS.values() for cls in type(row.build(None)).__mro__]
    built = {cls.__name__ for cls in of_package} & set(systems.__all__)
    # Which ask a system that is trained: tests/systems/test_svi.py and test_style_projection.py.
    assert classes == built | {"SVI", "StyleProjection"}
