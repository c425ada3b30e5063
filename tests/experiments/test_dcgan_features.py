"""What a critic sees, recomputed; and a linear classifier of it, where the classes are plain."""

import re
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.svm import LinearSVC

from experiments import dcgan, dcgan_features
from gan_jax import data, nets
from gan_jax.games import Weights
from gan_jax.systems import networks
from tests.data.conftest import prepare_tfds

pytestmark = pytest.mark.usefixtures("compiled_quickly")

KEY = jax.random.key(0)
SPANS = {
    1: [(0, 1)] * 4,
    3: [(0, 1), (0, 2), (1, 3), (2, 3)],
    4: [(0, 1), (1, 2), (2, 3), (3, 4)],
    7: [(0, 2), (1, 4), (3, 6), (5, 7)],
    14: [(0, 4), (3, 7), (7, 11), (10, 14)],
    16: [(0, 4), (4, 8), (8, 12), (12, 16)],
}
CRITIC = nets.DCGANDiscriminator(width=2)


def coloured(num, classes=2, shape=(8, 8, 1)):
    """Images of noise that is brighter from class to class, and their labels."""
    labels = np.arange(num, dtype=np.int32) % classes
    noise = np.random.default_rng(0).integers(0, 40, (num, *shape))
    images = noise + (200 // classes * labels)[:, None, None, None]
    return {"image": images.astype(np.uint8), "label": labels}


@partial(jax.jit, static_argnums=(0, 1))
def weights_of(critic, shape):
    return networks.start(critic, KEY, jnp.zeros((1, *shape)))[1]


def opened(experiment="dcgan", has_labels=False, **datasets):
    """A run of a tiny DCGAN on these images, by their split."""
    config = dcgan.Config(width=2, latent_dim=3, seed=5, parallel="pmap")
    batch = {"image": jax.ShapeDtypeStruct((4, 8, 8, 1), jnp.float32)}
    system = dcgan.build(config, batch)

    def images(split="train", *, crop=None):
        assert crop == ("center" if split == "train" else None)
        return data.ArrayDataset(datasets[split])

    said = {"experiment": experiment, "batch": batch, "step": 3}
    said["weights"] = {"discriminator": weights_of(CRITIC, (8, 8, 1))}.__getitem__
    told = {"images": images, "key": config.key, "optimizers": config.optimizers}
    return SimpleNamespace(
        restored=SimpleNamespace(**said),
        system=system,
        config=SimpleNamespace(**told),
        has_labels=has_labels,
    )


@pytest.mark.parametrize(("height", "width"), [(14, 7), (16, 4), (3, 1)])
def test_maps_of_any_size_are_pooled_to_4_by_4(height, width):
    maps = np.random.default_rng(0).normal(0, 1, (2, height, width, 3)).astype("f")
    pooled = dcgan_features.max_pooled(jnp.asarray(maps))
    assert pooled.shape == (2, 4, 4, 3)
    for i, (top, bottom) in enumerate(SPANS[height]):
        for j, (left, right) in enumerate(SPANS[width]):
            cell = maps[:, top:bottom, left:right].max(axis=(1, 2))
            np.testing.assert_array_equal(pooled[:, i, j], cell)


def test_features_are_what_every_layer_gives_pooled():
    """The first layer of pictures of 16x32 by its equation, in NumPy."""
    images = coloured(3, shape=(16, 32, 1))["image"]
    weights = weights_of(CRITIC, (16, 32, 1))
    first, second = dcgan_features.seen(CRITIC, weights, images)
    assert (first.shape, second.shape) == ((3, 16 * 2), (3, 16 * 4))
    x = np.pad(images / 127.5 - 1, [(0, 0), (1, 2), (1, 2), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2))[:, ::2, ::2]
    layer = weights.params["Conv_0"]
    maps = np.einsum("nhwcij,ijco->nhwo", windows, layer["kernel"]) + np.asarray(layer["bias"])
    maps = np.where(maps > 0, maps, 0.2 * maps)
    assert maps.shape == (3, 8, 16, 2)
    cells = maps.reshape(3, 4, 2, 4, 4, 2).max(axis=(2, 4))
    np.testing.assert_allclose(first, cells.reshape(3, -1), rtol=1e-4, atol=1e-6)


def test_a_settled_critic_has_the_statistics_of_the_images():
    """Of one image: what it gives is then what batch normalisation makes of that in training."""
    image = coloured(1, shape=(16, 16, 1))["image"]
    weights = weights_of(CRITIC, (16, 16, 1))
    settled = dcgan_features.settled(CRITIC, weights, KEY, image)
    x = data.signed(image)
    judge = jax.jit(partial(networks.infer, CRITIC))
    in_training, _ = jax.jit(partial(networks.train, CRITIC))(weights, KEY, x)
    np.testing.assert_allclose(judge(settled, x), in_training, rtol=0.01)
    assert abs(judge(weights, x) / in_training - 1) > 0.1
    jax.tree.map(np.testing.assert_array_equal, settled.params, weights.params)


def test_layers_count_alike_by_what_they_are_on_labelled_images():
    rng = np.random.default_rng(0)
    taught = [rng.normal(0, scale, (50, num)) for scale, num in ((1, 3), (100, 5))]
    first, second = dcgan_features.joined(taught, [2 * layer[:7] for layer in taught])
    for part in (first[:, :3], first[:, 3:]):
        np.testing.assert_allclose(np.mean(np.sum(part**2, axis=1)), 1)
    np.testing.assert_allclose(second, 2 * first[:7])


@pytest.mark.parametrize(("sign", "num_noises", "best"), [(0.1, 0, 10), (1, 40, 1)])
def test_the_strength_is_the_least_that_names_held_out_images_best(sign, num_noises, best):
    """A faint sign must be counted often, or the commoner class wins."""
    rng = np.random.default_rng(0)
    labels = (np.arange(300) % 4 == 0).astype(np.int32)
    signs, noises = 1 + sign * labels[:, None], rng.normal(0, 0.5, (300, num_noises))
    rows, _ = dcgan_features.joined([np.concatenate([signs, noises], axis=1)], [signs])
    names, strength = dcgan_features.classified(rows[:200], labels[:200], rows[200:], seed=0)
    assert strength == best
    alone = LinearSVC(C=best, dual=False).fit(rows[:200], labels[:200])
    np.testing.assert_array_equal(names, alone.predict(rows[200:]))
    np.testing.assert_array_equal(names, labels[200:])


def test_the_untrained_critic_is_the_run_s_own_before_its_training():
    run = opened()
    critic, found = dcgan_features.critics(run)
    assert list(found) == ["trained critic", "untrained critic"]
    assert (critic.width, critic.axis_name) == (2, None)
    start = partial(run.system.init, optimizers=run.config.optimizers())
    fresh = jax.jit(start)(run.config.key("init"), run.restored.batch).discriminator.weights
    expected = (run.restored.weights("discriminator"), fresh)
    for weights, known in zip(found.values(), expected, strict=True):
        assert isinstance(weights, Weights)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), weights, known)


