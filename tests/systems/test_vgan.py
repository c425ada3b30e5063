"""VGAN: what the mask and the first frame cost, whom they move, and what has neither."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.games import Optimizers
from gan_jax.systems import GAN, conditional_vgan, networks, vgan

KEY = jax.random.key(0)
SGD = Optimizers(optax.sgd(0.1), optax.sgd(0.1))
BATCH = {
    "video": jax.random.uniform(jax.random.key(1), (4, 2, 2, 2, 3), minval=-1.0),
    "condition": jax.random.uniform(jax.random.key(2), (4, 2, 2, 3), minval=-1.0),
}


class Streams(nn.Module):
    """Clips and masks, each of a dense layer on all that it is given."""

    is_masked: bool = True

    @nn.compact
    def __call__(self, x, *, train=False):
        numbers = x.reshape(len(x), -1)
        clips = nn.tanh(nn.Dense(24, name="clips")(numbers)).reshape(-1, 2, 2, 2, 3)
        masks = nn.sigmoid(nn.Dense(8, name="masks")(numbers)).reshape(-1, 2, 2, 2, 1)
        return (clips, masks) if self.is_masked else clips


class Flat(nn.Module):
    """A critic on all numbers of a clip, and of its condition."""

    @nn.compact
    def __call__(self, x, *conditions, train=False):
        vectors = [numbers.reshape(len(x), -1) for numbers in (x, *conditions)]
        return nn.Dense(1)(jnp.concatenate(vectors, axis=-1))[:, 0]


def build(make=vgan, **changes):
    arguments = {
        "generator": Streams(),
        "discriminator": Flat(),
        "loss": losses.non_saturating(),
    }
    if make is not conditional_vgan:
        arguments["latents"] = networks.normal(5)
    return make(**arguments | changes)


def play(system, generator, discriminator):
    return system.game(generator=generator, discriminator=discriminator, batch=BATCH, key=KEY)


def weights_of(system):
    state = system.init(KEY, BATCH, optimizers=SGD)
    return state.generator.weights, state.discriminator.weights


def plain(**changes):
    return build(GAN, field="video", generator=Streams(is_masked=False), **changes)


def test_the_mask_costs_its_mean_and_is_all_that_is_added():
    seen = []
    kept = {"kept": lambda r: seen.append(r.generated) or jnp.zeros(4)}

    def played():
        weights = weights_of(plain())
        systems = [build(mask_weight=3.0, generator_terms=kept), build(), plain()]
        outcomes = [play(system, *weights) for system in systems]
        return outcomes, seen[-1]

    (heavy, default, alone), (clips, masks) = jax.jit(played)()
    assert clips.shape == BATCH["video"].shape
    mean = np.mean(masks)
    np.testing.assert_allclose(heavy.generator.metrics["mask"], 3 * mean, rtol=1e-5)
    np.testing.assert_allclose(default.generator.metrics["mask"], 0.1 * mean, rtol=1e-5)
    for outcome in (heavy, default):
        rest = outcome.generator.loss - outcome.generator.metrics["mask"]
        np.testing.assert_allclose(rest, alone.generator.loss, rtol=1e-5)
        chex.assert_trees_all_close(outcome.discriminator, alone.discriminator, rtol=1e-6)


def test_the_first_frame_costs_ten_times_its_mean_distance_from_the_image():
    def played():
        systems = build(conditional_vgan), build(conditional_vgan, first_frame_weight=3.0)
        generator, discriminator = weights_of(systems[0])
        made = systems[0].generate(generator, None, BATCH["condition"])
        masks = networks.infer(Streams(), generator, BATCH["condition"])[1]
        judged = systems[0].discriminate(discriminator, made, BATCH["condition"])
        outcomes = [play(system, generator, discriminator) for system in systems]
        return outcomes, made, masks, judged

    outcomes, made, masks, judged = jax.jit(played)()
    l1 = np.abs(np.asarray(made)[:, 0] - BATCH["condition"]).mean()
    for outcome, weight in zip(outcomes, (10, 3), strict=True):
        metrics = outcome.generator.metrics
        np.testing.assert_allclose(metrics["first_frame"], weight * l1, rtol=1e-5)
        np.testing.assert_allclose(metrics["mask"], 0.1 * np.mean(masks), rtol=1e-5)
        terms = np.logaddexp(0, -np.asarray(judged)).mean() + sum(metrics.values())
        np.testing.assert_allclose(outcome.generator.loss, terms, rtol=1e-5)


def test_the_terms_move_the_generator_alone_and_the_mask_nothing_but_the_mask():
    system = build(conditional_vgan)

    def moved():
        weights = weights_of(system)
        gradients = {}
        for name in ("mask", "first_frame"):
            of = lambda *weights, name=name: play(system, *weights).generator.metrics[name]  # noqa: E731
            found = jax.grad(of, argnums=(0, 1))(*weights)
            gradients[name] = [jax.tree.map(lambda g: jnp.abs(g).max(), w.params) for w in found]
        return gradients

    gradients = jax.jit(moved)()
    for name, (generator, discriminator) in gradients.items():
        assert max(jax.tree.leaves(discriminator)) == 0
        still, moving = ("clips", "masks") if name == "mask" else ("masks", "clips")
        assert max(jax.tree.leaves(generator[still])) == 0
        assert min(jax.tree.leaves(generator[moving])) > 0


@pytest.mark.parametrize("make", [vgan, conditional_vgan])
def test_a_generator_without_masks_is_refused(make):
    system = build(make, generator=Streams(is_masked=False))
    weights = jax.eval_shape(lambda: weights_of(system))
    with pytest.raises(ValueError, match="The generator gives no masks; it must return") as said:
        jax.eval_shape(partial(play, system), *weights)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("make", "changes", "said"),
    [
        (vgan, {"mask_weight": -1.0}, "mask_weight is -1.0; it must be finite, and not below 0"),
        (vgan, {"generator_terms": {"mask": losses.r1}}, "A term of the generator is called mask"),
        (conditional_vgan, {"mask_weight": -1.0}, "mask_weight is -1.0"),
        (conditional_vgan, {"first_frame_weight": -1.0}, "first_frame_weight is -1.0; it must"),
        (
            conditional_vgan,
            {"generator_terms": {"first_frame": losses.r1}},
            "A term of the generator is called first_frame",
        ),
    ],
)
def test_what_makes_no_game_is_refused(make, changes, said):
    with pytest.raises(ValueError, match=said):
        build(make, **changes)


def test_other_fields_and_conditions_can_be_named():
    system = build(conditional_vgan, field="clip", condition="image")
    batch = {"clip": BATCH["video"], "image": BATCH["condition"]}

    def sample():
        state = system.init(KEY, batch, optimizers=SGD)
        return system.sample(KEY, state.generator.weights, 4, batch["image"])

    assert jax.eval_shape(sample).shape == (4, 2, 2, 2, 3)
