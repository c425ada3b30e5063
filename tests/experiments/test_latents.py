"""Sums and walks of latents, in a space where the truth is known."""

import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import latents
from experiments.harness import features

SIDE = 4


def generate(weights, z):
    """The sign of the first number chooses the half that is lit, the second how brightly."""
    half = (jnp.arange(SIDE) < SIDE // 2)[None, None, :, None]
    left = jnp.broadcast_to(half, (len(z), SIDE, SIDE, 1))
    lit = jnp.where(z[:, 0, None, None, None] < 0, left, ~left)
    return jnp.where(lit, jax.nn.sigmoid(z[:, 1, None, None, None]), 0.0)


def logits(images):
    halves = images.reshape(len(images), SIDE, 2, -1).mean(axis=(1, 3))
    return jnp.asarray(50 * (halves + 1))


def drawn(key, num):
    z = jax.random.normal(key, (num, 2))
    return z.at[:, 0].add(3 * jnp.sign(z[:, 0]))


def from_unit(images):
    return 2 * images - 1


RUN = SimpleNamespace(
    maker=SimpleNamespace(latents=drawn, generate=generate), weights=None, to_signed=from_unit
)


def judge_by(logits, **said):
    return SimpleNamespace(
        logits=logits, classes=lambda images: np.argmax(logits(images), axis=-1), **said
    )


JUDGE = judge_by(logits)


@pytest.fixture(scope="module")
def space():
    return latents.explored(jax.random.key(0), RUN, JUDGE)


def test_images_are_sorted_by_class_and_by_thirds_of_its_ink(space):
    z = np.asarray(space.latents)
    np.testing.assert_array_equal(space.classes, z[:, 0] > 0)
    for name in (0, 1):
        brightness = z[space.classes == name, 1]
        low, high = np.quantile(brightness, (1 / 3, 2 / 3))
        assert set(space.thin) == set(space.thick) == {0, 1}
        assert (z[space.thin[name], 1] < low + 1e-3).all()
        assert (z[space.thick[name], 1] > high - 1e-3).all()
        assert (
            len(space.thin[name])
            == len(space.thick[name])
            == len(brightness) // 3 + (len(brightness) % 3 > 1)
        )


def test_where_latents_are_linear_sums_are_what_they_should_be(space):
    scores, rows = latents.arithmetic(space, np.random.default_rng(0), 200)
    assert scores["sum: class b"] == 1
    # Thick a - thin a + thin b is as thick as a mean of three in the upper third, but for the
    # spread of the two thin ones.
    assert scores["sum: thick b"] > 0.85
    assert scores["thin b alone: class b"] == 1
    assert scores["thin b alone: thick b"] == 0
    assert abs(scores["chance: class b"] - 1 / 2) < 0.15
    assert abs(scores["chance: thick b"] - 1 / 6) < 0.1
    assert rows.shape == (10, 13, SIDE, SIDE, 1)
    classes = JUDGE.classes(rows.reshape(-1, SIDE, SIDE, 1)).reshape(10, 13)
    assert (classes[:, :8] == classes[:, :1]).all()  # a, and its two means
    assert (classes[:, 8:] == 1 - classes[:, :1]).all()  # b, its mean, and the sum
    weights = rows.mean(axis=(2, 3, 4))
    assert (weights[:, :4].min(axis=1) > weights[:, 4:8].max(axis=1)).all()


@pytest.mark.slow
def test_walks_are_measured_from_frame_to_frame():
    """Images as bright as a latent that goes from -1/2 to 1/2 or back, by ten equal steps."""

    def generate(weights, z):
        return jnp.broadcast_to(z[:, :, None, None], (len(z), SIDE, SIDE, 1))

    def logits(images):
        mean = images.mean(axis=(1, 2, 3))
        return jnp.stack([-3 * mean, 3 * mean], axis=1)

    run = SimpleNamespace(
        maker=SimpleNamespace(generate=generate), weights=None, to_signed=lambda x: x
    )
    ends, judge = jnp.array([[-0.5], [0.5]]), judge_by(logits)
    images = np.asarray(generate(None, ends))
    space = latents.Space(run, judge, ends, images, np.array([0, 1]), None, {}, {})
    scores = latents.walked(space, np.random.default_rng(0), 5)
    for name in ("straight", "spherical"):
        np.testing.assert_allclose(scores[f"{name}: change"], 0.1, rtol=1e-5)
        np.testing.assert_allclose(scores[f"{name}: unevenness"], 1, rtol=1e-4)
        at_ends = scores[f"{name}: confidence at the ends"]
        np.testing.assert_allclose(at_ends, 1 / (1 + np.exp(-3)), rtol=1e-5)
        np.testing.assert_allclose(scores[f"{name}: confidence half-way"], 0.5, rtol=1e-5)


@pytest.mark.slow
def test_a_jump_is_uneven(space):
    scores = latents.walked(space, np.random.default_rng(0), 50)
    assert scores["straight: unevenness"] > 5  # all of the change is where the sign does


def test_a_class_without_thin_or_thick_examples_is_left_out():
    alone = SimpleNamespace(maker=SimpleNamespace(latents=drawn), weights=None, to_signed=from_unit)
    alone.maker.generate = lambda weights, z: jnp.round(generate(weights, z))
    with pytest.raises(ValueError, match="makes one class alone"):
        latents.explored(jax.random.key(0), alone, JUDGE)


def test_scores_are_means_over_seeds_beside_the_judge_and_a_picture(space, tmp_path, monkeypatch):
    seeds = []
    run = RUN.maker
    told = {"maker": run, "weights": None, "has_labels": False}
    config = SimpleNamespace(images=lambda *, crop: crop)
    monkeypatch.setattr(latents, "opened", lambda _: SimpleNamespace(**told, config=config))
    judge = judge_by(logits, name="lenet", accuracy=0.98)
    monkeypatch.setattr(features, "train_classifier", lambda seen: judge if seen == "center" else 0)
    monkeypatch.setattr(latents, "explored", lambda key, run, judge: seeds.append(key) or space)
    scores = iter([0.1, 0.2, 0.6])
    monkeypatch.setattr(latents, "walked", lambda *_: {"score": next(scores)})
    said = latents.run(latents.Options(run="none", out=str(tmp_path / "new"), num_draws=10))
    assert "score                     0.300 ± 0.265" in re.sub(r"(?<=score) +", " " * 21, said)
    assert "lenet, accuracy 98.0%" in said
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sums.png"]
    assert len({str(jax.random.key_data(key)) for key in seeds}) == 3


def test_latents_of_a_run_with_labels_do_not_say_the_class(monkeypatch):
    monkeypatch.setattr(latents, "opened", lambda _: SimpleNamespace(has_labels=True))
    with pytest.raises(ValueError, match="was trained on labels, so its latents do not say"):
        latents.run(latents.Options(run="none"))


def test_a_run_that_makes_one_class_is_refused():
    alone = SimpleNamespace(maker=SimpleNamespace(latents=drawn, generate=generate))
    alone.maker.latents = lambda key, num: jnp.abs(drawn(key, num))
    alone.weights, alone.to_signed = None, from_unit
    with pytest.raises(ValueError, match="makes one class alone"):
        latents.explored(jax.random.key(0), alone, JUDGE)
