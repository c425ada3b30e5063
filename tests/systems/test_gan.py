"""GANs against their equations, computed by hand from what their networks saw."""

import inspect
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from gan_jax.games import (
    Optimizers,
    Weights,
    alternating_step,
    discriminator_step,
    generator_step,
    simultaneous_step,
)
from gan_jax.losses import (
    fdivergence,
    gradient_penalty,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    r1,
    relativistic,
    wasserstein,
)
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks, relativistic_gan
from gan_jax.systems.checks import take

KEY = jax.random.key(0)
ADAM = Optimizers(generator=optax.adam(1e-2), discriminator=optax.adam(1e-2))


class Linear(nn.Module):
    """w · x + b, noting every x that it sees when nobody traces it."""

    seen: object = None

    @nn.compact
    def __call__(self, x, *, train=False):
        if self.seen is not None:
            self.seen(x)
        return nn.Dense(1)(x)[:, 0]


class Scaled(nn.Module):
    """The latents themselves, times a parameter that starts at 1."""

    @nn.compact
    def __call__(self, latents, *, train=False):
        return latents * self.param("scale", nn.initializers.ones, ())


class Normalised(nn.Module):
    """Batch norm of what comes in; one number for each example with `flat`."""

    flat: bool = False
    seen: object = None

    @nn.compact
    def __call__(self, x, *, train=False):
        if self.seen is not None:
            self.seen(x)
        x = nn.BatchNorm(not train, momentum=0.9)(x)
        return nn.Dense(1)(x)[:, 0] if self.flat else x


def build(**changes):
    arguments = {
        "generator": MLPGenerator((2,), (8,)),
        "discriminator": MLPDiscriminator((8,)),
        "loss": non_saturating(),
        "latents": networks.normal(3),
    }
    return GAN(**arguments | changes)


def images(num=6, shape=(2,)):
    return {"image": jax.random.normal(jax.random.key(9), (num, *shape)) + 1}


def play(system, state, batch, key=KEY):
    return system.game(
        generator=state.generator.weights,
        discriminator=state.discriminator.weights,
        batch=batch,
        key=key,
    )


def softplus(x):
    return np.log1p(np.exp(x))


CURVES = {
    "minimax": (minimax(), lambda a: softplus(-a), softplus, lambda a: -softplus(a)),
    "non_saturating": (non_saturating(), lambda a: softplus(-a), softplus, lambda a: softplus(-a)),
    "wasserstein": (wasserstein(), lambda a: -a, lambda a: a, lambda a: -a),
    "hinge": (
        hinge(),
        lambda a: np.maximum(0, 1 - a),
        lambda a: np.maximum(0, 1 + a),
        lambda a: -a,
    ),
    "least_squares": (
        least_squares(),
        lambda a: (a - 1) ** 2 / 2,
        lambda a: a**2 / 2,
        lambda a: (a - 1) ** 2 / 2,
    ),
}


@pytest.mark.parametrize("name", CURVES)
def test_losses_are_the_means_of_the_curves_over_what_the_discriminator_saw(name):
    loss, real_curve, fake_curve, generator_curve = CURVES[name]
    seen = []
    system = build(discriminator=Linear(seen.append), loss=loss)
    state = system.init(KEY, images(), optimizers=ADAM)
    seen.clear()
    batch = images()
    outcome = play(system, state, batch)
    real, fake = seen
    np.testing.assert_array_equal(real, batch["image"])
    assert fake.shape == real.shape
    dense = jax.tree.map(np.float64, state.discriminator.weights.params["Dense_0"])
    real_logits, fake_logits = (
        (np.float64(x) @ dense["kernel"] + dense["bias"])[:, 0] for x in seen
    )
    np.testing.assert_allclose(
        outcome.discriminator.loss,
        np.mean(real_curve(real_logits)) + np.mean(fake_curve(fake_logits)),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        outcome.generator.loss, np.mean(generator_curve(fake_logits)), rtol=1e-5
    )
    assert outcome.generator.metrics == {}
    np.testing.assert_allclose(
        outcome.discriminator.metrics["real_logits"], np.mean(real_logits), rtol=1e-5
    )
    np.testing.assert_allclose(
        outcome.discriminator.metrics["fake_logits"], np.mean(fake_logits), rtol=1e-5
    )


