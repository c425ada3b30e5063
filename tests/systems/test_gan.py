"""The unconditional GAN against its equations, computed by hand from what its networks saw."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from gan_jax.games import (
    Optimizers,
    alternating_step,
    discriminator_step,
    generator_step,
    simultaneous_step,
)
from gan_jax.losses import (
    gradient_penalty,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    r1,
    wasserstein,
)
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_jax.systems import gan

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
        "latent_dim": 3,
    }
    return gan(**arguments | changes)


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
    state = system.init(KEY, optimizers=ADAM)
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
    system = build(generator=Scaled(), discriminator=Linear(seen.append), latent_dim=2)
    state = system.init(KEY, optimizers=ADAM)
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
    state = system.init(KEY, optimizers=ADAM)
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
    state = jax.eval_shape(lambda key: system.init(key, optimizers=ADAM), KEY)
    for player in (state.generator, state.discriminator):
        assert set(player.weights.state) == {"batch_stats"}
        assert "batch_stats" not in player.weights.params
        assert player.weights.state["batch_stats"]["BatchNorm_0"]["mean"].shape[0] in (8, 16)
    fakes = jax.eval_shape(lambda key, state: system.sample(key, state, 5), KEY, state)
    assert fakes.shape == (5, 32, 32, 3)
    outcome = jax.eval_shape(
        lambda state, batch: play(system, state, batch), state, images(5, (32, 32, 3))
    )
    assert outcome.generator.loss.shape == outcome.discriminator.loss.shape == ()


def test_the_players_are_drawn_independently():
    system = build(generator=MLPGenerator((3,), (8,)))
    state = system.init(KEY, optimizers=ADAM)
    first = [p.weights.params["Dense_0"]["kernel"] for p in (state.generator, state.discriminator)]
    assert first[0].shape == first[1].shape
    assert not np.any(np.isclose(*first))
    other = build(generator=MLPGenerator((3,), (8,)), discriminator=MLPDiscriminator((4, 4)))
    other = other.init(KEY, optimizers=ADAM)
    again = other.generator.weights.params["Dense_0"]["kernel"]
    np.testing.assert_array_equal(again, first[0])
    different = system.init(jax.random.key(1), optimizers=ADAM)
    assert not np.any(np.isclose(different.generator.weights.params["Dense_0"]["kernel"], first[0]))


def test_batch_statistics_take_the_real_examples_first_and_then_the_fakes():
    seen, latents = [], []
    system = build(
        generator=Normalised(seen=latents.append),
        discriminator=Normalised(flat=True, seen=seen.append),
        latent_dim=2,
    )
    state = system.init(KEY, optimizers=ADAM)
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
        generator=Normalised(), discriminator=Normalised(flat=True), loss=minimax(), latent_dim=2
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
    state = system.init(KEY, optimizers=ADAM)
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
    state = system.init(KEY, optimizers=ADAM)
    z = system.sample(KEY, state, 6)  # mean 0 and variance 1 at the start
    weights = state.generator.weights
    mean, spread = np.array([5.0, -1.0]), np.array([2.0, 3.0])
    statistics = {"mean": jnp.array(mean), "var": jnp.array(spread**2)}
    weights = weights.replace(state={"batch_stats": {"BatchNorm_0": statistics}})
    state = state.replace(generator=state.generator.replace(weights=weights))
    samples = system.sample(KEY, state, 6)
    np.testing.assert_allclose(samples, (np.asarray(z) - mean) / spread, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(system.sample(KEY, state, 6), samples)
    assert not np.any(np.isclose(system.sample(jax.random.key(1), state, 6), samples))
    assert system.sample(KEY, state, 1).shape == (1, 2)


@pytest.mark.parametrize(("prior", "moments"), [("normal", (1, 3)), ("uniform", (1 / 3, 1 / 5))])
def test_latents_have_the_moments_of_their_prior(prior, moments):
    seen, num = [], 20_000
    system = build(generator=Scaled(), discriminator=Linear(seen.append), latent_dim=2, prior=prior)
    state = system.init(KEY, optimizers=ADAM)
    play(system, state, images(num))
    for z in (np.asarray(system.sample(KEY, state, num)), np.asarray(seen[-1])):
        values = z.ravel()
        second, fourth = moments
        error = 4 / np.sqrt(values.size)  # four standard errors, in units of the spread
        assert abs(np.mean(values)) < error * np.sqrt(second)
        assert abs(np.mean(values**2) - second) < error * np.std(values**2)
        assert abs(np.mean(values**4) - fourth) < error * np.std(values**4)
        assert abs(np.mean(z[:, 0] * z[:, 1])) < error * np.sqrt(2) * second
        if prior == "uniform":
            assert -1 <= np.min(values) < -0.99
            assert 0.99 < np.max(values) <= 1


def test_the_field_says_what_is_modelled():
    system = build(field="point")
    state = system.init(KEY, optimizers=ADAM)
    points = images()["image"]
    outcome = play(system, state, {"point": points})
    by_default = play(build(), state, {"image": points})
    assert outcome.discriminator.loss == by_default.discriminator.loss
    with pytest.raises(ValueError, match="The batch holds image; this system models `point` alone"):
        play(system, state, images())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latent_dim": 0}, "latent_dim is 0; a generator needs at least 1 latent"),
        ({"latent_dim": -3}, "latent_dim is -3; a generator needs at least 1 latent"),
        ({"packing": 0}, "packing is 0; a pack needs at least 1 example"),
        ({"prior": "cauchy"}, 'prior is "cauchy"; it must be "normal" or "uniform"'),
    ],
)
def test_what_makes_no_gan_is_refused_at_the_door(changes, words, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for a user
    with pytest.raises(ValueError, match=words):
        build(**changes)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (
            {"image": jnp.ones((4, 2)), "label": jnp.ones(4, jnp.int32)},
            r"holds image, label; this system models `image` alone and takes no labels: give it "
            r"\{'image': ...\} and nothing else",
        ),
        ({}, "The batch holds nothing; this system models `image`"),
        (
            {"image": jnp.ones((4, 2), jnp.uint8)},
            "`image` is uint8; scale it to floating-point numbers first",
        ),
        (
            {"image": jnp.ones((4, 3))},
            r"examples of shape \(3,\), .*generator makes \(2,\): give the generator",
        ),
        ({"image": jnp.ones((4, 2, 1))}, r"examples of shape \(2, 1\), .*generator makes \(2,\)"),
        ({"image": jnp.ones(2)}, r"examples of shape \(\), .*generator makes \(2,\)"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_in_words(batch, words):
    system = build()
    state = system.init(KEY, optimizers=ADAM)
    with pytest.raises(ValueError, match=words) as error:
        jax.jit(lambda state, batch: play(system, state, batch))(state, batch)
    assert "\n" not in str(error.value)


class Half(nn.Module):
    """A critic that answers as coarsely as it computes."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(1, dtype=jnp.bfloat16)(x)[:, 0]