def test_the_table_has_both_critics_and_pixels(monkeypatch):
    unequal = np.r_[0:50:2, 1:20:2]  # 25 of a class, 10 of the other
    some = {field: array[unequal] for field, array in coloured(50).items()}
    run = opened(train=some, test=some)
    monkeypatch.setattr(dcgan_features, "opened", lambda _: run)
    head, *rows = dcgan_features.run(dcgan_features.Options(run="none", num=30)).splitlines()
    assert head == "dcgan at step 3; 30 labelled images, 35 unseen"
    table = {name: found for name, *found in (re.split(r" {2,}", row.strip()) for row in rows[1:])}
    assert list(table) == ["trained critic", "untrained critic", "pixels", "commonest class"]
    assert [found[1:2] for found in table.values()] == [["32"], ["32"], ["64"], []]
    assert table["pixels"][0] == "100.0 ± 0.0"
    error = (25 / 35 * 10 / 35 / 34) ** 0.5
    assert table["commonest class"][0] == f"{100 * 25 / 35:.1f} ± {100 * error:.1f}"


def test_a_run_of_no_dcgan_and_one_with_labels_are_refused(monkeypatch):
    run = opened("vae")
    run.system = SimpleNamespace()
    with pytest.raises(ValueError, match="is one of vae, which has no critic of a DCGAN: name one"):
        dcgan_features.critics(run)
    run.system = SimpleNamespace(discriminator=nets.MLPDiscriminator((2,)))
    with pytest.raises(ValueError, match="has no critic of a DCGAN"):
        dcgan_features.critics(run)
    with pytest.raises(ValueError, match="was trained on labels, so its critic has not learned"):
        dcgan_features.critics(opened(has_labels=True))


def test_images_without_labels_and_few_of_a_class_are_refused():
    plain = coloured(40)
    unlabelled = {"image": plain["image"]}
    for datasets in ({"train": unlabelled, "test": plain}, {"train": plain, "test": unlabelled}):
        with pytest.raises(ValueError, match="choose a dataset that has both"):
            dcgan_features.examples(opened(**datasets), 40)
    rare = {**plain, "label": (np.arange(40) < 4).astype(np.int32)}
    with pytest.raises(ValueError, match="there are 4 among 40 labelled images; there must be 5"):
        dcgan_features.examples(opened(train=rare, test=plain), 40)


@pytest.mark.slow
def test_a_run_on_cifar10_is_opened_again(tmp_path, monkeypatch):
    sets = {"train": coloured(60, 10, (32, 32, 3)), "test": coloured(20, 10, (32, 32, 3))}
    named = {
        split: {"id": np.arange(len(found["label"])).astype(bytes), **found}
        for split, found in sets.items()
    }
    prepare_tfds("cifar10", tmp_path / "tfds", named)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(dcgan, "NUM_COMPARED", 20)
    length = {"steps": 2, "steps_per_dispatch": 1, "evaluate_every": 2, "checkpoint_every": 2}
    config = dcgan.Config(dataset="cifar10", width=2, batch_size=8, parallel="none", **length)
    dcgan.run(config, tmp_path / "run")
    chosen = dcgan_features.Options(run=str(tmp_path / "run"))
    head, _, trained, *_, pixels, commonest = dcgan_features.run(chosen).splitlines()
    assert head == "dcgan at step 2; 60 labelled images, 20 unseen"
    assert trained.split()[-2] == str(16 * (2 + 4 + 8))
    assert pixels.split()[-2] == str(32 * 32 * 3)
    assert commonest.split()[2] == "10.0"