def test_the_fakes_are_the_generators_and_depend_on_the_key():
    seen = []
    system = build(
        generator=Scaled(), discriminator=Linear(seen.append), latents=networks.normal(2)
    )
    state = system.init(KEY, images(), optimizers=ADAM)
    doubled = state.replace(generator=jax.tree.map(lambda leaf: 2 * leaf, state.generator))
    seen.clear()
    for at in (state, doubled):
        play(system, at, images())
    play(system, state, images(), jax.random.key(1))
    fakes = seen[1::2]
    np.testing.assert_allclose(fakes[1], 2 * fakes[0], rtol=1e-6)
    assert not np.any(np.isclose(fakes[2], fakes[0]))


def test_init_draws_both_players_and_starts_their_optimisers():
    system = build()
    state = system.init(KEY, images(), optimizers=ADAM)
    shapes = jax.tree.map(jnp.shape, state.generator.weights.params)
    assert shapes == {
        "Dense_0": {"kernel": (3, 8), "bias": (8,)},
        "Dense_1": {"kernel": (8, 2), "bias": (2,)},
    }
    shapes = jax.tree.map(jnp.shape, state.discriminator.weights.params)
    assert shapes == {
        "Dense_0": {"kernel": (2, 8), "bias": (8,)},
        "Dense_1": {"kernel": (8, 1), "bias": (1,)},
    }
    assert int(state.step) == 0
    assert state.generator.weights.state == state.discriminator.weights.state == {}
    for player in (state.generator, state.discriminator):
        means = player.opt_state[0].mu
        assert jax.tree.structure(means) == jax.tree.structure(player.weights.params)


def test_init_of_a_dcgan_keeps_batch_statistics_beside_the_params():
    system = build(generator=DCGANGenerator(32, 3, 4), discriminator=DCGANDiscriminator(4))
    batch = jax.tree.map(jnp.tanh, images(5, (32, 32, 3)))
    state = jax.eval_shape(lambda key: system.init(key, batch, optimizers=ADAM), KEY)
    for player in (state.generator, state.discriminator):
        assert set(player.weights.state) == {"batch_stats"}
        assert "batch_stats" not in player.weights.params
        assert player.weights.state["batch_stats"]["BatchNorm_0"]["mean"].shape[0] in (8, 16)
    fakes = jax.eval_shape(
        lambda key, state: system.sample(key, state.generator.weights, 5), KEY, state
    )
    assert fakes.shape == (5, 32, 32, 3)
    outcome = jax.eval_shape(lambda state, batch: play(system, state, batch), state, batch)
    assert outcome.generator.loss.shape == outcome.discriminator.loss.shape == ()


def test_the_players_are_drawn_independently():
    three = images(shape=(3,))
    system = build(generator=MLPGenerator((3,), (8,)))
    state = system.init(KEY, three, optimizers=ADAM)
    first = [p.weights.params["Dense_0"]["kernel"] for p in (state.generator, state.discriminator)]
    assert first[0].shape == first[1].shape
    assert not np.any(np.isclose(*first))
    other = build(generator=MLPGenerator((3,), (8,)), discriminator=MLPDiscriminator((4, 4)))
    other = other.init(KEY, three, optimizers=ADAM)
    again = other.generator.weights.params["Dense_0"]["kernel"]
    np.testing.assert_array_equal(again, first[0])
    different = system.init(jax.random.key(1), three, optimizers=ADAM)
    assert not np.any(np.isclose(different.generator.weights.params["Dense_0"]["kernel"], first[0]))


