"""LAPGAN: true bands give the image back, and no level knows of another."""

import dataclasses
import re
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.games import Optimizers, Weights, simultaneous_step
from gan_jax.signals import binomial_down, laplacian_pyramid, nearest_up
from gan_jax.systems import GAN, LAPGAN, networks

KEY = jax.random.key(0)
SGD = Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
WHOLE = jnp.float32(np.random.default_rng(0).integers(-128, 128, (4, 9, 6, 1)))
LABELS = jnp.arange(4) % 3
BATCH = {"image": WHOLE / 128, "label": LABELS}
SIZES = [(9, 6), (5, 3), (3, 2)]


class Echo(nn.Module):
    """Makes its latents, as many as there are conditions."""

    @nn.compact
    def __call__(self, latents, *conditions, train=False):
        return latents


class Level(nn.Module):
    """Noise, the coarser image and the class, each pixel by itself."""

    @nn.compact
    def __call__(self, latents, *conditions, train=False):
        *coarse, labels = conditions
        x = jnp.concatenate([latents, *coarse], axis=-1)
        told = nn.Dense(1)(jax.nn.one_hot(labels, 3))[:, None, None]
        return nn.Dense(1)(nn.tanh(nn.Dense(3)(x))) + told


class Judge(nn.Module):
    """Reads its example, the coarser image and the class, which all matter."""

    @nn.compact
    def __call__(self, x, *conditions, train=False):
        *coarse, labels = conditions
        told = jax.nn.one_hot(labels, 3)
        read = jnp.concatenate([y.reshape(len(y), -1) for y in (x, *coarse, told)], axis=-1)
        return nn.Dense(1)(nn.tanh(nn.Dense(3)(read)))[:, 0]


def same(size, key, num):
    """Latents of which every device has the same: no randomness of its own."""
    return jnp.broadcast_to(jnp.linspace(-1, 1, size[0] * size[1]), (num, size[0] * size[1]))


def level(size, *coarse, generator, latents=None, conditions=("label",)):
    return GAN(
        generator=generator,
        discriminator=Judge(),
        loss=losses.non_saturating(),
        latents=latents or networks.uniform(*size, 1),
        conditions=(*coarse, *conditions),
    )


def system(generator=None, latents=None, conditions=("label",), **filters):
    generator = generator or Level()
    told = {"generator": generator, "conditions": conditions}
    *finer, smallest = SIZES
    levels = [
        level(size, "coarse", latents=latents and latents(size), **told) for size in finer
    ] + [level(smallest, latents=latents and latents(smallest), **told)]
    return LAPGAN(size=SIZES[0], levels=tuple(levels), **filters)


FILTERS = {
    "default": {},
    "any": {"down": lambda x: 3 - binomial_down(x), "up": lambda x: 5 * nearest_up(x)},
}


@pytest.mark.parametrize("name", FILTERS)
def test_true_bands_give_the_image_back_through_the_sampler(name):
    """Sides of 9 and 6 become 5 and 3, then 3 and 2: what is enlarged is cut."""
    filters = FILTERS[name]
    pyramid = system(Echo(), conditions=(), **filters)
    bands = laplacian_pyramid(WHOLE, num_levels=3, **filters)
    assert [band.shape[1:3] for band in bands] == pyramid.sizes == SIZES
    latents = jnp.concatenate([band.reshape(4, -1) for band in bands], axis=1)
    nothing = dict.fromkeys(pyramid.named, Weights(params={}))
    again = jax.jit(pyramid.generate)(nothing, latents)
    np.testing.assert_array_equal(again, WHOLE)


def test_each_level_sees_its_band_and_what_is_below_it_enlarged():
    pyramid = system()
    bands = laplacian_pyramid(BATCH["image"], num_levels=3)
    seen = pyramid.batches({**BATCH, "other": 1})
    assert list(seen) == ["level0", "level1", "level2"]
    smaller = BATCH["image"]
    for band, of_level in zip(bands, seen.values(), strict=True):
        np.testing.assert_array_equal(of_level["image"], band)
        np.testing.assert_array_equal(of_level["label"], LABELS)
        if "coarse" in of_level:
            np.testing.assert_allclose(of_level["coarse"] + band, smaller, atol=1e-6)
            smaller = of_level["coarse"][:, ::2, ::2]
    assert "coarse" not in seen["level2"]


def play(one):
    return partial(simultaneous_step, game=one.game, optimizers=SGD)


@pytest.fixture(scope="module")
def started():
    pyramid = system()
    return pyramid, jax.jit(partial(pyramid.init, optimizers=SGD))(KEY, BATCH)


def generators(state):
    return {name: of_level.generator.weights for name, of_level in state.items()}


@pytest.mark.slow
def test_levels_do_not_know_of_each_other(started):
    """Another key for one of them leaves the weights of the others to the bit."""
    pyramid, state = started
    steps = pyramid.steps(play)

    @jax.jit
    def apart(keys):
        return {name: step(keys[name], state[name], BATCH)[0] for name, step in steps.items()}

    keys = dict(zip(steps, jax.random.split(KEY, 3), strict=True))
    before = apart(keys)
    for name in steps:
        after = apart({**keys, name: jax.random.key(9)})
        for other in steps:
            same = jax.tree.map(lambda x, y: bool((x == y).all()), before[other], after[other])
            assert all(jax.tree.leaves(same)) == (other != name)
    together, metrics = jax.jit(pyramid.step(play))(KEY, state, BATCH)
    chex.assert_trees_all_close(together, before, rtol=1e-5, atol=1e-7)
    assert {name.partition("/")[0] for name in metrics} == set(steps)