@pytest.mark.parametrize(
    "discriminator",
    [
        pytest.param(MLPDiscriminator((8,), dtype=jnp.bfloat16), id="ours"),
        pytest.param(Half(), id="any", marks=pytest.mark.slow),
    ],
)
def test_losses_of_networks_in_bfloat16_are_float32(discriminator):
    system = build(
        generator=MLPGenerator((2,), (8,), dtype=jnp.bfloat16), discriminator=discriminator
    )
    state = system.init(KEY, optimizers=ADAM)
    outcome = play(system, state, images())
    for player in outcome:
        assert player.loss.dtype == jnp.float32
        assert {metric.dtype for metric in player.metrics.values()} <= {jnp.dtype(jnp.float32)}
    step = jax.jit(partial(simultaneous_step, game=system.game, optimizers=ADAM))
    moved, metrics = step(KEY, state, images())
    chex.assert_trees_all_equal_dtypes(moved, state)
    chex.assert_tree_all_finite((moved, metrics))


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
    state = system.init(KEY, optimizers=ADAM)
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
    samples = system.sample(KEY, state, 50)
    np.testing.assert_array_equal(samples, system.sample(KEY, state, 50))
    assert np.all(samples != 0)  # nothing is dropped, and no key is asked for


def test_a_penalty_is_added_to_the_discriminator_s_loss_alone():
    """A linear critic's gradient is its kernel w, wherever it is taken."""
    networks = {"generator": Scaled(), "discriminator": Linear(), "latent_dim": 2}
    plain = build(**networks)
    punished = build(**networks, penalty=lambda *at: 10 * gradient_penalty(*at, target=0.5))
    state = plain.init(KEY, optimizers=ADAM)
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

    def penalty(critic, real, fake, key):
        seen.update(real=real, fake=fake, logits=critic(real))
        return r1(critic, real)

    system = build(generator=Scaled(), discriminator=Linear(), latent_dim=2, penalty=penalty)
    state = system.init(KEY, optimizers=ADAM)
    outcome = play(system, state, images())
    np.testing.assert_array_equal(seen["real"], images()["image"])
    assert seen["fake"].shape == seen["real"].shape
    metrics = outcome.discriminator.metrics
    np.testing.assert_allclose(jnp.mean(seen["logits"]), metrics["real_logits"], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("step", [simultaneous_step, alternating_step])
def test_spectral_norms_are_kept_along_the_game(step):
    system = build(discriminator=MLPDiscriminator((8,), spectral_norm=True))
    state = system.init(KEY, optimizers=ADAM)
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
    state = system.init(KEY, optimizers=ADAM)
    seen.clear()
    batch = images(6, shape)
    outcome = play(system, state, batch)
    real, fake = seen
    assert real.shape == fake.shape == (6 // packing, *shape[:-1], packing * shape[-1])
    slots = np.split(np.asarray(real), packing, axis=-1)
    together = np.stack(slots, axis=1).reshape(6, *shape)
    np.testing.assert_array_equal(together, batch["image"])
    assert outcome.generator.loss.shape == ()
    assert system.sample(KEY, state, 5).shape == (5, *shape)
    with pytest.raises(ValueError, match=f"5 examples do not divide into packs of {packing}"):
        play(system, state, images(5, shape))


def test_packs_of_one_are_the_gan_itself():
    plain, packed = build(), build(packing=1)
    state = plain.init(KEY, optimizers=ADAM)
    chex.assert_trees_all_equal(
        play(plain, state, images()), play(packed, packed.init(KEY, optimizers=ADAM), images())
    )