def test_batch_statistics_take_the_real_examples_first_and_then_the_fakes():
    seen, latents = [], []
    system = build(
        generator=Normalised(seen=latents.append),
        discriminator=Normalised(flat=True, seen=seen.append),
        latents=networks.normal(2),
    )
    state = system.init(KEY, images(), optimizers=ADAM)
    seen.clear()
    latents.clear()
    outcome = play(system, state, images(32))
    (drawn,), (real, fake) = latents, seen
    means, variances = np.zeros(2), np.ones(2)
    for x in (real, fake):
        means, variances = 0.9 * means + 0.1 * np.mean(x, 0), 0.9 * variances + 0.1 * np.var(x, 0)
    found = outcome.discriminator.state["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(found["mean"], means, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["var"], variances, rtol=1e-4)
    found = outcome.generator.state["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(found["mean"], 0.1 * np.mean(drawn, 0), rtol=1e-4, atol=1e-6)


def normalised_system():
    return build(
        generator=Normalised(),
        discriminator=Normalised(flat=True),
        loss=minimax(),
        latents=networks.normal(2),
    )


@pytest.mark.parametrize(
    ("step", "moving", "frozen"),
    [
        (discriminator_step, "discriminator", "generator"),
        (generator_step, "generator", "discriminator"),
    ],
)
def test_in_a_move_of_one_player_not_a_bit_of_the_other_changes(step, moving, frozen):
    system = normalised_system()
    state = system.init(KEY, images(), optimizers=ADAM)
    moved, _ = jax.jit(partial(step, game=system.game, optimizers=ADAM))(KEY, state, images())
    chex.assert_trees_all_equal(getattr(moved, frozen), getattr(state, frozen))
    before, after = getattr(state, moving), getattr(moved, moving)
    for part in ("params", "state"):
        pairs = zip(
            jax.tree.leaves(getattr(before.weights, part)),
            jax.tree.leaves(getattr(after.weights, part)),
            strict=True,
        )
        assert any(np.any(old != new) for old, new in pairs)
    assert int(after.opt_state[0].count) == 1


def test_samples_are_normalised_by_the_running_statistics():
    system = normalised_system()
    state = system.init(KEY, images(), optimizers=ADAM)
    z = system.sample(KEY, state.generator.weights, 6)  # mean 0 and variance 1 at the start
    weights = state.generator.weights
    mean, spread = np.array([5.0, -1.0]), np.array([2.0, 3.0])
    statistics = {"mean": jnp.array(mean), "var": jnp.array(spread**2)}
    weights = weights.replace(state={"batch_stats": {"BatchNorm_0": statistics}})
    state = state.replace(generator=state.generator.replace(weights=weights))
    samples = system.sample(KEY, state.generator.weights, 6)
    np.testing.assert_allclose(samples, (np.asarray(z) - mean) / spread, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(system.sample(KEY, state.generator.weights, 6), samples)
    assert not np.any(
        np.isclose(system.sample(jax.random.key(1), state.generator.weights, 6), samples)
    )
    assert system.sample(KEY, state.generator.weights, 1).shape == (1, 2)


def test_what_normal_noise_becomes_has_the_distribution_of_the_latents():
    noise = jnp.array([[0.0, -1.0], [1.0, 5.0]])
    np.testing.assert_array_equal(networks.normal(2).of_normal(noise), noise)
    low, high = -1.0, 3.0
    made = networks.uniform(2, low=low, high=high).of_normal(noise)
    np.testing.assert_allclose(made, low + (high - low) * stats.norm.cdf(noise), rtol=1e-6)


@pytest.mark.parametrize(
    ("latents", "moments"),
    [(networks.normal(2), (1, 3)), (networks.uniform(2), (1 / 3, 1 / 5))],
    ids=["normal", "uniform"],
)
def test_latents_have_the_moments_of_their_distribution_when_played_and_when_drawn(
    latents, moments
):
    seen, num = [], 20_000
    system = build(generator=Scaled(), discriminator=Linear(seen.append), latents=latents)
    state = system.init(KEY, images(), optimizers=ADAM)
    play(system, state, images(num))
    for z in (np.asarray(system.sample(KEY, state.generator.weights, num)), np.asarray(seen[-1])):
        values = z.ravel()
        second, fourth = moments
        error = 4 / np.sqrt(values.size)  # four standard errors, in units of the spread
        assert abs(np.mean(values)) < error * np.sqrt(second)
        assert abs(np.mean(values**2) - second) < error * np.std(values**2)
        assert abs(np.mean(values**4) - fourth) < error * np.std(values**4)
        assert abs(np.mean(z[:, 0] * z[:, 1])) < error * np.sqrt(2) * second
        if second < 1:
            assert -1 <= np.min(values) < -0.99
            assert 0.99 < np.max(values) <= 1


def test_the_field_says_what_is_modelled():
    points = images()["image"]
    system = build(field="point")
    state = system.init(KEY, {"point": points}, optimizers=ADAM)
    outcome = play(system, state, {"point": points})
    by_default = play(build(), state, {"image": points})
    assert outcome.discriminator.loss == by_default.discriminator.loss
    others = {"point": points, "label": jnp.ones(6, jnp.int32)}
    assert play(system, state, others).discriminator.loss == outcome.discriminator.loss


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: build(packing=0), "packing is 0; it must be an integer, at least 1"),
        (
            lambda: build(packing=2, conditions=("label",)),
            "a pack of examples has no one condition",
        ),
        (lambda: build(latents=None), "without latents and conditions makes one example"),
        (lambda: networks.normal(3, 0), "size 1 of the latents is 0; it must be an integer"),
        (lambda: networks.uniform(3, low=1.0), "low is 1.0 and high 1.0; low must be below high"),
        (lambda: networks.uniform(3, low=np.nan), "low is nan; it must be finite"),
        (lambda: build(loss=non_saturating), r"loss is non_saturating itself: call it, as in loss"),
        (lambda: build(loss=fdivergence.kl()), "loss is a FDivergence: make a game of it by"),
        (lambda: build(loss=relativistic(hinge())), "loss is a RelativisticLoss: play it by rel"),
        (lambda: build(loss="hinge"), "loss is a str; it must be a AdversarialLoss, as losses"),
        (lambda: build(generator=MLPGenerator), "generator is MLPGenerator itself: call it"),
        (lambda: build(discriminator=None), "discriminator is a NoneType; it must be a Module"),
        (lambda: build(latents=100), r"latents is 100; give what draws them, such as networks"),
        (lambda: build(latents=networks.normal), "latents is normal; give what draws them"),
        (lambda: build(conditions="label"), "conditions is 'label'; give a tuple of such names"),
        (lambda: build(generator_terms=r1), "generator_terms is a function; give each term a name"),
        (
            lambda: inspect.unwrap(relativistic_gan)(
                generator=MLPGenerator((2,)),
                discriminator=MLPDiscriminator(),
                loss=hinge(),
                latents=networks.normal(3),
            ),
            "loss is a AdversarialLoss: compare its logits by",
        ),
    ],
)
def test_what_makes_no_gan_is_refused_at_the_door(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_a_batch_has_fields():
    with pytest.raises(ValueError, match=r'give its examples by their name, as \{"image": '):
        inspect.unwrap(take)(jnp.ones((6, 2)), "image")
    with pytest.raises(ValueError, match="The batch holds nothing; this system needs `image`"):
        build().init(KEY, {}, optimizers=ADAM)


class Answering(nn.Module):
    """A critic that gives logits of this shape for every batch."""

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x, *, train=False):
        self.param("nothing", nn.initializers.zeros, ())
        return jnp.zeros([len(x) if size < 0 else size for size in self.shape])


