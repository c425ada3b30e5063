"""LAPGAN's sizes, its recipe, and runs of it that are told classes."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from experiments import evaluate, lapgan, sample
from experiments.harness.runs import RunAgain, opened
from gan_jax import data, games, training
from tests.data.conftest import prepare_tfds
from tests.experiments.test_dcgan_features import coloured

pytestmark = pytest.mark.usefixtures("compiled_quickly")

BATCH = {"image": jax.ShapeDtypeStruct((2, 33, 28, 3), jnp.float32)}


@pytest.mark.parametrize("name", lapgan.CONFIGS)
def test_every_size_has_its_levels(name):
    """Odd sides are halved to the larger half; noise is one number a pixel."""
    config = dataclasses.replace(lapgan.CONFIGS[name], conditional=True, num_classes=3)
    system = lapgan.build(config, BATCH)
    assert system.sizes == [(33, 28), (17, 14), (9, 7)]
    assert [level.conditions for level in system.levels] == [("coarse", "label")] * 2 + [("label",)]
    shapes = [level.latents(jax.random.key(0), 2).shape for level in system.levels]
    assert shapes == [(2, 33, 28, 1), (2, 17, 14, 1), (2, 100)]


def test_the_authors_momentum_grows_and_stays():
    """By Sutskever's form, v = μ v - η g, at step 171,000 of 342,000 and far behind the end."""
    optimizer = lapgan.CONFIGS["paper"].optimizers().generator
    params = jnp.zeros(1)
    for step, momentum in ((171_000, 0.35), (900_000, 0.7)):
        state = optimizer.init(params)
        state = jax.tree.map(lambda x, s=step: x + s if x.dtype == jnp.int32 else x, state)
        first, state = optimizer.update(jnp.ones(1), state, params)
        second, _ = optimizer.update(jnp.ones(1), state, params)
        np.testing.assert_allclose(
            [first[0], second[0]], [-0.02, -0.02 * (1 + momentum)], rtol=1e-4
        )


@pytest.mark.parametrize(
    ("changes", "shape", "sentence"),
    [
        ({"num_levels": 2}, (8, 8, 1), r"The images of a level are 8x8, of which two kernels"),
        ({"num_levels": 5}, (8, 8, 1), r"The images are 8 x 8; a pyramid of 5 levels halves them"),
        ({"conditional": True}, (28, 28, 1), "The images have no labels: choose a --dataset"),
    ],
)
def test_what_has_no_such_levels_is_refused_before_the_run(
    changes, shape, sentence, monkeypatch, tmp_path
):
    made = data.ArrayDataset({"image": np.zeros((100, *shape), np.uint8)})
    monkeypatch.setattr(data, "load", lambda name, **told: made)
    config = dataclasses.replace(lapgan.CONFIGS["digits"], width=2, **changes)
    with pytest.raises(ValueError, match=sentence) as refusal:
        lapgan.run(config, tmp_path / "run")
    assert type(refusal.value).__name__ == "Refusal"
    assert not (tmp_path / "run").exists()


def test_the_picture_has_a_row_for_each_level_from_the_coarsest_on():
    """Levels of 2, 4 and 7 pixels make what is as bright as they are fine."""
    bright = {2: -1.0, 4: 0.0, 7: 1.0}

    class Making:
        size, conditions = (7, 7), ()

        def making(self, key, weights, num):
            return tuple(jnp.full((num, n, n, 1), value) for n, value in bright.items())

    config = dataclasses.replace(lapgan.CONFIGS["digits"], evaluate=())
    files, _ = lapgan.evaluator(config, Making(), data.ArrayDataset({"image": np.zeros(1)}))(
        jax.random.key(0), {}
    )
    rows = np.split(np.asarray(files["levels"].pixels)[..., 0], 3)
    assert [row[8, 8] for row in rows] == [0, 127, 255]
    assert rows[0].shape == (2 * 9, 2 * 9 * lapgan.COLUMNS)


@pytest.mark.slow
def test_a_run_on_cifar10_that_is_told_classes_is_sampled_by_them(small, tmp_path, monkeypatch):
    sets = {"train": coloured(60, 10, (32, 32, 3)), "test": coloured(20, 10, (32, 32, 3))}
    named = {
        split: {"id": np.arange(len(found["label"])).astype(bytes), **found}
        for split, found in sets.items()
    }
    prepare_tfds("cifar10", tmp_path / "tfds", named)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    config = dataclasses.replace(
        small(lapgan, "paper"), discriminator_widths=(4,), conditional=True, evaluate=()
    )
    run = str(tmp_path / "run")
    result = lapgan.run(config, tmp_path / "run")
    assert "images of 8x8, then 16x16, then 32x32" in str(result)
    assert training.restore(run).config["num_classes"] == 10
    out = tmp_path / "made"
    sample.run(sample.Options(run=run, num=2, out=str(out), label="8", live=True))
    images = [np.asarray(PIL.Image.open(path)) for path in (out / "8").iterdir()]
    assert [image.shape for image in images] == [(32, 32, 3)] * 2
    measured = evaluate.run(
        evaluate.Options(run=run, num_samples=12, num_draws=1, measures=("fid",), features="pixels")
    )
    assert "accuracy" in measured


@pytest.mark.slow
def test_a_run_is_opened_by_the_average_of_every_level_or_by_its_last_weights(small, tmp_path):
    run = str(tmp_path / "run")
    result = lapgan.run(dataclasses.replace(small(lapgan, "digits"), steps=4), tmp_path / "run")
    for live in (False, True):
        found = opened(RunAgain(run=run, live=live))
        assert set(found.weights) == {"level0", "level1", "level2"}
        for name, of_level in result.state.items():
            player = of_level.generator if live else games.averaged(of_level).generator
            expected = player.weights if live else player
            chex.assert_trees_all_equal(found.weights[name].params, expected.params)
