"""What experiments look at, and by which keys, without a run."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import gmmn, mode_collapse, ring, wgan
from experiments.harness import options, population
from gan_jax import data, games
from gan_jax.training import Evaluation, batch_shapes


def test_modes_are_counted_of_the_averaged_generator():
    mixture = data.ring()

    def points(mean):
        return games.Weights(params=jnp.asarray(mean, jnp.float32))

    system = SimpleNamespace(
        sample=lambda key, weights, num: jnp.broadcast_to(weights.params, (num, 2)),
        discriminate=lambda weights, x: x[:, 0],
    )
    optimizers = ring.Config().optimizers()
    state = games.init(
        generator=points(mixture.means[3]), discriminator=points([0, 0]), optimizers=optimizers
    )
    state = games.exponential_average_memory(state)
    far = state.generator.replace(weights=points([9.0, 9.0]))
    dataset = data.ArrayDataset({"point": np.asarray(mixture.means)})
    evaluate = ring.of_points(system, mixture, dataset)
    metrics = evaluate(jax.random.key(0), state.replace(generator=far)).metrics
    assert (metrics["modes"], metrics["high_quality"]) == (1, 1)


def test_the_discrepancy_is_to_images_of_the_test_set(monkeypatch):
    splits = []

    def load(name, split="train", **told):
        splits.append(split)
        return data.ArrayDataset({"image": np.zeros((3, 2, 2, 1), np.uint8)})

    monkeypatch.setattr(data, "load", load)
    gmmn.evaluator(
        gmmn.Config(), SimpleNamespace(sample=lambda key, weights, num: None), load("digits")
    )
    assert splits == ["train", "test"]


def test_the_critic_alone_is_clipped():
    optimizers = wgan.Config(constraint="clip", clip_limit=0.1).optimizers()
    params = jnp.array([5.0, -5.0])

    def moved(optimizer):
        update, _ = optimizer.update(jnp.ones(2), optimizer.init(params), params)
        return np.abs(params + update)

    np.testing.assert_allclose(moved(optimizers.discriminator), 0.1, rtol=1e-5)
    assert (moved(optimizers.generator) > 4).all()


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_under_the_penalty_both_players_move_by_adam_of_a_half_and_nine_tenths(player):
    """Gulrajani et al. 2017, algorithm 1 (β2 = 0.9); β1 is 0.5 here."""
    optimizer = getattr(wgan.Config(learning_rate=0.1).optimizers(), player)
    params, state = jnp.zeros(1), optimizer.init(jnp.zeros(1))
    for gradient in (1.0, 3.0):
        update, state = optimizer.update(jnp.array([gradient]), state, params)
    mean = (0.5 * 0.5 * 1 + 0.5 * 3) / (1 - 0.5**2)
    square = (0.9 * 0.1 * 1 + 0.1 * 9) / (1 - 0.9**2)
    np.testing.assert_allclose(update, -0.1 * mean / np.sqrt(square), rtol=1e-5)


@pytest.fixture
def not_trained(monkeypatch):
    """What `train` is given, in place of a run."""
    given = {}

    def train(step, state, feed, **rest):
        given.update(rest, feed=feed)
        return state, Evaluation()

    monkeypatch.setattr(options, "train", train)
    return given


@pytest.mark.parametrize("packing", [1, 3])
def test_every_logit_of_a_packed_gan_has_points_of_its_own(
    not_trained, monkeypatch, tmp_path, packing
):
    monkeypatch.setattr(population.PopulationOptions, "members", lambda self, init: None)
    monkeypatch.setattr(mode_collapse, "table", lambda config, metrics: "")
    config = mode_collapse.Config(packing=packing, batch_size=8, num_seeds=2)
    mode_collapse.run(config, tmp_path)
    assert batch_shapes(not_trained["feed"])["point"].shape == (2, packing * 8, 2)


def test_every_evaluation_has_one_key_and_that_of_no_step(not_trained, tmp_path):
    keys = []

    def evaluate(key, state):
        keys.append(key)
        return Evaluation()

    ring.Config(seed=3).train(None, None, None, evaluate, workdir=tmp_path, fresh=False)
    (hook,) = not_trained["hooks"]
    for step in (1, 2):
        hook.call(step, None)
    assert (keys[-1] == keys[-2]).all()
    assert (keys[-1] != not_trained["key"]).any()