@pytest.mark.parametrize(
    ("shape", "answer", "fits"),
    [
        ((2,), (-1,), True),
        ((2,), (-1, 1), True),
        ((2,), (-1, 3), False),
        ((2,), (), False),
        ((2,), (7,), False),
        ((8, 8, 1), (-1, 4, 4), True),
        ((8, 8, 1), (-1, 4, 4, 1), True),
        ((8, 8, 1), (-1, 4, 1), True),
        ((8, 8, 1), (-1, 3), False),
        ((8, 8, 1), (-1, 4, 4, 2), False),
    ],
)
def test_a_discriminator_gives_each_example_a_number_or_a_map(shape, answer, fits):
    system = build(generator=MLPGenerator(shape, (4,)), discriminator=Answering(answer))
    batch = images(5, shape)

    def start(system):
        return jax.eval_shape(lambda: system.init(KEY, batch, optimizers=ADAM))

    if fits:
        jax.eval_shape(lambda state: play(system, state, batch), start(system))
        return
    with pytest.raises(ValueError, match="it must give each one number, or a map") as refusal:
        start(system)
    assert "\n" not in str(refusal.value)
    answered = build(generator=MLPGenerator(shape, (4,)), discriminator=Answering((-1,)))
    with pytest.raises(ValueError, match="it must give each one number, or a map"):
        jax.eval_shape(lambda state: play(system, state, batch), start(answered))


