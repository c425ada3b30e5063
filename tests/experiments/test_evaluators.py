"""What experiments look at, and by which keys, without a run."""

import dataclasses
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from experiments import conditional_gan, dcgan, gmmn, mode_collapse, ring, vae, wgan
from experiments.harness import features, options, parzen, population
from gan_jax import data, games
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.training.record import MARK, write_record
from gan_jax.training.rundir import BEING_DELETED


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


@pytest.mark.parametrize(("name", "decay"), [("mirza", 1.00004), ("goodfellow", 1.000004)])
def test_the_first_gans_move_by_a_falling_rate_and_a_growing_momentum(name, decay):
    config = conditional_gan.Config(networks=name, optimizer="sgd", learning_rate=0.1)
    optimizer = config.optimizers().discriminator
    update = jax.jit(optimizer.update)
    params, state = jnp.zeros(1), optimizer.init(jnp.zeros(1))
    state = jax.tree.map(lambda x: x + 2_000 if x.dtype == jnp.int32 else x, state)
    momentum = 0.0
    for step in range(2_000, 2_003):
        change, state = update(jnp.ones(1), state, params)
        momentum = (0.5 + 0.2 * step / 125_000) * momentum + 1
        np.testing.assert_allclose(change, -0.1 / decay**step * momentum, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("digits", -1, 1), ("mirza", 0, 1), ("goodfellow", -(3**0.5), 3**0.5)],
)
def test_latents_are_those_of_the_papers(name, low, high):
    config = dataclasses.replace(conditional_gan.CONFIGS[name], num_classes=3, evaluate=())
    batch = {"image": jax.ShapeDtypeStruct((2, 8, 8, 1), jnp.float32)}
    latents = conditional_gan.build(config, batch, jnp.zeros((8, 8, 1))).latents(
        jax.random.key(0), 100
    )
    assert latents.shape == (100, 100)
    np.testing.assert_allclose([latents.min(), latents.max()], [low, high], atol=0.01)


def test_settings_are_the_papers():
    assert dcgan.Config().learning_rate == 2e-4
    paper = vae.CONFIGS["paper"]
    system = vae.build(paper, {"image": jax.ShapeDtypeStruct((2, 28, 28, 1), jnp.float32)})
    assert (paper.batch_size, system.num_samples, paper.optimizer) == (100, 1, "adagrad")


def test_the_first_gan_starts_at_the_mean_image():
    config = conditional_gan.CONFIGS["goodfellow"]
    mean = jax.random.uniform(jax.random.key(0), (8, 8, 1), minval=0.1, maxval=0.9)
    system = conditional_gan.build(config, {"image": mean[None]}, mean)
    params = jax.jit(system.generator.init)(jax.random.key(1), jnp.zeros((1, 100)))["params"]
    biases = [layer["bias"] for layer in params.values() if layer["bias"].size == 64]
    np.testing.assert_allclose(jax.nn.sigmoid(biases[0]), mean.ravel(), rtol=1e-4)


def test_a_dataset_without_labels_is_refused(monkeypatch, tmp_path):
    unlabelled = data.ArrayDataset({"image": np.zeros((100, 8, 8, 1), np.uint8)})
    monkeypatch.setattr(data, "load", lambda *_, **__: unlabelled)
    with pytest.raises(ValueError, match="The images have no labels: choose a --dataset that has"):
        conditional_gan.run(conditional_gan.Config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["digits", "mirza"])
def test_a_sample_counts_where_it_is_taken_for_its_class(name, monkeypatch):
    """Samples are as bright as their class, but for those of one, which look like the first."""
    config = dataclasses.replace(conditional_gan.CONFIGS[name], num_classes=3, evaluate=())
    brightness = np.array([0.0, 0.5, 0.0])

    def sample(key, weights, num, labels):
        lit = jnp.asarray(brightness)[labels][:, None, None, None]
        lit = jnp.broadcast_to(lit, (num, 4, 4, 1))
        return lit if name == "mirza" else 2 * lit - 1

    def classes(images):
        brightness = images.mean(axis=(1, 2, 3))[:, None]
        return np.argmin(np.abs(brightness - np.array([-1, 0, 1])), axis=-1)

    monkeypatch.setattr(
        features,
        "train_classifier",
        lambda _: SimpleNamespace(classes=classes, accuracy=1.0, name="judge"),
    )
    monkeypatch.setattr(data, "load", lambda *_, **__: data.ArrayDataset({"image": np.zeros(1)}))
    monkeypatch.setattr(conditional_gan, "averaged", lambda state: state)
    dataset = SimpleNamespace(label_names=("a", "b", "c"))
    system = SimpleNamespace(sample=sample, conditions=("label",))
    evaluate = conditional_gan.evaluator(config, system, dataset)
    files, metrics = evaluate(jax.random.key(0), SimpleNamespace(generator=None))
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["accuracy/worst"] == 0
    rows = np.split(files["samples"].pixels[:, -120:], 3)  # to the right of the names
    assert [int(row[6, 6, 0]) for row in rows] == [0, 127, 0]