@pytest.mark.slow
def test_pmap_is_one_device_with_the_whole_batch():
    pyramid = system(Spread(), lambda size: partial(same, size))
    state = jax.jit(partial(pyramid.init, optimizers=SGD))(KEY, BATCH)

    def steps(axis_name):
        step = pyramid.step(
            lambda one: partial(
                simultaneous_step, game=one.game, optimizers=SGD, axis_name=axis_name
            )
        )
        return lambda state: jax.lax.fori_loop(
            0, 3, lambda i, kept: (step(jax.random.key(i), kept[0], kept[1])[0], kept[1]), state
        )[0]

    expected = jax.jit(steps(None))((state, BATCH))
    shares = jax.tree.map(lambda x: x.reshape(4, 1, *x.shape[1:]), BATCH)
    spread = jax.pmap(lambda s, b: steps("device")((s, b)), "device", in_axes=(None, 0))(
        state, shares
    )
    for device in range(4):
        on_device = jax.tree.map(lambda x, d=device: np.asarray(x)[d], spread)
        chex.assert_trees_all_close(on_device, expected, rtol=1e-4, atol=1e-6)


class Spread(nn.Module):
    """A level whose latents are one row an image."""

    @nn.compact
    def __call__(self, latents, *conditions, train=False):
        *coarse, _labels = conditions
        shape = coarse[0].shape if coarse else (len(latents), *SIZES[-1], 1)
        return Level(name="of_row")(latents.reshape(shape), *conditions)


@pytest.mark.slow
def test_what_is_made_grows_from_level_to_level(started):
    """Each stage is the one before it, enlarged, and a band; the last is the sample."""
    pyramid, state = started
    make = jax.jit(pyramid.making, static_argnums=2)
    weights = generators(state)
    made = make(KEY, weights, 4, LABELS)
    assert [x.shape[1:3] for x in made] == SIZES[::-1]
    sample = jax.jit(pyramid.sample, static_argnums=2)
    np.testing.assert_allclose(sample(KEY, weights, 4, LABELS), made[-1], rtol=1e-5)
    silent = jax.tree.map(jnp.zeros_like, weights)
    for place, name in enumerate(("level1", "level0")):
        stages = make(KEY, {**weights, name: silent[name]}, 4, LABELS)
        height, width = made[place + 1].shape[1:3]
        np.testing.assert_array_equal(
            stages[place + 1], nearest_up(stages[place])[:, :height, :width]
        )


class Sharpen(nn.Module):
    """Makes of the coarser image as much again."""

    @nn.compact
    def __call__(self, coarse, labels, train=False):
        return coarse


FINE, BASE = level((9, 6), "coarse", generator=Level()), level((5, 3), generator=Level())


def test_every_level_but_the_coarsest_may_do_without_latents():
    sharpen = dataclasses.replace(FINE, generator=Sharpen(), latents=None)
    base = dataclasses.replace(BASE, generator=Echo())
    pyramid = LAPGAN(size=(9, 6), levels=(sharpen, base))
    assert pyramid.latents(KEY, 4).shape == (4, 15)
    weights = dict.fromkeys(pyramid.named, Weights(params={}))
    half, whole = pyramid.making(KEY, weights, 4, LABELS)
    np.testing.assert_allclose(whole, 2 * nearest_up(half)[:, :9], rtol=1e-6)
    nothing = dataclasses.replace(BASE, latents=None)
    with pytest.raises(ValueError, match="The last level has no latents: give it some"):
        LAPGAN(size=(9, 6), levels=(FINE, nothing))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: LAPGAN(size=(9, 6), levels=()),
            "The number of levels is 0; it must be an integer, at least 1.",
        ),
        (lambda: LAPGAN(size=(9, 0), levels=(BASE,)), "size[1] is 0; it must be an integer, at"),
        (
            lambda: LAPGAN(size=(9, 6), levels=(Level(), BASE)),
            "level0 is a Level; it must be a GAN, as systems.GAN(...) is.",
        ),
        (
            lambda: LAPGAN(size=(9, 6), levels=(BASE, BASE)),
            "level0 has the field 'image' and the conditions ('label',), and should have 'image' "
            "and ('coarse', 'label'): all have the field and the conditions of the last, and all "
            "but the last 'coarse' in front of them.",
        ),
        (
            lambda: LAPGAN(size=(9, 6), levels=(FINE, FINE)),
            "level0 has the field 'image' and the conditions ('coarse', 'label'), and should have "
            "'image' and ('coarse', 'coarse', 'label')",
        ),
        (
            lambda: LAPGAN(size=(9, 5), levels=(FINE, BASE)).batches(BATCH),
            "The batch's `image` holds examples of shape (9, 6, 1), the levels make images of 9 x "
            "5: give the system the data's size, and images their channels.",
        ),
        (
            lambda: LAPGAN(size=(9, 6), levels=(*[FINE] * 4, BASE)).batches(BATCH),
            "The images are 9 x 6; a pyramid of 5 levels halves them 4 times, so height and width "
            "must be at least 9: take fewer levels, or larger images.",
        ),
        (
            lambda: LAPGAN(size=(9, 6), levels=(FINE, BASE)).sample(KEY, {"level0": 1}, 4, LABELS),
            "The weights are those of level0; give the generator's weights of each level: level0, "
            "level1.",
        ),
        (
            lambda: LAPGAN(size=(9, 6), levels=(FINE, BASE)).sample(KEY, {}, 4),
            "The conditions given hold [] values; 4 examples need 4 of each of label.",
        ),
        (
            lambda: LAPGAN(size=(9, 6), levels=(FINE, BASE)).generate(
                {"level0": 1, "level1": 1}, jnp.zeros((4, 7)), LABELS
            ),
            "The latents have the shape (4, 7); those of all levels are rows of 69 numbers: draw "
            "them by `latents`.",
        ),
    ],
)
def test_what_makes_no_pyramid_is_refused(call, sentence, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        call()