def test_weights_of_other_networks_are_refused():
    system, batch = build(), images()
    state = jax.eval_shape(lambda: system.init(KEY, batch, optimizers=ADAM))
    other = build(latents=networks.normal(5), discriminator=MLPDiscriminator((8, 8)))
    words = r"not those of this MLPGenerator for inputs of shape \(4, 5\): give the weights"
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(lambda state: other.sample(KEY, state.generator.weights, 4), state)
    with pytest.raises(ValueError, match=r"not those of this MLPGenerator .* \(6, 5\)"):
        jax.eval_shape(lambda state: play(other, state, batch), state)
    with pytest.raises(ValueError, match="not those of this MLPDiscriminator"):
        jax.eval_shape(other.discriminate, state.discriminator.weights, batch["image"])


def test_a_sample_needs_as_many_of_each_condition():
    with pytest.raises(ValueError, match="num is -1; it must be an integer, at least 1"):
        build().sample(KEY, Weights(params={}), -1)
    system = build(conditions=("label",))
    weights = build().init(KEY, images(), optimizers=ADAM).generator.weights
    with pytest.raises(ValueError, match=r"hold \[\] values; 4 examples need 4 of each of label"):
        system.sample(KEY, weights, 4)
    with pytest.raises(ValueError, match=r"hold \[3\] values; 4 examples need 4 of each of label"):
        system.sample(KEY, weights, 4, jnp.arange(3))
    with pytest.raises(ValueError, match=r"hold \[4\] values; 4 examples need 4 of each of none"):
        build().sample(KEY, weights, 4, jnp.arange(4))
    with pytest.raises(ValueError, match=r"hold \[\] values; 6 examples need 6 of each of label"):
        system.discriminate(weights, images()["image"])


class Half(nn.Module):
    """A critic that answers as coarsely as it computes."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(1, dtype=jnp.bfloat16)(x)[:, 0]


def test_losses_of_a_critic_that_answers_in_bfloat16_are_float32():
    system = build(discriminator=Half())
    state = jax.eval_shape(lambda: system.init(KEY, images(), optimizers=ADAM))
    outcome = jax.eval_shape(lambda state: play(system, state, images()), state)
    for player in outcome:
        assert player.loss.dtype == jnp.float32
        assert {metric.dtype for metric in player.metrics.values()} <= {jnp.dtype(jnp.float32)}
    logits = jax.eval_shape(system.discriminate, state.discriminator.weights, images()["image"])
    assert logits.dtype == jnp.float32


class Restless(nn.Module):
    """Dropout, a spectral norm, and a collection of its own that counts its calls."""

    features: int
    flat: bool = False

    @nn.compact
    def __call__(self, x, *, train=False):
        calls = self.variable("calls", "count", jnp.zeros, (), jnp.int32)
        if train:
            calls.value += 1
        x = nn.SpectralNorm(nn.Dense(self.features))(x, update_stats=train)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return x[:, 0] if self.flat else x


@pytest.mark.slow
@pytest.mark.parametrize("step", [simultaneous_step, alternating_step])
def test_networks_may_keep_any_state_and_drop_units(step):
    system = build(generator=Restless(2), discriminator=Restless(1, flat=True))
    state = system.init(KEY, images(), optimizers=ADAM)
    norms = [p.weights.state["batch_stats"] for p in (state.generator, state.discriminator)]
    assert [set(p.weights.state) for p in (state.generator, state.discriminator)] == [
        {"batch_stats", "calls"}
    ] * 2
    play_once = jax.jit(partial(step, game=system.game, optimizers=ADAM))
    for t in range(2):
        state, metrics = play_once(jax.random.fold_in(KEY, t), state, images())
    chex.assert_tree_all_finite((state, metrics))
    calls = [int(p.weights.state["calls"]["count"]) for p in (state.generator, state.discriminator)]
    assert calls == [2, 4]  # the discriminator sees real and fake examples in each step
    for old, player in zip(norms, (state.generator, state.discriminator), strict=True):
        new = player.weights.state["batch_stats"]
        assert any(
            np.any(a != b) for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
        )
    samples = system.sample(KEY, state.generator.weights, 50)
    np.testing.assert_array_equal(samples, system.sample(KEY, state.generator.weights, 50))
    assert np.all(samples != 0)  # nothing is dropped, and no key is asked for


def test_a_penalty_is_added_to_the_discriminator_s_loss_alone():
    """A linear critic's gradient is its kernel w, wherever it is taken."""
    two = {"generator": Scaled(), "discriminator": Linear(), "latents": networks.normal(2)}
    plain = build(**two)
    punished = build(
        **two,
        discriminator_terms={
            "penalty": lambda r: 10 * gradient_penalty(r.critic, r.real, r.fake, r.key, target=0.5)
        },
    )
    state = plain.init(KEY, images(), optimizers=ADAM)
    expected, found = (play(system, state, images()) for system in (plain, punished))
    norm = np.linalg.norm(state.discriminator.weights.params["Dense_0"]["kernel"])
    penalty = found.discriminator.metrics["penalty"]
    np.testing.assert_allclose(penalty, 10 * (norm - 0.5) ** 2, rtol=1e-5)
    np.testing.assert_allclose(
        found.discriminator.loss, expected.discriminator.loss + penalty, rtol=1e-6
    )
    assert found.generator.loss == expected.generator.loss
    assert "penalty" not in expected.discriminator.metrics