def test_parzen_s_protocol_chooses_the_bandwidth_on_one_set_and_scores_another():
    rng = np.random.default_rng(0)

    def images(num):
        return np.clip(rng.normal(128, 255 * 0.215, (num, 2, 2, 1)), 0, 255).astype(np.uint8)

    samples = jnp.full((50, 2, 2, 1), 128 / 255)
    test = data.ArrayDataset({"image": images(400)})
    score = parzen.parzen_score(samples, images(400), test)
    x = test.arrays["image"].reshape(400, 4) / 255 - 128 / 255
    bandwidth = parzen.CANDIDATES[3]  # of 0.1, 0.129, ... the next to 0.215
    expected = stats.norm(0, bandwidth).logpdf(x).sum(axis=1)
    np.testing.assert_allclose(score.mean, expected.mean(), rtol=1e-3)
    np.testing.assert_allclose(score.error, expected.std(ddof=1) / 20, rtol=1e-3)


def test_the_last_sixth_of_the_images_validates():
    dataset = data.ArrayDataset(
        {"image": np.arange(13), "label": np.arange(13) % 2}, label_names=("a", "b")
    )
    taught, validation = parzen.without_validation(dataset)
    assert taught.arrays["image"].tolist() == list(range(11))
    assert validation.tolist() == [11, 12]
    assert taught.label_names == ("a", "b")
    with pytest.raises(ValueError, match="is streamed, but these networks learn from"):
        parzen.without_validation(SimpleNamespace())


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


def test_the_optimisers_of_a_population_are_as_told(not_trained, monkeypatch, tmp_path):
    chosen = []

    def choose(self, name, game, rule, discriminator_learning_rate, beta1):
        chosen.append((discriminator_learning_rate, beta1))
        return SimpleNamespace(step=lambda key, state, batch: (state, {}))

    monkeypatch.setattr(population.PopulationOptions, "members", lambda self, init: None)
    monkeypatch.setattr(mode_collapse.Config, "choose", choose)
    monkeypatch.setattr(mode_collapse, "table", lambda config, metrics: "")
    for name in ("gan", "slow", "published"):
        mode_collapse.run(mode_collapse.CONFIGS[name], tmp_path / name)
    assert chosen == [(None, 0.5), (1e-4, 0.5), (None, 0.8)]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"network": "pacgan", "num_minibatch_kernels": 4}, "--num-minibatch-kernels is 4, but"),
        ({"network": "pacgan", "width": 1}, "--width is 1, but PacGAN's"),
        ({"dropout": True}, "--dropout is for PacGAN's discriminator"),
    ],
)
def test_what_pacgans_networks_do_not_have_is_refused(told, message):
    with pytest.raises(ValueError, match=message):
        mode_collapse.Config(**told)


@pytest.mark.parametrize("packing", [1, 4])
def test_pacgans_published_settings(packing):
    """Four layers of 400, normalised, and three of 200 units of five pieces; 400 epochs of 1,000
    batches of 100."""
    config = mode_collapse.TABLES["published_grid"][f"grid_pac{packing}"]
    assert config.steps * config.batch_size == 400 * 100_000
    assert (config.learning_rate, config.method, config.mixture) == (1e-4, "simultaneous", "grid")
    system = mode_collapse.build(config)
    optimizers = config.choose(config.method, system.game, "adam").optimizers
    state = jax.eval_shape(
        partial(system.init, optimizers=optimizers), jax.random.key(0), {"point": jnp.zeros((1, 2))}
    )
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(player.weights.params))
        for player in (state.generator, state.discriminator)
    ]
    normalised = 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400
    units = (2 * packing + 1) * 200 * 5 + 2 * 201 * 200 * 5
    assert sizes == [normalised + 401 * 2, units + 201]
    starts = system.generator.kernel_init, system.discriminator.kernel_init
    for start in starts:
        np.testing.assert_allclose(start(jax.random.key(0), (400, 400)).std(), 0.02, rtol=0.01)


@pytest.mark.parametrize(("dropout", "shares"), [(False, (0, 0)), (True, (0.2, 0.5))])
def test_pacgans_discriminator_drops_units_where_it_is_told(dropout, shares):
    config = dataclasses.replace(mode_collapse.PUBLISHED, dropout=dropout)
    discriminator = mode_collapse.build(config).discriminator
    assert (discriminator.input_dropout, discriminator.dropout) == shares


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


def test_a_run_continues_another_unless_it_is_resumed(not_trained, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(options, "continue_from", lambda workdir, state: taken.append(workdir))

    def train(workdir=tmp_path / "new", other="other", fresh=False):
        config = ring.Config(continue_from=other)
        config.train(None, None, None, None, workdir=workdir, fresh=fresh)

    train()
    assert taken == ["other"]
    (tmp_path / "new/checkpoints/7").mkdir(parents=True)
    train()
    assert taken == ["other"]
    train(fresh=True)
    write_record(tmp_path / "new", MARK | {BEING_DELETED: True})
    train()
    assert taken == ["other"] * 3
    ring.Config().train(None, None, None, None, workdir=tmp_path, fresh=True)
    with pytest.raises(ValueError, match="the run's own directory, which would be lost"):
        train(other=str(tmp_path / "new/../new"), fresh=True)
    assert taken == ["other"] * 3