def test_a_penalty_is_given_the_examples_that_were_played():
    seen = {}

    def penalty(r):
        seen.update(real=r.real, fake=r.fake, logits=r.critic(r.real))
        return r1(r.critic, r.real)

    system = build(
        generator=Scaled(),
        discriminator=Linear(),
        latents=networks.normal(2),
        discriminator_terms={"penalty": penalty},
    )
    state = system.init(KEY, images(), optimizers=ADAM)
    outcome = play(system, state, images())
    np.testing.assert_array_equal(seen["real"], images()["image"])
    assert seen["fake"].shape == seen["real"].shape
    metrics = outcome.discriminator.metrics
    np.testing.assert_allclose(jnp.mean(seen["logits"]), metrics["real_logits"], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("step", [simultaneous_step, alternating_step])
def test_spectral_norms_are_kept_along_the_game(step):
    system = build(discriminator=MLPDiscriminator((8,), spectral_norm=True))
    state = system.init(KEY, images(), optimizers=ADAM)
    play_on = jax.jit(partial(step, game=system.game, optimizers=ADAM))
    for _ in range(20):
        state, _ = play_on(KEY, state, images())
    weights = state.discriminator.weights
    norms = [
        (np.linalg.norm(weights.params[f"Dense_{i}"]["kernel"], 2), sigma)
        for i in range(2)
        for name, sigma in weights.state["batch_stats"][f"SpectralNorm_{i}"].items()
        if name.endswith("sigma")
    ]
    assert len(norms) == 2
    np.testing.assert_allclose(*zip(*norms, strict=True), rtol=0.05)


@pytest.mark.parametrize(
    ("shape", "packing"), [((4, 4, 1), 2), pytest.param((2,), 3, marks=pytest.mark.slow)]
)
def test_the_discriminator_judges_packs_joined_along_the_last_axis(shape, packing):
    """On as many packs as there are, none of which shares an example with another."""
    seen = []

    class Flat(nn.Module):
        @nn.compact
        def __call__(self, x, *, train=False):
            seen.append(x)
            return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]

    system = build(generator=MLPGenerator(shape, (8,)), discriminator=Flat(), packing=packing)
    batch = images(6, shape)
    state = system.init(KEY, batch, optimizers=ADAM)
    seen.clear()
    outcome = play(system, state, batch)
    real, fake = seen
    assert real.shape == fake.shape == (6 // packing, *shape[:-1], packing * shape[-1])
    slots = np.split(np.asarray(real), packing, axis=-1)
    together = np.stack(slots, axis=1).reshape(6, *shape)
    np.testing.assert_array_equal(together, batch["image"])
    assert outcome.generator.loss.shape == ()
    assert system.sample(KEY, state.generator.weights, 5).shape == (5, *shape)
    with pytest.raises(ValueError, match=f"5 examples do not divide into packs of {packing}"):
        play(system, state, images(5, shape))


def test_packs_of_one_are_the_gan_itself():
    plain, packed = build(), build(packing=1)
    state = plain.init(KEY, images(), optimizers=ADAM)
    chex.assert_trees_all_equal(
        play(plain, state, images()),
        play(packed, packed.init(KEY, images(), optimizers=ADAM), images()),
    )
